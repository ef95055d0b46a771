# SPDX-License-Identifier: Apache-2.0
"""Decode ``sensor_msgs/Image`` payloads: any legal step, either byte order, no copy for rgb8.

``8UC3`` and ``8UC4`` carry no channel order; they are read as bgr8 and bgra8, which is what
cv_bridge and the OpenCV drivers that use these names mean. YUV is ITU-R BT.601 in limited range
(16 to 235), as OpenCV and the v4l2 drivers have it.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import ImageError, UnsupportedEncodingError
from monodepth2_ros.images import pixels
from monodepth2_ros.images.messages import (
    DEFAULT_MAX_PIXELS,
    RawImage,
    as_bytes,
    check_size,
    quoted,
)


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """How one encoding lies in memory."""

    to_rgb: pixels.ToRgb
    """Conversion of the rows."""
    bytes_per_pixel: int
    """Bytes of a row per column."""
    bits: int = 8
    """Bits of a sample: 8 or 16."""
    even_width: bool = False
    """Whether two columns share colour."""
    even_height: bool = False
    """Whether two rows share colour."""
    minimum: int = 1
    """Smallest width and height."""
    chroma_rows: bool = False
    """Whether height / 2 rows of colour follow the image's rows."""


def _bayer_layouts() -> dict[str, _Layout]:
    return {
        f'bayer_{pattern}{bits}': _Layout(
            to_rgb=pixels.demosaic(pattern),
            bytes_per_pixel=bits // 8,
            bits=bits,
            even_width=True,
            even_height=True,
            minimum=4,
        )
        for pattern in ('rggb', 'bggr', 'gbrg', 'grbg')
        for bits in (8, 16)
    }


def _channels(code: int, channels: int) -> _Layout:
    return _Layout(to_rgb=pixels.cast_channels(code, channels), bytes_per_pixel=channels)


def _packed_422(code: int) -> _Layout:
    return _Layout(to_rgb=pixels.cast_channels(code, 2), bytes_per_pixel=2, even_width=True)


def _planar_420(code: int) -> _Layout:
    return _Layout(
        to_rgb=pixels.planar_420(code),
        bytes_per_pixel=1,
        even_width=True,
        even_height=True,
        chroma_rows=True,
    )


_GREY_8 = _Layout(to_rgb=pixels.grey, bytes_per_pixel=1)
_GREY_16 = _Layout(to_rgb=pixels.grey, bytes_per_pixel=2, bits=16)

_LAYOUTS: dict[str, _Layout] = {
    'rgb8': _Layout(to_rgb=pixels.view_rgb, bytes_per_pixel=3),
    'bgr8': _channels(cv2.COLOR_BGR2RGB, 3),
    'rgba8': _channels(cv2.COLOR_RGBA2RGB, 4),
    'bgra8': _channels(cv2.COLOR_BGRA2RGB, 4),
    'mono8': _GREY_8,
    'mono16': _GREY_16,
    '8UC1': _GREY_8,
    '8UC3': _channels(cv2.COLOR_BGR2RGB, 3),
    '8UC4': _channels(cv2.COLOR_BGRA2RGB, 4),
    '16UC1': _GREY_16,
    'yuv422': _packed_422(cv2.COLOR_YUV2RGB_UYVY),
    'uyvy': _packed_422(cv2.COLOR_YUV2RGB_UYVY),
    'yuv422_yuy2': _packed_422(cv2.COLOR_YUV2RGB_YUY2),
    'yuyv': _packed_422(cv2.COLOR_YUV2RGB_YUY2),
    'nv12': _planar_420(cv2.COLOR_YUV2RGB_NV12),
    'nv21': _planar_420(cv2.COLOR_YUV2RGB_NV21),
    **_bayer_layouts(),
}

SUPPORTED_ENCODINGS: frozenset[str] = frozenset(_LAYOUTS)
"""The encodings that ``decode`` understands; names are case sensitive, as in sensor_msgs."""


