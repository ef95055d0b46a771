# SPDX-License-Identifier: Apache-2.0
"""The rows of an SQLite file read page by page, without its trees, so that damage costs only rows.

Format: https://www.sqlite.org/fileformat.html. A leaf page of a table holds cells; what does not
fit into a cell follows in a chain of overflow pages. A row whose chain is broken is no row.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from monodepth2_ros.errors import RecordingError

_MAGIC = b'SQLite format 3\x00'
_TABLE_LEAF = 0x0D
_LEAF_HEAD_BYTES = 8
_FIRST_BLOB, _FIRST_TEXT = 12, 13
_SMALL_SIZES = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)
_PAGES_AT_ONCE = 512


class Column(NamedTuple):
    """Where a column is in the payload of its row."""

    type: int
    """Serial type: 0 NULL, 1 to 6 and 8 to 9 integers, from 12 even blobs and odd texts."""
    start: int
    """First byte."""
    end: int
    """Behind its last byte."""

    @property
    def is_integer(self) -> bool:
        """Whether it holds an integer."""
        return 1 <= self.type <= 6 or 8 <= self.type <= 9

    @property
    def is_blob(self) -> bool:
        """Whether it holds bytes."""
        return self.type >= _FIRST_BLOB and self.type % 2 == 0

    @property
    def is_text(self) -> bool:
        """Whether it holds text."""
        return self.type >= _FIRST_TEXT and self.type % 2 == 1

    def integer(self, payload: bytes) -> int:
        """The integer in it."""
        if self.type in (8, 9):
            return self.type - 8
        return int.from_bytes(payload[self.start : self.end], 'big', signed=True)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of any table."""

    number: int
    """Its rowid."""
    columns: tuple[Column, ...]
    """In the order of the table."""
    size: int
    """Bytes of the whole payload."""
    local: bytes
    """What of the payload is in the leaf page."""
    overflow: int
    """Page on which the rest begins; 0 if there is none."""


class SqlitePages:
    """The pages of a database file."""

    def __init__(self, stream: BinaryIO) -> None:
        """Read the header.

        Raises:
            RecordingError: the file does not begin as an SQLite file does.
        """
        self._stream = stream
        head = self._bytes(0, 100)
        if len(head) < 100 or not head.startswith(_MAGIC):
            raise RecordingError('its header is damaged')
        (page_bytes,) = struct.unpack_from('>H', head, 16)
        self._page_bytes = 65536 if page_bytes == 1 else page_bytes
        self._usable = self._page_bytes - head[20]
        if self._page_bytes < 512 or self._page_bytes % 512 or self._usable < 480:
            raise RecordingError('its header is damaged')
        self.size = stream.seek(0, os.SEEK_END)
        self._pages = self.size // self._page_bytes
        (claimed,) = struct.unpack_from('>I', head, 28)
        self.cut_off = self._pages < claimed or self.size % self._page_bytes != 0

    def leaves(self) -> Iterator[int]:
        """Numbers of the pages that may hold rows, in the order of the file."""
        for first in range(0, self._pages, _PAGES_AT_ONCE):
            count = min(_PAGES_AT_ONCE, self._pages - first)
            pages = self._rows_of_bytes(first + 1, count)
            yield from (first + 1 + int(at) for at in np.flatnonzero(pages[:, 0] == _TABLE_LEAF))

    def rows(self, leaf: int) -> Iterator[Row | None]:
        """The rows of a leaf page; None stands for one that is damaged."""
        page = self._bytes((leaf - 1) * self._page_bytes, self._page_bytes)
        (cells,) = struct.unpack_from('>H', page, 3)
        if _LEAF_HEAD_BYTES + 2 * cells > len(page):
            return
        for (position,) in struct.iter_unpack('>H', page[8 : 8 + 2 * cells]):
            try:
                yield self._row(page, position)
            except (IndexError, struct.error):
                yield None

    def payload(self, row: Row) -> bytes | None:
        """The whole payload of a row; None if a part of it is lost."""
        parts, page = [row.local], row.overflow
        missing = row.size - len(row.local)
        while missing > 0:
            pages = self._chain(page, -(-missing // (self._usable - 4)))
            if not len(pages):
                return None
            parts.append(pages[:, 4 : self._usable].tobytes()[:missing])
            missing -= len(parts[-1])
            page = int.from_bytes(pages[-1, :4].tobytes(), 'big')
        return b''.join(parts) if page == 0 else None

    def _chain(self, page: int, count: int) -> Any:
        """The next overflow pages as far as they lie side by side, uint8 [n, bytes]."""
        if not 1 < page <= self._pages:
            return np.zeros((0, self._page_bytes), np.uint8)
        pages = self._rows_of_bytes(page, min(count, self._pages - page + 1))
        following = pages[:, :4].copy().view('>u4')[:, 0]
        breaks = np.flatnonzero(following[:-1] != np.arange(page + 1, page + len(pages)))
        return pages[: breaks[0] + 1] if len(breaks) else pages

    def _row(self, page: bytes, position: int) -> Row:
        size, position = _varint(page, position)
        number, position = _varint(page, position)
        local = self._local_bytes(size)
        content = page[position : position + local]
        overflow = 0
        if local < size:
            (overflow,) = struct.unpack_from('>I', page, position + local)
        columns = _columns(content)
        if len(content) < local or size > self.size or columns[-1].end != size:
            raise IndexError(f'a row of {size} bytes does not add up')
        return Row(number=number, columns=columns, size=size, local=content, overflow=overflow)

    def _local_bytes(self, size: int) -> int:
        """Bytes of a payload that are in the leaf page itself."""
        if size <= self._usable - 35:
            return size
        least = (self._usable - 12) * 32 // 255 - 23
        local = least + (size - least) % (self._usable - 4)
        return local if local <= self._usable - 35 else least

    def _rows_of_bytes(self, page: int, count: int) -> Any:
        """Some pages, uint8 [count, bytes]."""
        data = self._bytes((page - 1) * self._page_bytes, count * self._page_bytes)
        return np.frombuffer(data, np.uint8).reshape(-1, self._page_bytes)

    def _bytes(self, position: int, length: int) -> bytes:
        self._stream.seek(position)
        return self._stream.read(length)


def _columns(payload: bytes) -> tuple[Column, ...]:
    end, position = _varint(payload, 0)
    header, columns = end, []
    while position < header:
        kind, position = _varint(payload, position)
        size = _SMALL_SIZES[kind] if kind < len(_SMALL_SIZES) else (kind - 12) // 2
        columns.append(Column(kind, end, end + size))
        end += size
    if position != header or not columns:
        raise IndexError('the header of a row does not add up')
    return tuple(columns)


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """A number of 1 to 9 bytes, and where it ends."""
    value = 0
    for at in range(position, position + 8):
        value = value << 7 | data[at] & 0x7F
        if data[at] < 0x80:
            return value, at + 1
    return value << 8 | data[position + 8], position + 9
