# SPDX-License-Identifier: Apache-2.0
"""What the velocity term of a run learns from: the odometry of its samples, looked up once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from monodepth2_training.data.dataset import frame_indices
from monodepth2_training.data.network_unit import focal_shares, stereo_unit_m, travel_unit_m
from monodepth2_training.data.travel import Travel, travelled_m
from monodepth2_training.data.triplets import learns_motion

if TYPE_CHECKING:
    from monodepth2_training.config import TrainingConfig
    from monodepth2_training.data.frame_store import FrameStore
    from monodepth2_training.data.triplets import Split

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class RunOdometry:
    """Distances from target to source of N samples to train on and M to validate with."""

    travel: Travel
    """Of all samples, those to train on first."""
    unit_m: float
    """Metres in a network unit of the first camera."""
    units: tuple[Floats, Floats]
    """[N, S] and [M, S] in network units of each target's camera; NaN where the distance is not
    known or not trusted, and for the other camera of a pair."""

    @property
    def validation_m(self) -> Floats:
        """[M, S] in metres."""
        return self.travel.distances_m[len(self.units[0]) :]


def read_run_odometry(
    config: TrainingConfig, store: FrameStore, split: Split
) -> RunOdometry | None:
    """Look up the odometry of a run's samples; None where it learns nothing from it."""
    if not config.loss.velocity or not learns_motion(config.mode):
        return None
    frames = frame_indices((*split.training, *split.validation))
    travel = travelled_m(store, frames)
    count = len(split.training)
    if config.mode == 'mono':
        nearest_units = config.depth_range.min_depth_m
        unit_m = travel_unit_m(travel.distances_m[:count], nearest_units)
    else:
        unit_m = stereo_unit_m(store.cameras)
    units = travel.distances_m / unit_m * focal_shares(store.cameras)[frames[:, 0, :1]]
    return RunOdometry(travel=travel, unit_m=unit_m, units=(units[:count], units[count:]))