def decode(image: RawImage, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> NDArray[np.uint8]:
    """Decode a raw image to RGB.

    Args:
        image: the message's fields. The last row may lack its padding; bytes after it are ignored.
        max_pixels: larger images are refused.

    Returns:
        RGB uint8 [H, W, 3]. For rgb8 a view of ``image.data`` that may be read-only and may have
        padded rows; else a new array.

    Raises:
        UnsupportedEncodingError: the encoding is not in ``SUPPORTED_ENCODINGS``.
        ImageError: size, step or data contradict each other or the encoding.
    """
    return _decode(image, max_pixels, _LAYOUTS.get(image.encoding))


def rows_of(image: RawImage, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> pixels.Rows:
    """View the rows of a raw image without their padding, checked as ``decode`` checks them.

    Returns:
        uint8 or uint16 [R, samples]; may be read-only.

    Raises:
        ImageError: as ``decode``.
    """
    return _checked_rows(image, max_pixels, _LAYOUTS.get(image.encoding))[0]


def decode_unexpanded(
    image: RawImage, *, max_pixels: int = DEFAULT_MAX_PIXELS
) -> NDArray[np.uint8]:
    """Decode a raw image as ``decode``, but leave a grey one in one channel.

    Returns:
        RGB uint8 [H, W, 3] or grey uint8 [H, W]; may be a read-only view of ``image.data``.

    Raises:
        ImageError: as ``decode``.
    """
    layout = _LAYOUTS.get(image.encoding)
    if layout in (_GREY_8, _GREY_16):
        layout = replace(layout, to_rgb=pixels.to_eight_bits)
    return _decode(image, max_pixels, layout)


def _decode(image: RawImage, max_pixels: int, layout: _Layout | None) -> NDArray[np.uint8]:
    """Check the message and convert its rows."""
    rows, layout = _checked_rows(image, max_pixels, layout)
    try:
        return layout.to_rgb(rows)
    except cv2.error as err:
        raise ImageError(
            f'{_describe(image)} cannot be converted to RGB by OpenCV: {str(err).strip()}'
        ) from err


def _checked_rows(
    image: RawImage, max_pixels: int, layout: _Layout | None
) -> tuple[pixels.Rows, _Layout]:
    """Check the message, and view its rows."""
    check_size(image.width, image.height, max_pixels)
    if layout is None:
        raise UnsupportedEncodingError(_unsupported(image.encoding))
    _check_parity(image, layout)
    return _rows(image, layout), layout


def _rows(image: RawImage, layout: _Layout) -> pixels.Rows:
    """View the rows without their padding: uint8 or uint16 [R, samples]."""
    data = as_bytes(image.data)
    row_bytes = image.width * layout.bytes_per_pixel
    rows = image.height * 3 // 2 if layout.chroma_rows else image.height
    if image.step < row_bytes:
        raise ImageError(
            f'{_describe(image)} has step {image.step}: expected at least {row_bytes} bytes a '
            'row; correct step, width or encoding in the publisher'
        )
    expected = image.step * (rows - 1) + row_bytes
    if data.size < expected:
        raise ImageError(
            f'{_describe(image)} holds {data.size} bytes: expected at least {expected} ({rows} '
            f'rows with step {image.step}); the publisher cut it short or names another encoding'
        )
    strides = (image.step, 1)
    view: NDArray[np.uint8] = np.ndarray((rows, row_bytes), np.uint8, data, strides=strides)
    if layout.bits == 16:
        return view.view('>u2' if image.is_bigendian else '<u2')
    return view


def _check_parity(image: RawImage, layout: _Layout) -> None:
    if min(image.width, image.height) < layout.minimum:
        raise ImageError(
            f'{_describe(image)} is too small: expected at least {layout.minimum} columns and rows'
        )
    odd_width = layout.even_width and image.width % 2
    odd_height = layout.even_height and image.height % 2
    if odd_width or odd_height:
        side = 'width' if odd_width else 'height'
        raise ImageError(
            f'{_describe(image)} has an odd {side}: expected an even one, since neighbouring '
            'pixels share their colour samples; crop the image in the camera driver'
        )


def _describe(image: RawImage) -> str:
    return f'{image.encoding} image of {image.width}x{image.height}'


def _unsupported(encoding: str) -> str:
    known = ', '.join(sorted(SUPPORTED_ENCODINGS))
    if not encoding:
        return f'image encoding is empty: expected one of {known}'
    by_folded = {name.casefold(): name for name in sorted(SUPPORTED_ENCODINGS)}
    near = difflib.get_close_matches(encoding[:40].casefold(), list(by_folded), n=1)
    hint = f'; did the publisher mean {by_folded[near[0]]!r}?' if near else ''
    return f'image encoding {quoted(encoding)} is not supported: expected one of {known}{hint}'
