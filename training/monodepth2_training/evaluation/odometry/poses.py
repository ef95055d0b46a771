# SPDX-License-Identifier: Apache-2.0
"""Poses of a camera as transforms, and the motions between them.

A *pose* ``T_camera_to_world`` [4, 4] maps points of the camera into a fixed frame; a *motion*
``T_earlier_to_later`` maps points of a frame into the camera of the next one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import EvaluationError

Transforms: TypeAlias = NDArray[np.float64]

_KITTI_NUMBERS = 12


def read_kitti_poses(path: Path) -> Transforms:
    """Read a pose file of KITTI odometry: float64 [N, 4, 4], one row of [R t] a line.

    Raises:
        EvaluationError: it cannot be read, or a line has not 12 numbers.
    """
    try:
        rows = np.loadtxt(path, ndmin=2)
    except (OSError, ValueError) as err:
        raise EvaluationError(
            f'{path} cannot be read as poses ({err}): expected 12 numbers a line; download the '
            'ground truth poses from cvlibs.net/datasets/kitti/eval_odometry.php'
        ) from err
    if rows.shape[1:] != (_KITTI_NUMBERS,) or not np.isfinite(rows).all():
        raise EvaluationError(
            f'{path} has {rows.shape[-1]} numbers a line: expected 12 finite ones, rows of [R t]'
        )
    poses = np.tile(np.eye(4), (len(rows), 1, 1))
    poses[:, :3] = rows.reshape(-1, 3, 4)
    return poses


def motions_of(poses: Transforms) -> Transforms:
    """Motions ``T_earlier_to_later`` [N - 1, 4, 4] between poses [N, 4, 4]."""
    return np.asarray(np.linalg.solve(poses[1:], poses[:-1]), np.float64)


def poses_of(motions: Transforms) -> Transforms:
    """Poses [N + 1, 4, 4] that motions [N, 4, 4] lead through, from the identity on."""
    poses = [np.eye(4)]
    for T_earlier_to_later in motions:
        poses.append(poses[-1] @ np.linalg.inv(T_earlier_to_later))
    return np.stack(poses)
