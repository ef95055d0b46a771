# SPDX-License-Identifier: Apache-2.0
"""Rectify many pictures of one camera in one thread: a window of them, strip by strip.

The source of a strip, its part of the maps and its result stay in the processor's caches. With
whole pictures each of these goes out to memory before it is read again, most of all where other
programs use the caches, too: rectification then takes up to twice the time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.geometry.camera import Window
from monodepth2_ros.geometry.rectification import Rectifier, remap_rgb

_ROWS = 64
"""Rows of a strip: a lens bends each of them over some tens of rows of its source."""


class _Strip(NamedTuple):
    """Some rows of the window and where they come from."""

    rows: slice
    """Rows of the result."""
    source_rows: slice
    """Rows of the raw picture that they are made of."""
    map_x: NDArray[np.float32]
    """Columns in the raw picture, [rows, width]."""
    map_y: NDArray[np.float32]
    """Rows in the raw picture, counted from the first of ``source_rows``."""


class StripRectifier:
    """Rectifies a window of pictures [H, W] or [H, W, 3]; may be called in several threads."""

    def __init__(self, rectifier: Rectifier, window: Window) -> None:
        """Cut the maps of ``window``, a part of the rectified picture, into strips."""
        self._shape = window.height, window.width
        self._strips = list(_strips(*rectifier.maps_px(window), rectifier.camera.height))

    def __call__(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """Rectify four grey pictures, or one in colour, bilinearly.

        Each comes out as from ``Rectifier.rectify``.

        Args:
            pictures: four of uint8 [H, W], or one of uint8 [H, W, 3], of the calibration's size.

        Returns:
            uint8 [h, w, 4] of the window's size, the pictures as its channels, or RGB uint8
            [h, w, 3]; black where not valid.
        """
        is_rgb = pictures[0].ndim == 3
        rectified = np.empty((*self._shape, 3 if is_rgb else 4), np.uint8)
        for strip in self._strips:
            parts = [picture[strip.source_rows] for picture in pictures]
            maps, part = (strip.map_x, strip.map_y), rectified[strip.rows]
            if is_rgb:
                remap_rgb(parts[0], *maps, out=part)
            else:
                cv2.remap(interleaved(parts), *maps, cv2.INTER_LINEAR, dst=part)
        return rectified


def interleaved(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Pictures [H, W] as the channels of one [H, W, C]."""
    shape = (*pictures[0].shape, len(pictures))
    # OpenCV writes past the caches where memory is aligned; rectification would wait for it.
    odd = np.empty(math.prod(shape) + 1, np.uint8)[1:]
    return np.asarray(cv2.merge(pictures, odd.reshape(shape)), np.uint8)


def _strips(
    map_x: NDArray[np.float32], map_y: NDArray[np.float32], height: int
) -> Iterator[_Strip]:
    """Cut maps [h, w] into a picture of ``height`` rows; where they are negative is no source."""
    for start in range(0, len(map_y), _ROWS):
        rows = slice(start, min(start + _ROWS, len(map_y)))
        sources = map_y[rows]
        inside = sources[sources >= 0.0]
        first = math.floor(inside.min(initial=height - 1))
        # Bilinear: the row above and the one below.
        source_rows = slice(first, min(height, math.floor(inside.max(initial=first)) + 2))
        yield _Strip(rows, source_rows, map_x[rows], sources - np.float32(first))
