# SPDX-License-Identifier: Apache-2.0
"""No image message, however broken, raises anything but ImageError or gives anything but RGB."""

from __future__ import annotations

import cv2
import numpy as np
import simplejpeg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monodepth2_ros.errors import ImageError
from monodepth2_ros.images import (
    SUPPORTED_ENCODINGS,
    CompressedImage,
    RawImage,
    decode,
    decode_compressed,
)

MAX_PIXELS = 4096
QUICK = settings(
    max_examples=400, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)

sizes = st.one_of(st.integers(-2, 40), st.sampled_from([2**15, 2**16, 2**31, 2**32 - 1]))
encodings = st.one_of(st.sampled_from(sorted(SUPPORTED_ENCODINGS)), st.text(max_size=12))
steps = st.one_of(st.integers(-5, 200), st.sampled_from([2**31, 2**32 - 1]))

_PICTURE = cv2.resize(np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8), (40, 24))
_FILES = [
    simplejpeg.encode_jpeg(_PICTURE),
    simplejpeg.encode_jpeg(_PICTURE, colorspace='RGB', colorsubsampling='420'),
    *(cv2.imencode(extension, _PICTURE)[1].tobytes() for extension in ('.png', '.webp', '.bmp')),
]


def assert_rgb(picture: np.ndarray) -> None:
    assert picture.dtype == np.uint8
    assert picture.ndim == 3
    assert picture.shape[2] == 3
    assert 1 <= picture.shape[0] * picture.shape[1] <= MAX_PIXELS


@QUICK
@given(sizes, sizes, encodings, steps, st.booleans(), st.integers(0, 9000))
def test_any_raw_message_gives_rgb_or_an_image_error(height, width, encoding, step, big, length):
    image = RawImage(
        height=height,
        width=width,
        encoding=encoding,
        step=step,
        is_bigendian=big,
        data=bytes(length),
    )
    try:
        picture = decode(image, max_pixels=MAX_PIXELS)
    except ImageError:
        return
    assert_rgb(picture)
    assert picture.shape[:2] == (height, width)


@QUICK
@given(
    st.integers(1, 20),
    st.integers(1, 20),
    st.sampled_from(sorted(SUPPORTED_ENCODINGS)),
    st.integers(0, 9),
    st.integers(-3, 3),
)
def test_any_nearly_right_message_gives_rgb_or_an_image_error(
    half_height, half_width, encoding, padding, missing
):
    height, width = 2 * half_height, 2 * half_width
    step = 4 * width + padding
    image = RawImage(
        height=height,
        width=width,
        encoding=encoding,
        step=step,
        data=np.full(max(0, step * height * 3 // 2 - missing * step // 3), 77, np.uint8),
    )
    try:
        assert_rgb(decode(image, max_pixels=MAX_PIXELS))
    except ImageError:
        return


@QUICK
@given(st.sampled_from(_FILES), st.data())
def test_any_damaged_file_gives_rgb_or_an_image_error(file, draw):
    data = bytearray(file)
    for _ in range(draw.draw(st.integers(0, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    cut = draw.draw(st.one_of(st.just(len(data)), st.integers(0, len(data))))
    try:
        picture = decode_compressed(
            CompressedImage(format='jpeg', data=bytes(data[:cut])), max_pixels=MAX_PIXELS
        )
    except ImageError:
        return
    assert_rgb(picture)


@QUICK
@given(
    st.text(max_size=20),
    st.sampled_from([b'', b'\xff\xd8\xff', b'\x89PNG\r\n\x1a\n', b'BM', b'RIFF\0\0\0\0WEBPVP8 ']),
    st.binary(max_size=300),
)
def test_any_bytes_give_rgb_or_an_image_error(format, magic, tail):
    try:
        picture = decode_compressed(
            CompressedImage(format=format, data=magic + tail), max_pixels=MAX_PIXELS
        )
    except ImageError:
        return
    assert_rgb(picture)
