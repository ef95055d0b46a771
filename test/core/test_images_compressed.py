# SPDX-License-Identifier: Apache-2.0
"""Compressed images: true colours from complete files, a refusal of all that is cut or foreign."""

from __future__ import annotations

import array
import struct
import zlib

import cv2
import numpy as np
import pytest
import simplejpeg

from monodepth2_ros.errors import ImageError
from monodepth2_ros.images import CompressedImage, decode_compressed, decode_compressed_unexpanded
from monodepth2_ros.images.headers import read_size


def smooth_picture(height: int = 48, width: int = 64) -> np.ndarray:
    noise = np.random.default_rng(1).integers(0, 256, (6, 8, 3), np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR)


PICTURE = smooth_picture()
JPEG = simplejpeg.encode_jpeg(PICTURE, quality=95, colorsubsampling='444')


def encode(extension: str, picture: np.ndarray, *options: int) -> bytes:
    """Encode an RGB(A) or grey picture with OpenCV."""
    codes = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    bgr = picture if picture.ndim == 2 else cv2.cvtColor(picture, codes[picture.shape[2]])
    return cv2.imencode(extension, bgr, list(options))[1].tobytes()


def decode(data, format: str = 'jpeg', **options) -> np.ndarray:
    return decode_compressed(CompressedImage(format=format, data=data), **options)


@pytest.mark.parametrize('format', ['jpeg', 'rgb8; jpeg compressed bgr8', 'png', ''])
def test_a_jpeg_decodes_to_its_true_colours_whatever_the_format_says(format):
    np.testing.assert_allclose(decode(JPEG, format), PICTURE, atol=9)


def test_a_progressive_jpeg_decodes():
    data = encode('.jpg', PICTURE, cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_QUALITY, 95)
    np.testing.assert_allclose(decode(data), PICTURE, atol=30)


def test_a_grey_jpeg_has_three_equal_channels():
    decoded = decode(simplejpeg.encode_jpeg(PICTURE[..., :1].copy(), colorspace='GRAY'))
    assert decoded.shape == PICTURE.shape
    assert (decoded == decoded[..., :1]).all()
    np.testing.assert_allclose(decoded[..., 0], PICTURE[..., 0], atol=10)


def test_unexpanded_a_grey_jpeg_has_one_channel_and_a_colour_jpeg_three():
    grey = simplejpeg.encode_jpeg(PICTURE[..., :1].copy(), colorspace='GRAY')
    for data, ndim in ((grey, 2), (JPEG, 3)):
        plain = decode_compressed_unexpanded(CompressedImage(format='jpeg', data=data))
        assert plain.ndim == ndim
        np.testing.assert_array_equal(np.atleast_3d(plain) + np.zeros_like(PICTURE), decode(data))


def test_a_bayer_mosaic_stored_as_a_grey_jpeg_is_interpolated():
    mosaic = np.full((32, 32, 1), 100, np.uint8)
    mosaic[::2, ::2], mosaic[1::2, 1::2] = 200, 50
    data = simplejpeg.encode_jpeg(mosaic, quality=100, colorspace='GRAY')
    decoded = decode(data, 'bayer_rggb8; jpeg compressed ')
    np.testing.assert_allclose(decoded, np.broadcast_to([200, 100, 50], (32, 32, 3)), atol=3)


@pytest.mark.parametrize(('extension', 'unit'), [('.png', 1), ('.png', 257), ('.bmp', 1)])
def test_a_bayer_mosaic_in_a_lossless_file_is_interpolated(extension, unit):
    mosaic = np.full((32, 32), 100 * unit, np.uint8 if unit == 1 else np.uint16)
    mosaic[::2, ::2], mosaic[1::2, 1::2] = 200 * unit, 50 * unit
    decoded = decode(encode(extension, mosaic), 'bayer_rggb8; png compressed ')
    np.testing.assert_array_equal(decoded, np.broadcast_to([200, 100, 50], (32, 32, 3)))


def test_a_colour_picture_is_no_mosaic_whatever_the_format_says():
    data = encode('.png', PICTURE)
    np.testing.assert_array_equal(decode(data, 'bayer_rggb8; png compressed '), PICTURE)


@pytest.mark.parametrize('extension', ['.png', '.bmp'])
def test_lossless_formats_decode_exactly(extension):
    np.testing.assert_array_equal(decode(encode(extension, PICTURE)), PICTURE)


@pytest.mark.parametrize('quality', [95, 101])
def test_webp_decodes(quality):
    data = encode('.webp', PICTURE, cv2.IMWRITE_WEBP_QUALITY, quality)
    np.testing.assert_allclose(decode(data, 'webp'), PICTURE, atol=40 if quality == 95 else 0)


