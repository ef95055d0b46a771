# SPDX-License-Identifier: Apache-2.0
"""Raw images: right colours from every encoding, step and byte order, or a clear refusal."""

from __future__ import annotations

import array
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from monodepth2_ros.errors import ImageError, UnsupportedEncodingError
from monodepth2_ros.images import SUPPORTED_ENCODINGS, RawImage, decode, decode_unexpanded

HEIGHT, WIDTH = 6, 8
COLOUR = np.array([200, 100, 50], np.uint8)
PATTERNS = ('rggb', 'bggr', 'gbrg', 'grbg')


def raw(rows: NDArray, encoding: str, *, padding: int = 0, **changes) -> RawImage:
    """Lay rows (any dtype, [R, ...]) out with ``padding`` bytes of 0xEE after each."""
    packed = np.ascontiguousarray(rows).view(np.uint8).reshape(rows.shape[0], -1)
    padded = np.pad(packed, ((0, 0), (0, padding)), constant_values=0xEE)
    fields = {
        'height': rows.shape[0],
        'width': rows.shape[1],
        'encoding': encoding,
        'step': padded.shape[1],
        'data': padded.tobytes(),
    }
    return RawImage(**{**fields, **changes})


def picture(channels: int, dtype: type = np.uint8) -> NDArray:
    high = np.iinfo(dtype).max
    shape = (HEIGHT, WIDTH, channels)
    return np.random.default_rng(7).integers(0, high, shape, dtype, endpoint=True)


def bt601(y: NDArray, u: NDArray, v: NDArray) -> NDArray:
    """Limited-range BT.601 by its definition, in floating point: uint8 planes to RGB."""
    y, u, v = (1.164383 * (y - 16.0)).clip(0), u - 128.0, v - 128.0
    rgb = np.stack([y + 1.596027 * v, y - 0.391762 * u - 0.812968 * v, y + 2.017232 * u], -1)
    return rgb.clip(0, 255)


@pytest.mark.parametrize('padding', [0, 1, 64])
@pytest.mark.parametrize(
    ('encoding', 'order'),
    [
        ('rgb8', [0, 1, 2]),
        ('bgr8', [2, 1, 0]),
        ('8UC3', [2, 1, 0]),
        ('rgba8', [0, 1, 2]),
        ('bgra8', [2, 1, 0]),
        ('8UC4', [2, 1, 0]),
    ],
)
def test_interleaved_channels_come_out_as_rgb_for_any_step(encoding, order, padding):
    image = picture(4 if encoding in ('rgba8', 'bgra8', '8UC4') else 3)
    decoded = decode(raw(image, encoding, padding=padding))
    np.testing.assert_array_equal(decoded, image[..., order])
    assert decoded.dtype == np.uint8


@pytest.mark.parametrize('padding', [0, 1])
@pytest.mark.parametrize('encoding', ['mono8', '8UC1'])
def test_grey_is_repeated_in_all_channels(encoding, padding):
    image = picture(1)
    decoded = decode(raw(image, encoding, padding=padding))
    np.testing.assert_array_equal(decoded, np.repeat(image, 3, axis=2))


