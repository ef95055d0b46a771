# SPDX-License-Identifier: Apache-2.0
"""The scale from motion: metres that the odometry travelled over units that the pictures show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from monodepth2_ros.geometry.depth import disparity_to_depth
from monodepth2_training.data.augmentation import AugmentationSettings, augment
from monodepth2_training.data.dataset import TripletDataset, frame_indices
from monodepth2_training.data.network_unit import focal_shares
from monodepth2_training.model.depth_pose import TEMPORAL
from monodepth2_training.scale.motion import refined_motion

if TYPE_CHECKING:
    from monodepth2_training.data.frame_store import FrameStore
    from monodepth2_training.data.triplets import Sample
    from monodepth2_training.model.depth_pose import DepthPoseModel

LEAST_STEP_M = 0.05
"""Shorter steps say nothing about a ratio of lengths."""

MOST_SAMPLES = 60
"""So many give the median well, and the search for their motion takes seconds."""

_BATCH = 6


def metres_per_unit(
    model: DepthPoseModel,
    store: FrameStore,
    samples: Sequence[Sample],
    distances_m: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Metres per unit of translation of the first camera, for each step to a source.

    The translation is that with which predicted depth fits the pictures; see ``refined_motion``.

    Args:
        model: in evaluation mode on the CPU, with a pose network.
        store: what the samples index.
        samples: of the model's sources, at least one.
        distances_m: float64 [N, S] from target to source by ``travelled_m``.

    Returns:
        float64 [N, 2]; NaN where odometry is not known or not trusted, or nothing moves.
    """
    places, frames = [model.sources.index(name) for name in TEMPORAL], frame_indices(samples)
    metres = distances_m[:, places]
    units = _moved_units(model, store, samples)[:, places]
    usable = (metres >= LEAST_STEP_M) & (units > 0.0)
    ratio = metres / np.where(usable, units, 1.0) * focal_shares(store.cameras)[frames[:, 0, :1]]
    return np.where(usable, ratio, np.nan)


def _moved_units(
    model: DepthPoseModel, store: FrameStore, samples: Sequence[Sample]
) -> NDArray[np.float64]:
    """Lengths [N, S] of the translations in network units."""
    dataset = TripletDataset(store, samples)
    lengths = []
    for begin in range(0, len(samples), _BATCH):
        batch = range(begin, min(begin + _BATCH, len(samples)))
        views = augment(dataset.__getitems__(batch), AugmentationSettings(), None)
        with torch.no_grad():
            predicted = model(views)
            depth_units = disparity_to_depth(predicted.disparities[0], model.depth_range)
        T = refined_motion(views, depth_units, predicted.T_target_to_sources)
        lengths.append(T[..., :3, 3].double().norm(dim=-1).numpy())
    return np.concatenate(lengths)