def test_a_sixteen_bit_png_is_divided_by_257():
    deep = PICTURE * np.uint16(257) - np.uint16(100) * (PICTURE > 0)
    np.testing.assert_array_equal(decode(encode('.png', deep)), PICTURE)
    np.testing.assert_array_equal(decode(encode('.png', deep[..., 0]))[..., 2], PICTURE[..., 0])


def test_transparency_is_dropped():
    rgba = np.dstack([PICTURE, np.full(PICTURE.shape[:2], 9, np.uint8)])
    np.testing.assert_array_equal(decode(encode('.png', rgba)), PICTURE)


def test_exif_rotation_is_ignored():
    tiff = b'II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0'
    exif = b'Exif\0\0' + tiff
    data = JPEG[:2] + b'\xff\xe1' + struct.pack('>H', len(exif) + 2) + exif + JPEG[2:]
    np.testing.assert_array_equal(decode(data), decode(JPEG))


def test_exif_rotation_of_a_png_is_ignored():
    plain = encode('.png', PICTURE)
    body = b'eXIfMM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0'
    chunk = struct.pack('>I', len(body) - 4) + body + struct.pack('>I', zlib.crc32(body))
    np.testing.assert_array_equal(decode(plain[:33] + chunk + plain[33:]), PICTURE)


@pytest.mark.parametrize(
    ('extension', 'quality', 'name'),
    [('.png', 0, 'PNG'), ('.bmp', 0, 'BMP'), ('.webp', 90, 'WebP'), ('.webp', 101, 'WebP')],
)
def test_headers_tell_width_before_height(extension, quality, name):
    options = (cv2.IMWRITE_WEBP_QUALITY, quality) if quality else ()
    assert read_size(encode(extension, PICTURE, *options)) == (name, 64, 48)


@pytest.mark.parametrize(
    'container',
    [bytearray, memoryview, lambda b: array.array('B', b), lambda b: np.frombuffer(b, np.uint8)],
)
def test_every_kind_of_buffer_is_read(container):
    np.testing.assert_array_equal(decode(container(JPEG)), decode(JPEG))


@pytest.mark.parametrize('tail', [b'\0' * 5000, b'anything', b'\0'])
def test_bytes_after_the_end_of_a_jpeg_are_ignored(tail):
    np.testing.assert_array_equal(decode(JPEG + tail), decode(JPEG))


def test_stray_bytes_before_the_end_marker_are_forgiven_as_webcams_send_them():
    data = JPEG[:-2] + bytes(range(1, 13)) + JPEG[-2:]
    np.testing.assert_array_equal(decode(data), decode(JPEG))


def with_stray_bytes_at_a_restart() -> bytes:
    data = encode('.jpg', PICTURE, cv2.IMWRITE_JPEG_RST_INTERVAL, 2)
    at = data.index(b'\xff\xd1')
    return data[:at] + bytes(range(1, 6)) + data[at:]


def test_stray_bytes_at_a_restart_marker_are_forgiven():
    clean = encode('.jpg', PICTURE, cv2.IMWRITE_JPEG_RST_INTERVAL, 2)
    np.testing.assert_array_equal(decode(with_stray_bytes_at_a_restart()), decode(clean))


