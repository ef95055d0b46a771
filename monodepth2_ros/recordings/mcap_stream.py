# SPDX-License-Identifier: Apache-2.0
"""The records of an MCAP file without its index: what is whole, and where something is not.

Format: https://mcap.dev/spec. A record is a kind (1 byte), a length (8 bytes) and its content;
behind damage, reading goes on at the next bytes that can only be a record.
"""

from __future__ import annotations

import re
import struct
import sys
from binascii import crc32
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from lz4.frame import LZ4FrameDecompressor

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAGIC = b'\x89MCAP0\r\n'
SCHEMA, CHANNEL, MESSAGE, CHUNK, STATISTICS = 0x03, 0x04, 0x05, 0x06, 0x0B
UNREADABLE = 0x00

_LEAST_LENGTH = {SCHEMA: 14, CHANNEL: 16, MESSAGE: 22, CHUNK: 40, STATISTICS: 46}
_KINDS = range(0x01, 0x10)
_HEAD = struct.Struct('<BQ')
_CHUNK_HEAD = struct.Struct('<QQQII')
_MESSAGE_HEAD = struct.Struct('<HIQQ')
_HEAD_BYTES = 64
_RUN_BYTES = 2**20
# A kind worth looking for, then a length below a terabyte.
_MAYBE_RECORD = re.compile(rb'[\x03-\x06].{5}\x00{3}', re.DOTALL)
_MAYBE_BYTES = 9


@dataclass(frozen=True, kw_only=True)
class Block:
    """A chunk, or a run of records outside of chunks."""

    position: int
    """Of its records in the file, bytes."""
    length: int
    """Bytes of its records in the file, as far as they are there."""
    compression: str = ''
    """Of its records: ``zstd``, ``lz4`` or none."""
    size: int = 0
    """Bytes of its records when unpacked; 0 if that is not said."""
    crc: int = 0
    """CRC-32 of the unpacked records; 0 if that is not said."""
    span_ns: tuple[int, int] | None = None
    """Earliest and latest stamp; None if that is not said."""
    cut_off: bool = False
    """Whether the file ends inside it."""


class Record(NamedTuple):
    """A record inside unpacked bytes."""

    kind: int
    """As in the specification, or ``UNREADABLE`` for bytes that are no record."""
    start: int
    """First byte of its content."""
    end: int
    """Behind its last byte."""


def blocks(stream: BinaryIO, size: int) -> Iterator[Block | None]:
    """Walk through a file of ``size`` bytes; None stands for a damaged place between blocks."""
    position = run_start = len(MAGIC)
    while position < size:
        head = _read(stream, position, _HEAD_BYTES)
        chunk = _chunk(head, position, size)
        end = _plain_end(head, position, size)
        if end is not None and end - run_start <= _RUN_BYTES:
            position = end
            continue
        if position > run_start:
            yield Block(position=run_start, length=position - run_start)
        run_start = position
        if chunk is not None:
            yield chunk
            position = chunk.position + chunk.length
        elif end is not None:
            yield Block(position=position, length=end - position)
            position = end
        else:
            position = _next_block(stream, position + 1, size)
            if position < size:
                yield None
        run_start = position
    if position > run_start:
        yield Block(position=run_start, length=position - run_start)


def chunk_at(stream: BinaryIO, position: int, size: int) -> Block | None:
    """The chunk at a position of a file of ``size`` bytes; None if there is none."""
    return _chunk(_read(stream, position, _HEAD_BYTES), position, size)


def is_complete(stream: BinaryIO, size: int) -> bool:
    """Whether a file ends as an MCAP file does."""
    return size > 2 * len(MAGIC) and _read(stream, size - len(MAGIC), len(MAGIC)) == MAGIC


def unpack(stream: BinaryIO, block: Block) -> tuple[bytes, bool]:
    """The records of a block, unpacked as far as possible, and whether they are intact."""
    stored = _read(stream, block.position, block.length)
    try:
        data = _unpacked(stored, block.compression)
    except (zstd.ZstdError, RuntimeError):
        return b'', False
    if block.cut_off:
        return data, True
    intact = not block.size or len(data) == block.size
    return data, intact and (not block.crc or crc32(data) == block.crc)


