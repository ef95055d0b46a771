# SPDX-License-Identifier: Apache-2.0
"""Between pixels and points in a camera's own optical frame; see docs/conventions.md."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.geometry.camera import PinholeCamera


def pixel_rays(camera: PinholeCamera) -> NDArray[np.float32]:
    """Give x/z and y/z of every pixel centre, float32 [H, W, 2].

    A pixel's point is its depth times (x/z, y/z, 1), in metres, in the camera's optical frame.
    """
    x = (np.arange(camera.width) - camera.cx_px) / camera.fx_px
    y = (np.arange(camera.height) - camera.cy_px) / camera.fy_px
    rays = np.empty((camera.height, camera.width, 2), np.float32)
    rays[..., 0] = x
    rays[..., 1] = y[:, None]
    return rays


def project(
    points_m: NDArray[np.floating[Any]], camera: PinholeCamera
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Project points into the image.

    Args:
        points_m: [N, 3], in metres, in the camera's optical frame (``tx_px_m`` plays no part).
        camera: the camera.

    Returns:
        uv float64 [N, 2] in pixels, NaN where a point is not in front of the camera, and depth
        float64 [N] in metres.
    """
    points = np.asarray(points_m, np.float64)
    depth_m = points[:, 2]
    z = np.where(depth_m > 0.0, depth_m, np.nan)
    u = camera.fx_px * points[:, 0] / z + camera.cx_px
    v = camera.fy_px * points[:, 1] / z + camera.cy_px
    return np.stack([u, v], axis=1), depth_m.copy()
