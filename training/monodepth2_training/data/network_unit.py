# SPDX-License-Identifier: Apache-2.0
"""The unit of length of the networks: what is usual in a recording has its usual number in it.

Depth range, first guess and the small numbers that pose networks begin with fit the published
convention, whatever the recording: a stereo baseline of 0.1 units, and steps of a vehicle of a
third of the nearest depth, about what networks come to on KITTI by themselves. So a pair 6 cm
apart trains like one 54 cm apart, and a robot at walking pace like a car. The model file's scale
is what turns units into metres.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monodepth2_training.data.frame_store import StoredCamera

BASELINE_UNITS = 0.1
"""Length of every baseline in network units."""

NEAREST_STEPS = 3.0
"""The nearest depth that a network can tell, in usual steps from one frame to the next."""

_LEAST_BASELINE_M = 1e-4
_LEAST_STEP_M = 1e-3


def is_stereo_pair(cameras: Sequence[StoredCamera]) -> bool:
    """Whether these are the left and the right camera of a pair, or of several one by one."""
    return stand_in_rows(cameras, 2)


def stand_in_rows(cameras: Sequence[StoredCamera], count: int) -> bool:
    """Whether these are rows of ``count`` cameras, each row from one end to the other."""
    if len(cameras) % count:
        return False
    positions_m = np.array([camera.position_m for camera in cameras])
    steps_m = np.diff(positions_m.reshape(-1, count))
    return bool((steps_m >= _LEAST_BASELINE_M).all() or (steps_m <= -_LEAST_BASELINE_M).all())


def baseline_m(cameras: Sequence[StoredCamera]) -> float:
    """Distance of the first two cameras of the first row in metres."""
    first, second = cameras[:2]
    return abs(second.position_m - first.position_m)


def stereo_unit_m(cameras: Sequence[StoredCamera]) -> float:
    """Metres in a network unit of a model that learns from this pair or row."""
    return baseline_m(cameras) / BASELINE_UNITS


def focal_shares(cameras: Sequence[StoredCamera]) -> NDArray[np.float64]:
    """Lengths in network units of each camera's pictures over those of the first camera's, [C].

    A lens of f times the focal length shows everything f times as large, which a network takes
    for f times as near. So what it learns from has to be f times as near, too, or pictures that
    look alike would have different depths.
    """
    focal_px = np.sqrt([c.camera.fx_px * c.camera.fy_px for c in cameras])
    return np.asarray(focal_px[0] / focal_px, np.float64)


def positions_units(cameras: Sequence[StoredCamera]) -> NDArray[np.float64]:
    """X of each camera's centre within its row, in network units of the row's first camera, [C].

    All ways count alike: the cameras of a row have the focal length of its first one.
    """
    length = next((count for count in (3, 2) if stand_in_rows(cameras, count)), 1)
    if length == 1:
        return np.zeros(len(cameras))
    firsts = np.arange(len(cameras)) // length * length
    positions_m = np.array([camera.position_m for camera in cameras])
    return positions_m / stereo_unit_m(cameras) * focal_shares(cameras)[firsts]


def travel_unit_m(distances_m: NDArray[np.float64], nearest_units: float) -> float:
    """Metres in a network unit of a model that learns from odometry.

    Args:
        distances_m: length of steps, any shape; NaN where it is not known.
        nearest_units: least depth of the network's range.

    Returns:
        a length with which the nearest depth is ``NEAREST_STEPS`` median steps; standing still is
        no step. 1 without any step.
    """
    steps_m = distances_m[distances_m > _LEAST_STEP_M]
    return NEAREST_STEPS * float(np.median(steps_m)) / nearest_units if len(steps_m) else 1.0