def records(data: bytes) -> Iterator[Record]:
    """The records in unpacked bytes."""
    position = 0
    while position < len(data):
        end = _record_end(data, position, len(data))
        if end is None:
            end = _next_record(data, position + 1)
            yield Record(UNREADABLE, position, end)
        else:
            yield Record(data[position], position + _HEAD.size, end)
        position = end


def message_head(data: bytes, record: Record) -> tuple[int, int]:
    """Channel and stamp (log time, ns) of a message record."""
    channel, _, log_time_ns, _ = _MESSAGE_HEAD.unpack_from(data, record.start)
    return channel, log_time_ns


def is_credible(stamp_ns: int, block: Block) -> bool:
    """Whether a stamp can be right: inside the chunk's time, unless a checksum has said so."""
    if block.span_ns is None or block.crc:
        return True
    return block.span_ns[0] <= stamp_ns <= block.span_ns[1]


def message_data(data: bytes, record: Record) -> bytes:
    """The data of a message record."""
    return data[record.start + _MESSAGE_HEAD.size : record.end]


def _read(stream: BinaryIO, position: int, length: int) -> bytes:
    stream.seek(position)
    return stream.read(length)


def _unpacked(stored: bytes, compression: str) -> bytes:
    """Unpack; of a stream that is cut off, what its whole blocks hold."""
    if compression == 'zstd':
        return zstd.ZstdDecompressor().decompress(stored)
    if compression == 'lz4':
        return bytes(LZ4FrameDecompressor().decompress(stored))
    return stored


def _chunk(head: bytes, position: int, size: int) -> Block | None:
    """The chunk whose first bytes these are; None if they are no chunk's."""
    fixed = _HEAD.size + _CHUNK_HEAD.size
    if len(head) < fixed + 12 or head[0] != CHUNK:
        return None
    _, length = _HEAD.unpack_from(head)
    start_ns, end_ns, unpacked, crc, letters = _CHUNK_HEAD.unpack_from(head, _HEAD.size)
    name = head[fixed : fixed + min(letters, 5)]
    if start_ns > end_ns or name not in (b'', b'lz4', b'zstd') or letters != len(name):
        return None
    (stored,) = struct.unpack_from('<Q', head, fixed + letters)
    if stored + _CHUNK_HEAD.size + letters + 8 != length:
        return None
    first = position + fixed + letters + 8
    return Block(
        position=first,
        length=min(stored, size - first),
        compression=name.decode(),
        size=unpacked,
        crc=crc,
        span_ns=(start_ns, end_ns),
        cut_off=first + stored > size,
    )


def _plain_end(head: bytes, position: int, size: int) -> int | None:
    """Where the record outside of chunks ends whose first bytes these are."""
    if len(head) < _HEAD.size or head[0] == CHUNK:
        return None
    end = _record_end(head, 0, size - position)
    return None if end is None else position + end


def _record_end(data: bytes, position: int, limit: int) -> int | None:
    """Where the record at a position ends; None if there is none that ends within the limit."""
    if position + _HEAD.size > len(data):
        return None
    kind, length = _HEAD.unpack_from(data, position)
    end = int(position + _HEAD.size + length)
    plausible = kind in _KINDS and length >= _LEAST_LENGTH.get(kind, 0)
    return end if plausible and end <= limit else None


def _next_record(data: bytes, position: int) -> int:
    """The next position at which two records follow each other, or one the other end."""
    for match in _MAYBE_RECORD.finditer(data, position):
        end = _record_end(data, match.start(), len(data))
        if end == len(data) or (end and _record_end(data, end, len(data))):
            return match.start()
    return len(data)


def _next_block(stream: BinaryIO, position: int, size: int) -> int:
    """The next position of a chunk, or of a record that another one follows."""
    while position < size:
        piece = _read(stream, position, _RUN_BYTES)
        for match in _MAYBE_RECORD.finditer(piece):
            at = position + match.start()
            head = _read(stream, at, _HEAD_BYTES)
            if _chunk(head, at, size):
                return at
            end = _plain_end(head, at, size)
            if end and _plain_end(_read(stream, end, _HEAD_BYTES), end, size):
                return at
        position += max(1, len(piece) - _MAYBE_BYTES + 1)
        if len(piece) < _RUN_BYTES:
            break
    return size
