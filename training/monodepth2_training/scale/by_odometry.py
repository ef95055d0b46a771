# SPDX-License-Identifier: Apache-2.0
"""The scale from motion: metres that the odometry travelled over units that the pose net saw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from monodepth2_training.data.augmentation import AugmentationSettings, augment
from monodepth2_training.data.dataset import TripletDataset, frame_indices
from monodepth2_training.data.network_unit import focal_shares
from monodepth2_training.model.depth_pose import TEMPORAL

if TYPE_CHECKING:
    from monodepth2_training.data.frame_store import FrameStore
    from monodepth2_training.data.triplets import Sample
    from monodepth2_training.model.depth_pose import DepthPoseModel

LEAST_STEP_M = 0.05
"""Shorter steps say nothing about a ratio of lengths."""

_BATCH = 4


def metres_per_unit(
    model: DepthPoseModel,
    store: FrameStore,
    samples: Sequence[Sample],
    distances_m: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Metres per unit of predicted translation of the first camera, for each step to a source.

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
    units = _predicted_units(model, store, samples)[:, places]
    usable = (metres >= LEAST_STEP_M) & (units > 0.0)
    ratio = metres / np.where(usable, units, 1.0) * focal_shares(store.cameras)[frames[:, 0, :1]]
    return np.where(usable, ratio, np.nan)


def _predicted_units(
    model: DepthPoseModel, store: FrameStore, samples: Sequence[Sample]
) -> NDArray[np.float64]:
    """Lengths [N, S] of the predicted translations in network units."""
    dataset = TripletDataset(store, samples)
    lengths = []
    for begin in range(0, len(samples), _BATCH):
        batch = range(begin, min(begin + _BATCH, len(samples)))
        views = augment(dataset.__getitems__(batch), AugmentationSettings(), None)
        with torch.inference_mode():
            T = model(views).T_target_to_sources
        lengths.append(T[..., :3, 3].double().norm(dim=-1).numpy())
    return np.concatenate(lengths)
