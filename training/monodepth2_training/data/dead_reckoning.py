# SPDX-License-Identifier: Apache-2.0
"""Poses out of velocities: what a recording without poses knows of its vehicle's way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.inference.travelled import MOST_GAP_S

Floats = NDArray[np.float64]


def dead_reckoned(stamps_ns: NDArray[np.int64], velocities: Floats) -> Floats:
    """Integrate velocities in the vehicle's own axes, each step at the mean of its two ends.

    Across gaps of more than ``MOST_GAP_S`` the vehicle is taken to stand: nothing may be read from
    the poses of both sides together, and nobody interpolates between them.

    Args:
        stamps_ns: int64 [N], strictly growing.
        velocities: float64 [N, 6], vx vy vz in m/s and wx wy wz in rad/s.

    Returns:
        float64 [N, 7]: x y z and quaternion qx qy qz qw in the frame of the first pose.
    """
    elapsed_s = np.diff(stamps_ns) / 1e9
    steps = 0.5 * (velocities[1:] + velocities[:-1])
    steps *= np.where(elapsed_s <= MOST_GAP_S, elapsed_s, 0.0)[:, None]
    poses = np.zeros((len(stamps_ns), 7))
    place_m, turn = np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0])
    poses[:1, 6] = 1.0
    for number, step in enumerate(steps, start=1):
        # The way of a step points to where the vehicle looks in the middle of it.
        place_m = place_m + _rotated(step[:3], _product(turn, _turned(0.5 * step[3:])))
        turn = _product(turn, _turned(step[3:]))
        poses[number, :3], poses[number, 3:] = place_m, turn / np.linalg.norm(turn)
    return poses


def _turned(rotation_rad: Floats) -> Floats:
    """The quaternion x y z w of a rotation vector [3]."""
    angle = float(np.linalg.norm(rotation_rad))
    # sin(a / 2) / a, whose limit at 0 is 1 / 2.
    factor = 0.5 * float(np.sinc(0.5 * angle / np.pi))
    return np.append(factor * rotation_rad, np.cos(0.5 * angle))


def _product(first: Floats, second: Floats) -> Floats:
    """The quaternion x y z w of the second rotation, then the first."""
    a, b = first[:3], second[:3]
    vector = first[3] * b + second[3] * a + np.cross(a, b)
    return np.append(vector, first[3] * second[3] - a @ b)


def _rotated(vector: Floats, turn: Floats) -> Floats:
    """A vector [3] turned by a unit quaternion."""
    across = 2.0 * np.cross(turn[:3], vector)
    rotated = vector + turn[3] * across + np.cross(turn[:3], across)
    return np.asarray(rotated, np.float64)
