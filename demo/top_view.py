# SPDX-License-Identifier: Apache-2.0
"""A point cloud seen from above, with the camera at the bottom and rings of distance."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

_GROUND = (40, 34, 30)
_RING = (95, 85, 78)
_LABEL = (190, 190, 190)
_REACH_PERCENTILE = 90.0
_RINGS = 4


def top_view(
    points: NDArray[np.float32] | None,
    colors: NDArray[np.uint8] | None,
    *,
    side: int,
    unit: str,
) -> NDArray[np.uint8]:
    """Draw a cloud from above.

    Args:
        points: [N, 3] in the optical frame; None if there is no cloud.
        colors: [N, 3] as BGR.
        side: height and width of the picture in pixels.
        unit: what a length of 1 is called.

    Returns:
        uint8 [side, side, 3] BGR.
    """
    picture = np.full((side, side, 3), _GROUND, np.uint8)
    if points is None or colors is None or not len(points):
        _write(picture, 'no cloud', (10, side // 2))
        return picture
    step = nice_step(float(np.percentile(points[:, 2], _REACH_PERCENTILE)) / _RINGS)
    scale_px = (side - 14) / (step * _RINGS)
    _draw_rings(picture, step, scale_px)
    _draw_points(picture, points, colors, scale_px)
    _label_rings(picture, step, scale_px, unit)
    return picture


def nice_step(length: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is no smaller than ``length``."""
    power = 10.0 ** math.floor(math.log10(max(length, 1e-6)))
    return next(
        factor * power for factor in (1, 2, 5, 10) if factor * power >= length * (1 - 1e-9)
    )


def _draw_rings(picture: NDArray[np.uint8], step: float, scale_px: float) -> None:
    side = picture.shape[0]
    for ring in range(1, _RINGS + 1):
        radius = round(ring * step * scale_px)
        cv2.circle(picture, (side // 2, side - 4), radius, _RING, 1, cv2.LINE_AA)


def _draw_points(
    picture: NDArray[np.uint8],
    points: NDArray[np.float32],
    colors: NDArray[np.uint8],
    scale_px: float,
) -> None:
    side = picture.shape[0]
    columns = np.round(side / 2 + points[:, 0] * scale_px).astype(np.int64)
    rows = np.round(side - 4 - points[:, 2] * scale_px).astype(np.int64)
    inside = (columns >= 0) & (columns < side) & (rows >= 0) & (rows < side)
    # What is higher hides what is lower: y points down.
    order = np.argsort(-points[inside, 1], kind='stable')
    bright = np.minimum(255, colors[inside].astype(np.int64) * 5 // 4 + 40).astype(np.uint8)
    picture[rows[inside][order], columns[inside][order]] = bright[order]


def _label_rings(picture: NDArray[np.uint8], step: float, scale_px: float, unit: str) -> None:
    side = picture.shape[0]
    for ring in (2, _RINGS):
        row = round(side - 4 - ring * step * scale_px) + 12
        _write(picture, f'{ring * step:g} {unit}', (4, row))


def _write(picture: NDArray[np.uint8], text: str, place: tuple[int, int]) -> None:
    for color, thickness in ((_GROUND, 3), (_LABEL, 1)):
        cv2.putText(
            picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.36, color, thickness, cv2.LINE_AA
        )
