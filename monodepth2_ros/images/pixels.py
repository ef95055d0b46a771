# SPDX-License-Identifier: Apache-2.0
"""Conversions from the rows of a raw image to RGB, one function a family of encodings.

Each takes ``rows``, a view uint8 [R, bytes] or uint16 [R, samples] of the rows without their
padding, and returns RGB uint8 [H, W, 3]. 16-bit values v become round(v / 257), as in cv_bridge,
so that 65535 becomes 255.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Rows = NDArray[Any]
ToRgb = Callable[[Rows], NDArray[np.uint8]]

# OpenCV names a mosaic by the second and third pixel of its second row, ROS by the first two
# rows' first two pixels.
_BAYER_CODES = {
    'rggb': cv2.COLOR_BayerBG2RGB,
    'bggr': cv2.COLOR_BayerRG2RGB,
    'gbrg': cv2.COLOR_BayerGR2RGB,
    'grbg': cv2.COLOR_BayerGB2RGB,
}


def to_eight_bits(samples: Rows) -> NDArray[np.uint8]:
    """Scale uint16 to uint8 by round(v / 257); uint8 is returned as it is."""
    if samples.dtype == np.uint8:
        return samples
    native = np.require(samples, np.uint16, ['A'])
    return np.asarray(cv2.convertScaleAbs(native, alpha=1.0 / 257.0), np.uint8)


def view_rgb(rows: Rows) -> NDArray[np.uint8]:
    """View rgb8 rows as an image: no copy, whatever the padding."""
    return rows.reshape(rows.shape[0], -1, 3)


def cast_channels(code: int, channels: int) -> ToRgb:
    """Build the conversion of rows with ``channels`` samples a pixel by an OpenCV code."""

    def convert(rows: Rows) -> NDArray[np.uint8]:
        image = rows.reshape(rows.shape[0], -1, channels)
        return np.asarray(cv2.cvtColor(image, code), np.uint8)

    return convert


def grey(rows: Rows) -> NDArray[np.uint8]:
    """Repeat one sample a pixel in all three channels."""
    return np.asarray(cv2.cvtColor(to_eight_bits(rows), cv2.COLOR_GRAY2RGB), np.uint8)


def demosaic(pattern: str) -> ToRgb:
    """Build the bilinear interpolation of a Bayer mosaic.

    Args:
        pattern: the colours of the top left 2x2 pixels, row by row: rggb, bggr, gbrg or grbg.
    """
    code = _BAYER_CODES[pattern]

    def convert(rows: Rows) -> NDArray[np.uint8]:
        return np.asarray(cv2.cvtColor(to_eight_bits(rows), code), np.uint8)

    return convert


def planar_420(code: int) -> ToRgb:
    """Build a conversion of H rows of luma followed by H / 2 rows of interleaved colour."""

    def convert(rows: Rows) -> NDArray[np.uint8]:
        return np.asarray(cv2.cvtColor(rows, code), np.uint8)

    return convert