def test_a_cut_off_jpeg_is_refused_behind_stray_bytes_too():
    data = with_stray_bytes_at_a_restart()
    with pytest.raises(ImageError, match='cut short'):
        decode(data[: len(data) * 3 // 4])


def with_odd_fields(data: bytes, *, scan: bytes | None = None, jfif: bytes = b'\1\1') -> bytes:
    """Other spectral selection of the scan, as IP cameras write it, or another JFIF revision."""
    start = data.rindex(b'\xff\xda')
    end = start + 2 + data[start + 3]
    data = data if scan is None else data[: end - 3] + scan + data[end:]
    revision = data.index(b'JFIF\0') + 5
    return data[:revision] + jfif + data[revision + 2 :]


ODD_FIELDS = [
    {'scan': b'\0\0\0'},
    {'scan': b'\0\x3f\1'},
    {'jfif': b'\2\1'},
    {'scan': b'\0\0\0', 'jfif': b'\0\0'},
]


@pytest.mark.parametrize('fields', ODD_FIELDS, ids=str)
@pytest.mark.parametrize('picture', [PICTURE, PICTURE[..., 0]], ids=['colour', 'grey'])
def test_odd_header_fields_of_a_whole_jpeg_are_forgiven(picture, fields):
    data = encode('.jpg', picture)
    np.testing.assert_array_equal(decode(with_odd_fields(data, **fields)), decode(data))


def test_an_odd_revision_of_a_progressive_jpeg_and_stray_bytes_behind_it_are_forgiven():
    data = encode('.jpg', PICTURE, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    np.testing.assert_array_equal(decode(with_odd_fields(data, jfif=b'\2\0')), decode(data))
    stray = JPEG[:-2] + bytes(range(1, 13)) + JPEG[-2:]
    np.testing.assert_array_equal(decode(with_odd_fields(stray, scan=b'\0\0\0')), decode(JPEG))


@pytest.mark.parametrize('fields', ODD_FIELDS, ids=str)
def test_a_damaged_jpeg_is_refused_behind_odd_header_fields_too(fields):
    data = with_odd_fields(JPEG, **fields)
    half = len(data) * 3 // 4
    for damaged in (data[:half], data[:half] + b'\xff\xd9', data[:half] + data[half + 90 :]):
        with pytest.raises(ImageError, match='cut short or damaged'):
            decode(damaged)


@pytest.mark.parametrize('share', [0.001, 0.1, 0.5, 0.9, 0.99, 0.9999])
@pytest.mark.parametrize('progressive', [0, 1])
def test_a_cut_off_jpeg_is_refused(share, progressive):
    data = encode('.jpg', PICTURE, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive)
    with pytest.raises(ImageError, match=r"format 'jpeg'.*(cut short|expected the first bytes)"):
        decode(data[: int(len(data) * share)])


@pytest.mark.parametrize('share', [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize('extension', ['.png', '.webp', '.bmp'])
def test_other_cut_off_files_are_refused(extension, share):
    data = encode(extension, PICTURE)
    with pytest.raises(ImageError, match=r'cut short|lacks its end'):
        decode(data[: int(len(data) * share)])


def test_a_damaged_png_is_refused():
    data = bytearray(encode('.png', PICTURE))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(ImageError, match=r'PNG file of .* damaged'):
        decode(data)


def png_header(width: int, height: int) -> bytes:
    body = b'IHDR' + struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    crc = struct.pack('>I', zlib.crc32(body))
    return b'\x89PNG\r\n\x1a\n\0\0\0\r' + body + crc + b'\0\0\0\0IEND\xaeB`\x82'


def jpeg_claiming(width: int, height: int) -> bytes:
    at = JPEG.index(b'\xff\xc0') + 5
    return JPEG[:at] + struct.pack('>HH', height, width) + JPEG[at + 4 :]


@pytest.mark.parametrize(
    'bomb',
    [
        png_header(20_000, 20_000),
        jpeg_claiming(20_000, 20_000),
        b'BM' + struct.pack('<IIIIiiHHI', 99, 0, 54, 40, 20_000, 20_000, 1, 0, 0) + bytes(20),
        b'RIFF\x12\0\0\0WEBPVP8X' + bytes(8) + b'\x1f\x4e\0\x1f\x4e\0',
    ],
    ids=['png', 'jpeg', 'bmp', 'webp'],
)
def test_a_claimed_huge_size_is_refused_before_decoding(bomb):
    with pytest.raises(ImageError, match='20000x20000 is 400000000 pixels: expected at most'):
        decode(bomb)


def test_max_pixels_is_the_callers():
    assert decode(JPEG, max_pixels=48 * 64).shape == PICTURE.shape
    with pytest.raises(ImageError, match='expected at most 3071'):
        decode(JPEG, max_pixels=48 * 64 - 1)


@pytest.mark.parametrize(
    ('data', 'format', 'text'),
    [
        (b'', 'jpeg', "format 'jpeg' is empty"),
        (bytes(10), 'jpeg', 'begins with 00 00 00 00 00 00 00 00: expected the first bytes of'),
        (JPEG, '16UC1; compressedDepth png', 'is a depth image'),
        (b'\0\0\0\x01\x67', 'h264', "format 'h264': compressed image begins with 00 00 00 01"),
        (b'II*\0' + bytes(100), 'tiff', 'expected the first bytes of a JPEG, PNG'),
        (b'\x89PNG\r\n\x1a\n', 'png', 'IHDR'),
        (b'BM1234', 'bmp', 'BMP header is cut short'),
        (None, 'jpeg', 'data of type NoneType cannot be read'),
        (bytes(9), 'f' * 5000, '(5000 characters)'),
    ],
)
def test_foreign_content_is_refused_by_name(data, format, text):
    with pytest.raises(ImageError) as caught:
        decode(data, format)
    assert text in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_cmyk_jpeg_is_refused():
    data = simplejpeg.encode_jpeg(np.dstack([PICTURE, PICTURE[..., 0]]), colorspace='CMYK')
    with pytest.raises(ImageError, match=r'(CMYK|YCCK) colour: expected YCbCr, RGB or grey'):
        decode(data)
