# SPDX-License-Identifier: Apache-2.0
"""How far pictures of a plain street move: road and two rows of houses, without rendering."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.geometry.camera import PinholeCamera

Floats = NDArray[np.float64]

_LEFT_M, _RIGHT_M, _END_M = 10.6, -7.4, 80.0
_COLUMNS, _ROWS = 20, 8
_LEAST_M = 0.1


def picture_motion(camera: PinholeCamera, T_camera_to_base: Floats, poses: Floats) -> Floats:
    """Median way in pixels of points of the street from each picture to the one before it.

    Args:
        camera: the picture.
        T_camera_to_base: float64 [4, 4], mounting of the camera.
        poses: float64 [N, 4, 4], ``T_base_to_odom`` of each picture.

    Returns:
        float64 [N - 1].
    """
    u, v = np.meshgrid(
        (np.arange(_COLUMNS) + 0.5) * camera.width / _COLUMNS - 0.5,
        (np.arange(_ROWS) + 0.5) * camera.height / _ROWS - 0.5,
    )
    rays = np.stack(
        [(u - camera.cx_px) / camera.fx_px, (v - camera.cy_px) / camera.fy_px, np.ones_like(u)]
    ).reshape(3, -1)
    points = np.concatenate([rays * _depth_m(rays, T_camera_to_base), np.ones((1, rays.shape[1]))])
    T = poses @ T_camera_to_base
    moved = np.linalg.inv(T[:-1]) @ T[1:] @ points
    z = np.maximum(moved[:, 2], _LEAST_M)
    across = camera.fx_px * moved[:, 0] / z + camera.cx_px - u.reshape(-1)
    down = camera.fy_px * moved[:, 1] / z + camera.cy_px - v.reshape(-1)
    return np.asarray(np.median(np.hypot(across, down), axis=1), np.float64)


def _depth_m(rays: Floats, T_camera_to_base: Floats) -> Floats:
    """Depth of the street along rays [3, P] of camera z = 1: [P]."""
    x, y, z = T_camera_to_base[:3, :3] @ rays
    _, left_m, up_m = T_camera_to_base[:3, 3]
    with np.errstate(divide='ignore'):
        road = np.where(z < 0.0, -up_m / z, np.inf)
        walls = np.where(y > 0.0, (_LEFT_M - left_m) / y, (_RIGHT_M - left_m) / y)
        end = np.where(x > 0.0, _END_M / x, np.inf)
    return np.asarray(np.minimum(np.minimum(road, np.abs(walls)), end), np.float64)