@pytest.mark.parametrize('padding', [0, 1, 2])
@pytest.mark.parametrize('big_endian', [False, True])
@pytest.mark.parametrize('encoding', ['mono16', '16UC1'])
def test_sixteen_bits_become_eight_by_257_in_either_byte_order(encoding, big_endian, padding):
    image = picture(1, np.uint16)
    image[0, :4, 0] = [0, 128, 129, 65535]
    sent = image.astype('>u2' if big_endian else '<u2')
    decoded = decode(raw(sent, encoding, padding=padding, is_bigendian=big_endian))
    np.testing.assert_array_equal(decoded, np.repeat((image + 128.0) // 257, 3, axis=2))
    assert decoded[0, :4, 0].tolist() == [0, 0, 1, 255]


@pytest.mark.parametrize('encoding', sorted(SUPPORTED_ENCODINGS))
def test_unexpanded_a_picture_is_the_same_but_grey_in_one_channel(encoding):
    message = RawImage(
        height=8, width=8, encoding=encoding, step=64, data=bytes(range(256)) * (64 * 12 // 256)
    )
    whole, plain = decode(message), decode_unexpanded(message)
    is_grey = encoding in ('mono8', 'mono16', '8UC1', '16UC1')
    assert plain.ndim == (2 if is_grey else 3)
    np.testing.assert_array_equal(np.atleast_3d(plain) + np.zeros_like(whole), whole)


def mosaic(pattern: str, dtype: type = np.uint8) -> NDArray:
    rows = np.zeros((HEIGHT, WIDTH), dtype)
    scale = 257 if dtype == np.uint16 else 1
    for index, letter in enumerate(pattern):
        rows[index // 2 :: 2, index % 2 :: 2] = int(COLOUR['rgb'.index(letter)]) * scale
    return rows


@pytest.mark.parametrize('pattern', PATTERNS)
def test_a_mosaic_of_one_colour_decodes_to_that_colour(pattern):
    decoded = decode(raw(mosaic(pattern), f'bayer_{pattern}8', padding=1))
    np.testing.assert_array_equal(decoded, np.broadcast_to(COLOUR, (HEIGHT, WIDTH, 3)))


@pytest.mark.parametrize('big_endian', [False, True])
@pytest.mark.parametrize('pattern', PATTERNS)
def test_a_sixteen_bit_mosaic_decodes_to_the_same_colour(pattern, big_endian):
    sent = mosaic(pattern, np.uint16).astype('>u2' if big_endian else '<u2')
    decoded = decode(raw(sent, f'bayer_{pattern}16', padding=1, is_bigendian=big_endian))
    np.testing.assert_array_equal(decoded, np.broadcast_to(COLOUR, (HEIGHT, WIDTH, 3)))


def test_demosaicing_is_bilinear():
    rows = np.zeros((6, 6), np.uint8)
    rows[2, 2] = 200
    decoded = decode(raw(rows, 'bayer_rggb8'))
    assert decoded[2, 1:4, 0].tolist() == [100, 200, 100]
    assert decoded[3, 1:4, 0].tolist() == [50, 100, 50]
    assert not decoded[..., 1:].any()


@pytest.mark.parametrize('padding', [0, 1, 16])
@pytest.mark.parametrize(
    ('encoding', 'order'),
    [('yuv422', 'uyvy'), ('uyvy', 'uyvy'), ('yuv422_yuy2', 'yuyv'), ('yuyv', 'yuyv')],
)
def test_packed_422_agrees_with_bt601(encoding, order, padding):
    rng = np.random.default_rng(3)
    y = rng.integers(0, 256, (HEIGHT, WIDTH), np.uint8)
    u, v = rng.integers(0, 256, (2, HEIGHT, WIDTH // 2), np.uint8)
    samples = {'u': u, 'v': v}
    luma = iter((y[:, 0::2], y[:, 1::2]))
    packed = np.stack([samples[c] if c in samples else next(luma) for c in order], -1)
    image = raw(packed.reshape(HEIGHT, WIDTH, 2), encoding, padding=padding)
    expected = bt601(y, np.repeat(u, 2, 1), np.repeat(v, 2, 1))
    np.testing.assert_allclose(decode(image), expected, atol=1.01)


@pytest.mark.parametrize('padding', [0, 1, 16])
@pytest.mark.parametrize(('encoding', 'first'), [('nv12', 'u'), ('nv21', 'v')])
def test_planar_420_agrees_with_bt601(encoding, first, padding):
    rng = np.random.default_rng(4)
    y = rng.integers(0, 256, (HEIGHT, WIDTH), np.uint8)
    u, v = rng.integers(0, 256, (2, HEIGHT // 2, WIDTH // 2), np.uint8)
    chroma = np.stack([u, v] if first == 'u' else [v, u], -1).reshape(HEIGHT // 2, WIDTH)
    image = raw(np.vstack([y, chroma]), encoding, padding=padding, height=HEIGHT)
    full = (plane.repeat(2, 0).repeat(2, 1) for plane in (u, v))
    np.testing.assert_allclose(decode(image), bt601(y, *full), atol=1.01)


@pytest.mark.parametrize('padding', [0, 1])
def test_rgb8_is_a_view_of_the_message(padding):
    image = picture(3)
    message = raw(image, 'rgb8', padding=padding)
    data = bytearray(message.data)
    decoded = decode(raw(image, 'rgb8', padding=padding, data=data))
    data[3] ^= 0xFF
    assert decoded[0, 1, 0] == data[3]


@pytest.mark.parametrize(
    'container',
    [
        bytes,
        bytearray,
        memoryview,
        lambda data: array.array('B', data),
        lambda data: np.frombuffer(data, np.uint8),
        lambda data: memoryview(data).cast('B', (HEIGHT, WIDTH * 3)),
    ],
)
def test_every_kind_of_buffer_is_read(container):
    image = picture(3)
    decoded = decode(raw(image, 'bgr8', data=container(image.tobytes())))
    np.testing.assert_array_equal(decoded, image[..., ::-1])


def test_the_last_row_may_lack_its_padding_and_more_data_may_follow():
    image = picture(3)
    full = raw(image, 'bgr8', padding=5)
    for data in (full.data[:-5], full.data + b'more'):
        decoded = decode(raw(image, 'bgr8', padding=5, data=data))
        np.testing.assert_array_equal(decoded, image[..., ::-1])


@pytest.mark.parametrize('encoding', sorted(SUPPORTED_ENCODINGS))
def test_the_smallest_image_decodes(encoding):
    layout_rows = 6
    data = bytes(4 * 2 * layout_rows)
    size = 4 if 'bayer' in encoding else 2
    step = {'rgb8': 3, 'bgr8': 3, '8UC3': 3}.get(encoding, 4) * size
    image = RawImage(
        height=size, width=size, encoding=encoding, step=step, data=data + bytes(step * 9)
    )
    assert decode(image).shape == (size, size, 3)


@pytest.mark.parametrize(
    ('changes', 'text'),
    [
        ({'height': 0}, 'size 8x0 is not positive'),
        ({'width': 0}, 'size 0x6 is not positive'),
        ({'width': -8}, 'size -8x6 is not positive'),
        ({'height': 2**32 - 1}, 'expected at most 100000000'),
        ({'width': 2**32 - 1}, 'expected at most 100000000'),
        ({'step': 0}, 'step 0: expected at least 24 bytes'),
        ({'step': 8}, 'step 8: expected at least 24 bytes'),
        ({'step': -24}, 'step -24: expected at least 24 bytes'),
        ({'step': 2**32 - 1}, 'holds 144 bytes: expected at least 21474836499'),
        ({'data': b''}, 'holds 0 bytes: expected at least 144'),
        ({'data': bytes(143)}, 'holds 143 bytes: expected at least 144'),
        ({'data': None}, 'data of type NoneType cannot be read'),
        ({'data': 'text'}, 'data of type str cannot be read'),
        ({'data': np.zeros((6, 48), np.uint8)[:, ::2]}, 'expected a contiguous buffer'),
        ({'encoding': 'nv12', 'height': 5}, 'has an odd height'),
        ({'encoding': 'yuyv', 'width': 7}, 'has an odd width'),
        ({'encoding': 'bayer_rggb8', 'width': 7}, 'has an odd width'),
        ({'encoding': 'bayer_rggb8', 'width': 2}, 'is too small'),
        ({'encoding': 'nv12', 'data': bytes(199)}, 'expected at least 200 (9 rows'),
    ],
)
def test_a_contradiction_is_refused_with_what_came_and_what_was_expected(changes, text):
    changes = dict(changes)
    with pytest.raises(ImageError) as caught:
        decode(raw(picture(3), changes.pop('encoding', 'rgb8'), **changes))
    assert text in str(caught.value)
    assert not isinstance(caught.value, UnsupportedEncodingError)


@pytest.mark.parametrize(
    ('encoding', 'text'),
    [
        ('RGB8', "did the publisher mean 'rgb8'?"),
        ('bayer_rgbg8', "did the publisher mean 'bayer_"),
        ('32FC1', "'32FC1' is not supported: expected one of 16UC1, 8UC1,"),
        ('', 'encoding is empty: expected one of'),
        ('\x00\n', r"'\x00\n' is not supported"),
        ('x' * 10_000, "x'... (10000 characters) is not supported"),
    ],
)
def test_an_unknown_encoding_is_refused_by_name(encoding, text):
    with pytest.raises(UnsupportedEncodingError) as caught:
        decode(raw(picture(3), encoding))
    assert text in str(caught.value)
    assert len(str(caught.value)) < 600


def test_more_pixels_than_allowed_are_refused():
    image = raw(picture(3), 'rgb8')
    assert decode(image, max_pixels=48).shape == (6, 8, 3)
    with pytest.raises(ImageError, match='is 48 pixels: expected at most 47'):
        decode(image, max_pixels=47)


def test_the_wrong_byte_order_would_show():
    sent = np.full((2, 2), 0x1234, np.uint16)
    image = raw(sent, 'mono16', is_bigendian=sys.byteorder == 'big')
    assert decode(image)[0, 0, 0] == 0x12
