# SPDX-License-Identifier: Apache-2.0
"""Points of a lidar as a sparse depth image, without those that the camera cannot see."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.geometry.camera import PinholeCamera
from monodepth2_ros.geometry.projection import project

_NEAREST_M = 0.5
_REACH_ROWS, _REACH_COLUMNS = 0.02, 0.008
"""How far from a point it is looked for what hides it, as shares of the focal length: 1.1 degrees
up and down, which spans the rings of a lidar of 64, and 0.5 degrees to the sides."""
_HIDDEN_RATIO, _HIDDEN_M = 0.92, 0.5
_FLAT = 0.0015
"""Rows up and down of a side, as a share of the focal length: ground that lies a row higher is
farther by as much as a surface behind another."""

Depth = NDArray[np.float32]


def sparse_depth(points: NDArray[np.float64], camera: PinholeCamera) -> Depth:
    """Depth image of points; where several fall onto a pixel, the nearest is taken.

    Args:
        points: [N, 3] in metres, in the camera's optical frame.
        camera: of the picture.

    Returns:
        float32 [H, W] in metres; NaN between the points.
    """
    ahead = points[points[:, 2] > _NEAREST_M]
    uv, depth_m = project(ahead, camera)
    columns, rows = np.round(uv).T
    inside = (columns >= 0) & (columns < camera.width) & (rows >= 0) & (rows < camera.height)
    # The nearest point of a pixel is written last.
    order = np.flatnonzero(inside)[np.argsort(-depth_m[inside], kind='stable')]
    depth = np.full((camera.height, camera.width), np.nan, np.float32)
    depth[rows[order].astype(np.intp), columns[order].astype(np.intp)] = depth_m[order]
    return depth


def without_hidden(depth_m: Depth, camera: PinholeCamera) -> Depth:
    """Leave out points that lie behind a surface which only the camera has before it.

    A lidar that is mounted elsewhere looks past the camera's foreground, and what it sees there
    falls between the points of that foreground. So a point is hidden where something nearer lies
    on two opposite sides of it. Ground has it below alone, the rim of an object on one side alone.

    Args:
        depth_m: float32 [H, W], NaN where there is no point.
        camera: of the picture.

    Returns:
        a new array, NaN also where points are hidden.
    """
    filled = np.where(np.isfinite(depth_m), depth_m, np.float32(np.inf))
    threshold = np.minimum(_HIDDEN_RATIO * depth_m, depth_m - np.float32(_HIDDEN_M))
    tall = max(2, round(_REACH_ROWS * camera.fy_px))
    flat = round(_FLAT * camera.fy_px)
    wide = max(2, round(_REACH_COLUMNS * camera.fx_px))
    sides = (
        (tall, 0, wide // 2, wide // 2),
        (0, tall, wide // 2, wide // 2),
        (flat, flat, wide, 0),
        (flat, flat, 0, wide),
    )
    with np.errstate(invalid='ignore'):
        above, below, left, right = (_least(filled, *side) < threshold for side in sides)
    return np.where((above & below) | (left & right), np.float32(np.nan), depth_m)


def _least(filled: Depth, above: int, below: int, left: int, right: int) -> Depth:
    """The least depth from so many pixels above each pixel to so many below, and to the sides."""
    least = cv2.erode(
        filled,
        np.ones((above + below + 1, left + right + 1), np.uint8),
        anchor=(left, above),
        borderType=cv2.BORDER_CONSTANT,
        borderValue=float('inf'),
    )
    return np.asarray(least, np.float32)
