# SPDX-License-Identifier: Apache-2.0
"""What looks wrong about an odometry or a set of scales, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from monodepth2_ros.inference.travelled import MOST_GAP_S

if TYPE_CHECKING:
    from monodepth2_training.data.frame_store import FrameTable
    from monodepth2_training.scale.estimate import ScaleEstimate

FASTEST_M_S = 70.0
"""Vehicles that are faster are none that this is for."""

LEAST_DIFFERENCE = 0.03
"""Scales that differ by less agree, however small their spreads are."""

_SLOWEST_M_S = 0.02
_SAME_SPEED = 1.5


def odometry_doubts(table: FrameTable) -> tuple[str, ...]:
    """What about the odometry's unit is not plausible; nothing if all is well."""
    elapsed_s = np.diff(table.stamps_ns) / 1e9
    usable = (elapsed_s > 0.0) & (elapsed_s < MOST_GAP_S) & (np.diff(table.part) == 0)
    steps_m = np.linalg.norm(np.diff(table.odometry[:, :3], axis=0), axis=1)
    by_pose = steps_m[usable] / elapsed_s[usable]
    stated = np.abs(table.odometry[1:, 7])[usable]
    moving = np.isfinite(by_pose) & (by_pose > 0.0) & (stated > 0.0)
    if not moving.any():
        return ()
    pose_m_s, stated_m_s = float(np.median(by_pose[moving])), float(np.median(stated[moving]))
    doubts = []
    if not _SLOWEST_M_S < pose_m_s < FASTEST_M_S:
        doubts.append(
            f'the positions move at {pose_m_s:.3g} m/s in the median, which no vehicle '
            'does: are they in metres?'
        )
    ratio = pose_m_s / stated_m_s
    if not 1.0 / _SAME_SPEED < ratio < _SAME_SPEED:
        doubts.append(
            f'positions move at {pose_m_s:.3g} m/s, the odometry states '
            f'{stated_m_s:.3g} m/s: one of the two is not in metres'
        )
    return tuple(doubts)


def disagreements(estimates: Sequence[ScaleEstimate]) -> tuple[str, ...]:
    """The pairs of methods that differ by more than their spreads."""
    found = []
    for one, two in combinations(estimates, 2):
        difference = abs(math.log(one.value / two.value))
        allowed = max(LEAST_DIFFERENCE, math.hypot(one.spread, two.spread))
        if difference > allowed:
            found.append(
                f'{one.method} ({one.value:.4g}) and {two.method} ({two.value:.4g}) differ by a '
                f'factor of {math.exp(difference):.3g}, more than their spreads allow'
            )
    return tuple(found)
