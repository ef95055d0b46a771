# SPDX-License-Identifier: Apache-2.0
"""Which part of the picture a solid can cover, so that only those pixels are tested against it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.geometry.camera import PinholeCamera
from monodepth2_training.world.lens import Lens
from monodepth2_training.world.solids import Solids

NEAR_M = 0.05
"""Nothing nearer than this to the camera is drawn."""

_EDGES = np.array([[a, b] for a in range(8) for b in range(8) if (a ^ b) in (1, 2, 4) and a < b])


@dataclass(frozen=True, kw_only=True)
class ScreenBounds:
    """Rectangles of pixels, first to past-the-last, of the visible solids, nearest first."""

    index: NDArray[np.int64]
    """[M] which solids."""
    columns: NDArray[np.int64]
    """[M, 2] first column and the one past the last."""
    rows: NDArray[np.int64]
    """[M, 2] first row and the one past the last."""
    nearest_m: NDArray[np.float64]
    """[M] smallest depth of the solid's bounding box."""


def screen_bounds(
    solids: Solids,
    camera: PinholeCamera,
    T_world_to_camera: NDArray[np.float64],
    *,
    max_depth_m: float,
    lens: Lens | None = None,
) -> ScreenBounds:
    """Bound every solid in the picture of ``camera``.

    Args:
        solids: N solids.
        camera: the picture.
        T_world_to_camera: float64[4, 4].
        max_depth_m: solids beyond are left out.
        lens: the same camera with its distortion; None without any.
    """
    points = solids.corners() @ T_world_to_camera[:3, :3].T + T_world_to_camera[:3, 3]
    clipped = _clip_near(points)
    if lens is None:
        columns, rows = _seen(clipped, camera)
    else:
        columns, rows = _seen_through(lens, clipped)
    nearest = np.maximum(points[..., 2].min(axis=1), NEAR_M)
    seen = (columns[:, 0] < columns[:, 1]) & (rows[:, 0] < rows[:, 1]) & (nearest < max_depth_m)
    index = np.flatnonzero(seen)
    index = index[np.argsort(nearest[index], kind='stable')]
    return ScreenBounds(
        index=index, columns=columns[index], rows=rows[index], nearest_m=nearest[index]
    )


def _seen(
    points: NDArray[np.float64], camera: PinholeCamera
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Columns and rows [N, 2] that hold points [N, P, 3]; none where all are NaN."""
    with np.errstate(invalid='ignore', divide='ignore'):
        u = camera.fx_px * points[..., 0] / points[..., 2] + camera.cx_px
        v = camera.fy_px * points[..., 1] / points[..., 2] + camera.cy_px
    hidden = np.isnan(u).all(axis=1)
    u[hidden], v[hidden] = -1e6, -1e6
    return _pixel_range(u, camera.width), _pixel_range(v, camera.height)


def _seen_through(
    lens: Lens, points: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The same for a lens that bends lines: all columns and rows that look so far aside."""
    with np.errstate(invalid='ignore', divide='ignore'):
        x, y = points[..., 0] / points[..., 2], points[..., 1] / points[..., 2]
    hidden = np.isnan(x).all(axis=1)
    x[hidden], y[hidden] = -1e6, -1e6
    high_x, low_x, high_y, low_y = lens.reach
    return _between(x, high_x, low_x), _between(y, high_y, low_y)


def _between(
    coordinate: NDArray[np.float64], high: NDArray[np.float64], low: NDArray[np.float64]
) -> NDArray[np.int64]:
    """First and past-the-last pixel whose ascending ``low`` to ``high`` meets the coordinates."""
    # One pixel more on either side: rays are rounded to float32.
    first = np.searchsorted(high, np.nanmin(coordinate, axis=1), side='left') - 1
    last = np.searchsorted(low, np.nanmax(coordinate, axis=1), side='right') + 1
    return np.stack([first, last], axis=1).clip(0, len(high)).astype(np.int64)


def _clip_near(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Corners beyond the near plane and the edges' crossings with it, [N, 20, 3], or NaN."""
    start, end = corners[:, _EDGES[:, 0]], corners[:, _EDGES[:, 1]]
    z0, z1 = start[..., 2], end[..., 2]
    crosses = (z0 < NEAR_M) != (z1 < NEAR_M)
    share = np.where(crosses, (NEAR_M - z0) / np.where(crosses, z1 - z0, 1.0), np.nan)
    crossings = start + share[..., None] * (end - start)
    visible = np.where(corners[..., 2:] >= NEAR_M, corners, np.nan)
    return np.concatenate([visible, crossings], axis=1)


def _pixel_range(coordinate: NDArray[np.float64], size: int) -> NDArray[np.int64]:
    low = np.floor(np.clip(np.nanmin(coordinate, axis=1), -1, size))
    high = np.ceil(np.clip(np.nanmax(coordinate, axis=1), -1, size)) + 1
    return np.stack([np.clip(low, 0, size), np.clip(high, 0, size)], axis=1).astype(np.int64)
