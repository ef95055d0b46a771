# SPDX-License-Identifier: Apache-2.0
"""Poses as rows x y z qx qy qz qw and as matrices [4, 4].

A pose of one frame in another maps points of the first into the second.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LEAST_QUATERNION = 0.5


def pose_matrices(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Poses [N, >= 7] x y z qx qy qz qw as transforms [N, 4, 4] into the parent frame."""
    T = np.tile(np.eye(4), (len(rows), 1, 1))
    T[:, :3, :3] = rotation_matrices(rows[:, 3:7])
    T[:, :3, 3] = rows[:, :3]
    return T


def rotation_matrices(quaternions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation matrices [N, 3, 3] of unit quaternions [N, 4] x y z w."""
    x, y, z, w = quaternions.T
    R = np.empty((len(quaternions), 3, 3))
    R[:, 0] = np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)], 1)
    R[:, 1] = np.stack([2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)], 1)
    R[:, 2] = np.stack([2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)], 1)
    return R


def rotation_angles(
    first: NDArray[np.float64], second: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Angles in rad [N] between rotations, unit quaternions [N, 4] x y z w."""
    # The half angle by its sine and cosine: exact where rotations are nearly equal, too.
    half = np.minimum(
        np.linalg.norm(first - second, axis=1), np.linalg.norm(first + second, axis=1)
    )
    return np.asarray(4.0 * np.arcsin(np.minimum(0.5 * half, 1.0)), np.float64)


def pose_matrix(row: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The matrix [4, 4] of a pose [7]; None if it is not finite or its quaternion is near zero."""
    length = float(np.linalg.norm(row[3:])) if row.shape == (7,) else 0.0
    if not np.isfinite(row).all() or length < _LEAST_QUATERNION:
        return None
    unit = np.concatenate((row[:3], row[3:] / length))
    matrix: NDArray[np.float64] = pose_matrices(unit[None])[0]
    return matrix


def inverse_pose(T: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of a rigid transform [4, 4]."""
    inverse = np.eye(4)
    inverse[:3, :3] = T[:3, :3].T
    inverse[:3, 3] = -T[:3, :3].T @ T[:3, 3]
    return inverse
