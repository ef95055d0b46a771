# SPDX-License-Identifier: Apache-2.0
"""Decode ``sensor_msgs/CompressedImage`` payloads: JPEG, PNG, WebP and BMP, told by content.

The bytes decide, not the ``format`` field, which drivers fill in many ways; it is looked at for
two cases only: compressed depth, which is refused, and a Bayer mosaic stored as a grey picture,
which is interpolated. A damaged or cut-off file is refused: decoders fill what is missing with
grey, and grey would become depth. EXIF rotation is ignored, since a calibration describes the
sensor as mounted.
"""

from __future__ import annotations

import re

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from monodepth2_ros.errors import ImageError
from monodepth2_ros.images import pixels
from monodepth2_ros.images.headers import JPEG_MAGIC, read_size
from monodepth2_ros.images.messages import (
    DEFAULT_MAX_PIXELS,
    CompressedImage,
    as_bytes,
    check_size,
    quoted,
)

# Header fields that decoders of sequential JPEGs ignore, but warn of: the warning, the field with
# an odd value, and with its usual one. Of several warnings they tell the first alone, so that
# passing these would hide damage that follows.
_ODD_FIELDS = (
    ('unknown JFIF revision', re.compile(rb'JFIF\0[^\x01].', re.DOTALL), b'JFIF\0\1\1'),
    (
        'Invalid SOS parameters for sequential JPEG',
        re.compile(
            rb'(\xff\xda\0(?:\x08\x01.{2}|\x0a\x02.{4}|\x0c\x03.{6}))(?!\0\x3f\0).{3}', re.DOTALL
        ),
        rb'\1' b'\0\x3f\0',
    ),
)
# Some webcams leave a few stray bytes at the end of every scan; all pixels are there.
_STRAY_BYTES = re.compile(r'\b\d{1,2} extraneous bytes before marker 0xd[0-79]')
REDUCTIONS = (8, 4, 2, 1)
"""By which factors a JPEG can be decoded smaller, at less cost than in full."""

_INK_COLOURS = ('CMYK', 'YCCK')
_BAYER_FORMAT = re.compile(r'bayer_(rggb|bggr|gbrg|grbg)(?:8|16)\b')


def decode_compressed(
    image: CompressedImage, *, max_pixels: int = DEFAULT_MAX_PIXELS, reduction: int = 1
) -> NDArray[np.uint8]:
    """Decode a compressed image to RGB.

    Args:
        image: the message's fields. Bytes after the picture's end, such as padding, are ignored.
        max_pixels: larger pictures are refused before they are decoded.
        reduction: for a JPEG, one of ``REDUCTIONS`` that divides both its sides; others take 1.

    Returns:
        RGB uint8 [H / reduction, W / reduction, 3], a new array; 16-bit samples v become
        round(v / 257), transparency is dropped.

    Raises:
        ImageError: the content is compressed depth, of another format, too large, cut off or
            damaged.
    """
    picture = decode_compressed_unexpanded(image, max_pixels=max_pixels, reduction=reduction)
    return picture if picture.ndim == 3 else pixels.grey(picture)


def reducible_size(image: CompressedImage) -> tuple[int, int] | None:
    """Width and height of a JPEG that may be decoded smaller; None for a mosaic and all else."""
    header = _plain_jpeg_header(image)
    return None if header is None else (header[1], header[0])


def whole_jpeg(image: CompressedImage, *, max_pixels: int) -> NDArray[np.uint8] | None:
    """The bytes of a JPEG that a decoder which tells of no damage may be given.

    None for a picture that is no JPEG, a mosaic, of more pixels or other colours, with a damaged
    header or without its end: ``decode_compressed`` decodes it or says what is wrong.
    """
    header = _plain_jpeg_header(image)
    if header is None:
        return None
    height, width, colorspace = header
    if height * width > max_pixels or colorspace in _INK_COLOURS:
        return None
    data = as_bytes(image.data)
    return data if _reaches_its_end(data.tobytes()) else None


def _plain_jpeg_header(image: CompressedImage) -> tuple[int, int, str] | None:
    """Height, width and colours of a JPEG; None for a mosaic, a damaged header and all else."""
    data = as_bytes(image.data)
    if data[:3].tobytes() != JPEG_MAGIC or _BAYER_FORMAT.match(image.format):
        return None
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return None
    return height, width, colorspace


def exact_reduction(size: tuple[int, int], *, least: tuple[int, int]) -> int:
    """The largest of ``REDUCTIONS`` that divides a picture's sides and leaves ``least``.

    Only where it divides them does the smaller picture show exactly the same field of view, which
    the half-pixel rule takes for granted.

    Args:
        size: width and height of the picture in pixels.
        least: width and height that have to remain.
    """
    for factor in REDUCTIONS:
        divides = not any(side % factor for side in size)
        if divides and size[0] >= factor * least[0] and size[1] >= factor * least[1]:
            return factor
    return 1


