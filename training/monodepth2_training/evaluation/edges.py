# SPDX-License-Identifier: Apache-2.0
"""Whether true depth lies where the picture says: do jumps in depth lie on edges of the picture.

After Levinson and Thrun, "Automatic Online Calibration of Cameras and Lasers" (RSS 2013): a depth
that jumps to the left or right of a point means the rim of something, which nearly always is an
edge of the picture. A wrong mounting or a wrong clock moves all rims off their edges. So rims are
tried at other places of the picture, and on the pictures before and after: if they fit there
better than where they should, and do so in nearly every frame, something is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

_SIDE_PX, _TALL_PX = 7, 2
_JUMP_RATIO, _JUMP_M = 1.2, 1.0
_SPREAD_STEPS, _SPREAD = 6, 0.8
_STRONG_PERCENTILE = 98.0
_SIGNIFICANT, _LEAST_GAIN = 3.5, 0.05
_LEAST_WIDTH = 640
FEWEST_JUMPS = 40
"""A frame with fewer says nothing."""
FEWEST_FRAMES = 6
"""Fewer frames say nothing."""

Place = TypeVar('Place', tuple[int, int], int)
Depth = NDArray[np.float32]
Places = NDArray[np.int32]


def enlargement(width: int) -> int:
    """How many times as large small pictures, and truth, are looked at.

    All lengths here are in pixels: in a picture of 320 columns nearly all would be near an edge.
    """
    return max(1, round(_LEAST_WIDTH / width))


def depth_jumps(true_m: Depth) -> Places:
    """Rows and columns [N, 2] of known pixels beside which depth jumps away."""
    depth = np.where(np.isfinite(true_m), true_m, np.float32(0.0))
    kernel = np.ones((2 * _TALL_PX + 1, _SIDE_PX), np.uint8)
    beyond = np.maximum(_JUMP_RATIO * depth, depth + np.float32(_JUMP_M))
    jumps = np.zeros(depth.shape, np.bool_)
    for column in (0, _SIDE_PX - 1):
        farthest = cv2.dilate(depth, kernel, anchor=(column, _TALL_PX))
        jumps |= np.asarray(farthest) > beyond
    return np.argwhere(jumps & (depth > 0.0)).astype(np.int32)


def picture_edges(rgb: NDArray[np.uint8]) -> Depth:
    """How near each pixel is to an edge across which brightness changes, float32 [H, W] to 1."""
    grey = cv2.GaussianBlur(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (3, 3), 0)
    change = np.abs(np.asarray(cv2.Sobel(grey, cv2.CV_32F, 1, 0)))
    strong = max(float(np.percentile(change[::2, ::2], _STRONG_PERCENTILE)), 1.0)
    edges = np.minimum(change / np.float32(strong), np.float32(1.0))
    near, kernel = edges, np.ones((3, 3), np.uint8)
    for _ in range(_SPREAD_STEPS):
        near = np.maximum(edges, np.float32(_SPREAD) * np.asarray(cv2.dilate(near, kernel)))
    return np.asarray(near, np.float32)


def fit(edges: Depth, jumps: Places, *, right_px: int = 0, down_px: int = 0) -> float:
    """How well jumps lie on edges, 0 to 1, once they are moved to the right and down."""
    rows, columns = jumps[:, 0] + down_px, jumps[:, 1] + right_px
    height, width = edges.shape
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    if not inside.any():
        return 0.0
    return float(edges[rows[inside], columns[inside]].mean())


@dataclass(frozen=True, kw_only=True)
class Better(Generic[Place]):
    """Where rims fit better than where they should."""

    place: Place
    """Which of the tried places: pixels to the right and down, or pictures later."""
    fit: float
    """How well they fit there, in the mean over frames."""
    fit_as_told: float
    """How well where they should."""


def better_place(fits: Sequence[Mapping[Place, float]], told: Place) -> Better[Place] | None:
    """The tried place at which rims fit clearly better than at the place as told.

    Args:
        fits: of each frame, how well rims fit at each tried place.
        told: the place at which they should.

    Returns:
        None where no other place is better by a twentieth, or not in nearly all frames.
    """
    common = [place for place in fits[0] if all(place in frame for frame in fits)] if fits else []
    if len(fits) < FEWEST_FRAMES or told not in common:
        return None
    table = np.array([[frame[place] for place in common] for frame in fits])
    as_told = table[:, common.index(told)]
    best = int(table.mean(axis=0).argmax())
    gain = table[:, best] - as_told
    noise = float(gain.std(ddof=1)) / len(fits) ** 0.5
    least = max(_SIGNIFICANT * noise, _LEAST_GAIN * float(as_told.mean()))
    if common[best] == told or gain.mean() <= least:
        return None
    return Better(
        place=common[best], fit=float(table[:, best].mean()), fit_as_told=float(as_told.mean())
    )
