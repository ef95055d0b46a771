# SPDX-License-Identifier: Apache-2.0
"""How far the picture moves between two frames: the median length of the optical flow.

It is measured on small pictures by OpenCV's DIS flow: enough to tell standing still from driving
and to see whether frames lie too close or too far apart, at a fraction of the cost of decoding.
"""

from __future__ import annotations

import threading
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_WIDTH = 160
_LEAST_HEIGHT = 32

_local = threading.local()


def small_picture(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Shrink a picture for :func:`motion`.

    Args:
        pixels: uint8 [C, H, W]; of colours the middle one is taken, green, the nearest to grey.

    Returns:
        uint8 [h, 160].
    """
    height, width = pixels.shape[1:]
    size = (_WIDTH, max(_LEAST_HEIGHT, round(_WIDTH * height / width)))
    plane = pixels[pixels.shape[0] // 2]
    # Areas of 2x2 pixels are what OpenCV averages fastest.
    while plane.shape[1] > 2 * _WIDTH:
        plane = cv2.resize(plane, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.uint8)


def motion(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> float:
    """Median length of the flow between two small pictures, as a share of their width."""
    # The method finds one vector for each 4x4 pixels and interpolates the others.
    flow = _flow_method().calc(before, after, None)[2::4, 2::4]
    lengths = np.sort(np.hypot(flow[..., 0], flow[..., 1]), axis=None)
    return float(lengths[lengths.size // 2]) / _WIDTH


def _flow_method() -> Any:
    """This thread's own: one is not made for two threads at once."""
    if not hasattr(_local, 'method'):
        preset = cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST
        _local.method = cv2.DISOpticalFlow.create(preset)
    return _local.method