def decode_compressed_unexpanded(
    image: CompressedImage, *, max_pixels: int = DEFAULT_MAX_PIXELS, reduction: int = 1
) -> NDArray[np.uint8]:
    """Decode a compressed image as ``decode_compressed``, but leave a grey JPEG in one channel.

    Returns:
        RGB uint8 [H, W, 3] or grey uint8 [H, W], a new array.

    Raises:
        ImageError: as ``decode_compressed``.
    """
    if 'compressedDepth' in image.format:
        raise ImageError(
            f'format {quoted(image.format)} is a depth image: expected a colour or grey picture; '
            "remap to the camera's image topic"
        )
    data = as_bytes(image.data)
    if data.size == 0:
        raise ImageError(f'compressed image of format {quoted(image.format)} is empty')
    try:
        bayer = _BAYER_FORMAT.match(image.format)
        picture = _picture(data, max_pixels, reduction, mosaic=bayer is not None)
    except ImageError as err:
        raise ImageError(f'compressed image of format {quoted(image.format)}: {err}') from err
    if picture.ndim == 3:
        return picture
    return pixels.demosaic(bayer[1])(picture) if bayer else picture


def _picture(
    data: NDArray[np.uint8], max_pixels: int, reduction: int, *, mosaic: bool
) -> NDArray[np.uint8]:
    """Decode to RGB uint8 [H, W, 3] or grey uint8 [H, W]."""
    if data[:3].tobytes() == JPEG_MAGIC:
        return _jpeg(data, max_pixels, reduction)
    name, width, height = read_size(data.tobytes())
    check_size(width, height, max_pixels)
    return _by_opencv(data, name, mosaic=mosaic)


def _jpeg(data: NDArray[np.uint8], max_pixels: int, reduction: int) -> NDArray[np.uint8]:
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
        check_size(width, height, max_pixels)
        if colorspace in _INK_COLOURS:
            raise ImageError(f'JPEG of {colorspace} colour: expected YCbCr, RGB or grey')
        colorspace = 'GRAY' if colorspace == 'Gray' else 'RGB'
        options = {'min_height': height // reduction, 'min_width': width // reduction}
        pixels_out = _jpeg_pixels(data, colorspace, options if reduction > 1 else {})
    except ValueError as err:
        usual = _with_usual_field(data, str(err))
        if usual is not None:
            return _jpeg(usual, max_pixels, reduction)
        raise ImageError(
            f'JPEG of {data.size} bytes is cut short or damaged: {err}; '
            'check the link to the camera'
        ) from err
    return pixels_out[..., 0] if colorspace == 'GRAY' else pixels_out


def _jpeg_pixels(
    data: NDArray[np.uint8], colorspace: str, options: dict[str, int]
) -> NDArray[np.uint8]:
    """Decode strictly; only stray bytes before the markers of a complete picture pass."""
    try:
        return np.asarray(simplejpeg.decode_jpeg(data, colorspace, **options), np.uint8)
    except ValueError as err:
        if not (_STRAY_BYTES.search(str(err)) and _reaches_its_end(data.tobytes())):
            raise
    return np.asarray(simplejpeg.decode_jpeg(data, colorspace, strict=False, **options), np.uint8)


def _with_usual_field(data: NDArray[np.uint8], warning: str) -> NDArray[np.uint8] | None:
    """The file with the usual value in the field that was warned of; None if it is no odd one."""
    for text, odd, usual in _ODD_FIELDS:
        if text in warning:
            changed, count = odd.subn(usual, data.tobytes())
            return np.frombuffer(changed, np.uint8) if count else None
    return None


def _reaches_its_end(data: bytes) -> bool:
    """Whether the marker of the end follows that of the last scan; neither occurs within one."""
    return data.rfind(b'\xff\xd9') > data.rfind(b'\xff\xda')


def _by_opencv(data: NDArray[np.uint8], name: str, *, mosaic: bool) -> NDArray[np.uint8]:
    kind = cv2.IMREAD_ANYCOLOR if mosaic else cv2.IMREAD_COLOR
    flags = kind | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        bgr = cv2.imdecode(data, flags)
    except cv2.error as err:
        raise ImageError(f'{name} file is damaged: {str(err).strip()}') from err
    if bgr is None or bgr.dtype not in (np.uint8, np.uint16):
        raise ImageError(f'{name} file of {data.size} bytes is damaged or of an unusual kind')
    picture = pixels.to_eight_bits(bgr)
    if picture.ndim == 2:
        return picture
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
