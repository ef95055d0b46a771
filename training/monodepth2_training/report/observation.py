# SPDX-License-Identifier: Apache-2.0
"""Runs the trained networks over some frames of a recording, and keeps a few figures of each.

A limited number is looked at, in unbroken stretches spread over the recording, so that a report
takes seconds and paths can still be followed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from monodepth2_ros.geometry.depth import disparity_to_depth
from monodepth2_training.data.augmentation import AugmentationSettings, augment
from monodepth2_training.data.dataset import TripletDataset
from monodepth2_training.model.pose import invert_rigid
from monodepth2_training.report.poses import PredictedStep

if TYPE_CHECKING:
    from monodepth2_training.data.augmentation import Views
    from monodepth2_training.data.frame_store import FrameStore
    from monodepth2_training.data.triplets import Sample
    from monodepth2_training.model.depth_pose import DepthPoseModel, Prediction

_BATCH = 4
_PERCENTILES = (10.0, 50.0, 90.0)


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What the networks say about N samples."""

    samples: tuple[Sample, ...]
    """The samples, in order of camera and time."""
    depth: NDArray[np.float64]
    """Depth [N, 3] that 10, 50 and 90 % of each picture are nearer than."""
    steps: tuple[tuple[int, PredictedStep], ...]
    """Camera, and motion from each target to its next frame; empty in mode ``stereo``."""

    def steps_of(self, camera: int) -> list[PredictedStep]:
        """Motion of one camera, in order of time."""
        return [step for number, step in self.steps if number == camera]


def observe(model: DepthPoseModel, store: FrameStore, samples: Sequence[Sample]) -> Observation:
    """Predict depth and motion of some samples.

    Args:
        model: in evaluation mode on the CPU.
        store: what the samples index.
        samples: at least one, in order of camera and time.
    """
    dataset = TripletDataset(store, samples)
    depths, motions = [], []
    for begin in range(0, len(samples), _BATCH):
        batch = range(begin, min(begin + _BATCH, len(samples)))
        _, prediction = predict(model, dataset, batch)
        depth = disparity_to_depth(prediction.disparities[0].double(), model.depth_range)
        depths.append(np.percentile(depth.flatten(1).numpy(), _PERCENTILES, axis=1).T)
        motions.append(invert_rigid(prediction.T_target_to_sources.double()).numpy())
    return Observation(
        samples=tuple(samples),
        depth=np.concatenate(depths),
        steps=_steps(model.sources, samples, np.concatenate(motions)),
    )


def predict(
    model: DepthPoseModel, dataset: TripletDataset, batch: Sequence[int]
) -> tuple[Views, Prediction]:
    """What the networks see of some samples, as they are, and what they make of them."""
    views = augment(dataset.__getitems__(batch), AugmentationSettings(), None)
    with torch.inference_mode():
        prediction: Prediction = model(views)
    return views, prediction


def choose(samples: Sequence[Sample], *, stretches: int, length: int) -> tuple[Sample, ...]:
    """Take ``stretches`` times ``length`` neighbours, evenly spread, or all if they are fewer."""
    if len(samples) <= stretches * length:
        return tuple(samples)
    begins = np.linspace(0, len(samples) - length, stretches).round().astype(int).tolist()
    return tuple(samples[i] for begin in begins for i in range(begin, begin + length))


def _steps(
    names: Sequence[str], samples: Sequence[Sample], T_source_to_target: NDArray[np.float64]
) -> tuple[tuple[int, PredictedStep], ...]:
    """Motion from each target to its next frame, of transforms [N, S, 4, 4]."""
    if 'next' not in names:
        return ()
    place = list(names).index('next')
    return tuple(
        (
            sample.camera,
            PredictedStep(
                begin=sample.target,
                end=sample.sources[place][1],
                T_end_to_begin=T_source_to_target[number, place],
            ),
        )
        for number, sample in enumerate(samples)
    )
