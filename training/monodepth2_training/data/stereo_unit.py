# SPDX-License-Identifier: Apache-2.0
"""The unit of length of networks that learn from a rectified stereo pair: ten baselines.

Depth range, first guess and step size of the method fit a baseline of 0.1 units, the published
convention. With that unit a pair 6 cm apart trains like one 54 cm apart, and the model file's
scale is what turns its depth into metres.
"""

from __future__ import annotations

from collections.abc import Sequence

from monodepth2_training.data.frame_store import StoredCamera

BASELINE_UNITS = 0.1
"""Length of every baseline in network units."""


_LEAST_BASELINE_M = 1e-4


def is_stereo_pair(cameras: Sequence[StoredCamera]) -> bool:
    """Whether these are two cameras at different places."""
    return len(cameras) == 2 and baseline_m(cameras) >= _LEAST_BASELINE_M


def baseline_m(cameras: Sequence[StoredCamera]) -> float:
    """Distance of the two cameras of a pair in metres."""
    first, second = cameras
    return abs(second.position_m - first.position_m)


def stereo_unit_m(cameras: Sequence[StoredCamera]) -> float:
    """Metres in a network unit of a model that learns from this pair."""
    return baseline_m(cameras) / BASELINE_UNITS
