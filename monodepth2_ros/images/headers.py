# SPDX-License-Identifier: Apache-2.0
"""Read the size of PNG, WebP and BMP files from their headers, before any pixel is decoded.

A picture of 100 kB can claim 20,000 x 20,000 pixels; its header says so in its first bytes. The
same look tells whether the file's end is there, so that a cut file is refused by name and not by
a decoder's guess.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from monodepth2_ros.errors import ImageError

JPEG_MAGIC = b'\xff\xd8\xff'
_PNG_MAGIC = b'\x89PNG\r\n\x1a\n'
_PNG_END = b'IEND\xaeB`\x82'

SizeReader = Callable[[bytes], 'tuple[int, int]']


def read_size(data: bytes) -> tuple[str, int, int]:
    """Read format name, width and height of a PNG, WebP or BMP file.

    Args:
        data: the whole file.

    Returns:
        name, width, height; the size is as claimed and not yet checked.

    Raises:
        ImageError: the header is none of these, incomplete, or the file's end is missing.
    """
    for name, matches, reader in _FORMATS:
        if matches(data):
            try:
                width, height = reader(data)
            except struct.error as err:
                raise ImageError(f'{name} header is cut short: {len(data)} bytes came') from err
            return name, width, height
    raise ImageError(
        f'compressed image begins with {data[:8].hex(" ")}: expected the first bytes of a JPEG, '
        'PNG, WebP or BMP file'
    )


def _png_size(data: bytes) -> tuple[int, int]:
    if data[12:16] != b'IHDR':
        raise ImageError('PNG file does not begin with its IHDR chunk: it is damaged')
    width, height = struct.unpack_from('>II', data, 16)
    if _PNG_END not in data[-4096:]:
        raise ImageError(f'PNG file of {len(data)} bytes lacks its end: it was cut short')
    return width, height


def _bmp_size(data: bytes) -> tuple[int, int]:
    offset, header_bytes, width, height = struct.unpack_from('<IIii', data, 10)
    bits, compression = struct.unpack_from('<HI', data, 28)
    if header_bytes < 40 or compression not in (0, 3):
        raise ImageError('BMP file is of an old or run-length coded kind: expected a plain one')
    if len(data) < offset + (abs(width) * bits + 31) // 32 * 4 * abs(height):
        raise ImageError(f'BMP file of {len(data)} bytes is cut short')
    return abs(width), abs(height)


def _webp_size(data: bytes) -> tuple[int, int]:
    (riff_bytes,) = struct.unpack_from('<I', data, 4)
    if len(data) < riff_bytes + 8:
        raise ImageError(
            f'WebP file holds {len(data)} of {riff_bytes + 8} bytes: it was cut short'
        )
    kind = data[12:16]
    if kind == b'VP8 ':
        width, height = struct.unpack_from('<HH', data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b'VP8L':
        (bits,) = struct.unpack_from('<I', data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b'VP8X':
        low_x, high_x, low_y, high_y = struct.unpack_from('<HBHB', data, 24)
        return low_x + (high_x << 16) + 1, low_y + (high_y << 16) + 1
    raise ImageError(f'WebP file begins with an unknown chunk {kind!r}')


_FORMATS: tuple[tuple[str, Callable[[bytes], bool], SizeReader], ...] = (
    ('PNG', lambda data: data.startswith(_PNG_MAGIC), _png_size),
    ('WebP', lambda data: data[:4] == b'RIFF' and data[8:12] == b'WEBP', _webp_size),
    ('BMP', lambda data: data.startswith(b'BM'), _bmp_size),
)
