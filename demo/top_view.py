# SPDX-License-Identifier: Apache-2.0
"""A point cloud seen from above, with the camera at the bottom and rings of distance."""

from __future__ import annotations

import math
from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

_GROUND = (40, 34, 30)
_RING = (95, 85, 78)
_LABEL = (190, 190, 190)
_REACH_PERCENTILE = 60.0
_RINGS = 4
_MARGIN = 14
_BOTTOM = 4
_POINT_PX = 2


def top_view(
    points: NDArray[np.float32] | None,
    colors: NDArray[np.uint8] | None,
    *,
    size: tuple[int, int],
    step: float,
    unit: str,
) -> NDArray[np.uint8]:
    """Draw a cloud from above.

    Args:
        points: [N, 3] in the optical frame; None if there is no cloud.
        colors: [N, 3] as BGR.
        size: width and height of the picture in pixels.
        step: distance between two rings.
        unit: what a length of 1 is called.

    Returns:
        uint8 [height, width, 3] BGR.
    """
    width, height = size
    picture = np.full((height, width, 3), _GROUND, np.uint8)
    if points is None or colors is None or not len(points):
        _write(picture, 'no cloud', (10, height // 2))
        return picture
    scale_px = (height - _MARGIN) / (step * _RINGS)
    _draw_rings(picture, step * scale_px)
    _draw_points(picture, points, colors, scale_px)
    for ring in range(1, _RINGS + 1):
        place = (width // 2 + 3, round(height - _BOTTOM - ring * step * scale_px) + 10)
        _write(picture, f'{ring * step:g} {unit}', place)
    return picture


def common_step(clouds: Iterable[NDArray[np.float32] | None]) -> float:
    """The distance between rings that shows most points of all clouds; 1 if there are none."""
    depths = [cloud[:, 2] for cloud in clouds if cloud is not None and len(cloud)]
    if not depths:
        return 1.0
    return nice_step(float(np.percentile(np.concatenate(depths), _REACH_PERCENTILE)) / _RINGS)


def nice_step(length: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is no smaller than ``length``."""
    power = 10.0 ** math.floor(math.log10(max(length, 1e-6)))
    choices = (factor * power for factor in (1, 2, 5, 10))
    return next(choice for choice in choices if choice >= length * (1 - 1e-9))


def _draw_rings(picture: NDArray[np.uint8], step_px: float) -> None:
    centre = (picture.shape[1] // 2, picture.shape[0] - _BOTTOM)
    for ring in range(1, _RINGS + 1):
        cv2.circle(picture, centre, round(ring * step_px), _RING, 1, cv2.LINE_AA)


def _draw_points(
    picture: NDArray[np.uint8],
    points: NDArray[np.float32],
    colors: NDArray[np.uint8],
    scale_px: float,
) -> None:
    height, width = picture.shape[:2]
    columns = np.round(width / 2 + points[:, 0] * scale_px).astype(np.int64)
    rows = np.round(height - _BOTTOM - points[:, 2] * scale_px).astype(np.int64)
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    # What is higher hides what is lower: y points down.
    order = np.argsort(-points[inside, 1], kind='stable')
    rows, columns, bright = rows[inside][order], columns[inside][order], colors[inside][order]
    for down, right in np.ndindex(_POINT_PX, _POINT_PX):
        below, beside = np.minimum(rows + down, height - 1), np.minimum(columns + right, width - 1)
        picture[below, beside] = bright


def _write(picture: NDArray[np.uint8], text: str, place: tuple[int, int]) -> None:
    for color, thickness in ((_GROUND, 3), (_LABEL, 1)):
        cv2.putText(
            picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.34, color, thickness, cv2.LINE_AA
        )
