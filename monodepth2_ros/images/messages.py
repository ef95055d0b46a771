# SPDX-License-Identifier: Apache-2.0
"""What an image message says, without ROS, and the checks that raw and compressed images share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import ImageError

DEFAULT_MAX_PIXELS = 100_000_000
"""Largest image that is decoded, in pixels: far above any camera, far below a machine's memory."""


@dataclass(frozen=True, kw_only=True)
class RawImage:
    """The fields of a ``sensor_msgs/Image``, with their meaning and without its header."""

    height: int
    """Rows of the image; ``nv12`` and ``nv21`` carry half as many rows of colour after them."""
    width: int
    """Columns."""
    encoding: str
    """A name of ``SUPPORTED_ENCODINGS``, exactly as spelled there."""
    step: int
    """Bytes from one row to the next, padding included."""
    is_bigendian: bool = False
    """Byte order of 16-bit samples; without meaning for others."""
    data: Any = field(repr=False)
    """Any contiguous buffer: bytes, bytearray, memoryview, array.array or numpy array."""


@dataclass(frozen=True, kw_only=True)
class CompressedImage:
    """The fields of a ``sensor_msgs/CompressedImage``, without its header."""

    format: str
    """As image_transport writes it, such as ``bgr8; jpeg compressed bgr8``."""
    data: Any = field(repr=False)
    """The file's bytes in any contiguous buffer."""


def as_bytes(data: Any) -> NDArray[np.uint8]:
    """View a contiguous buffer as uint8 [N], without a copy.

    Raises:
        ImageError: ``data`` is no contiguous buffer.
    """
    try:
        view = memoryview(data)
        if view.nbytes == 0:
            return np.empty(0, np.uint8)
        return np.frombuffer(view.cast('B'), np.uint8)
    except (TypeError, ValueError, BufferError) as err:
        raise ImageError(
            f'image data of type {type(data).__name__} cannot be read: expected a contiguous '
            f'buffer such as bytes, array.array or a numpy array ({err})'
        ) from err


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Refuse sizes that are not positive and those of more than ``max_pixels`` pixels.

    Raises:
        ImageError: naming the size and the limit.
    """
    if width < 1 or height < 1:
        raise ImageError(
            f'image size {width}x{height} is not positive: expected at least 1x1; '
            'check that the camera driver is running and configured'
        )
    if width * height > max_pixels:
        raise ImageError(
            f'image size {width}x{height} is {width * height} pixels: expected at most '
            f'{max_pixels}; lower the camera resolution or raise max_pixels'
        )


def quoted(text: str) -> str:
    """Quote text from a message for an error line: escaped, and cut to 40 characters."""
    return repr(text) if len(text) <= 40 else f'{text[:40]!r}... ({len(text)} characters)'
