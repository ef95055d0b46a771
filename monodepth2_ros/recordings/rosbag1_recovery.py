# SPDX-License-Identifier: Apache-2.0
"""Recovers the messages of a ROS 1 bag without index: cut off, or of a recorder that was killed.

The records follow each other: connections and messages in chunks, and behind the header of a chunk
that was never finished. ROS 1 keeps no checksums but those of compressed chunks.
"""

from __future__ import annotations

import bz2
import os
import struct
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from typing import BinaryIO, NamedTuple

from lz4.frame import LZ4FrameDecompressor
from rosbags.typesys.msg import normalize_msgtype

from monodepth2_ros.errors import RecordingError
from monodepth2_ros.recordings.recovery import ROS1, Link, RecoveredFile, Survey, stretches_of
from monodepth2_ros.recordings.stretches import Found, Stretch

_MAGIC = b'#ROSBAG V2.0\n'
_MESSAGE, _BAG, _INDEX, _CHUNK, _CHUNK_INFO, _CONNECTION = range(2, 8)
_FIELD_BYTES: Mapping[int, Mapping[bytes, int | None]] = {
    _MESSAGE: {b'conn': 4, b'time': 8},
    _BAG: {b'index_pos': 8},
    _INDEX: {},
    _CHUNK: {b'compression': None},
    _CHUNK_INFO: {},
    _CONNECTION: {b'conn': 4, b'topic': None},
}
_CHUNK_MARK = b'op=\x05'
_MOST_HEADER_BYTES = 2**12
_PIECE_BYTES = 2**20
_NEAR_BYTES = 256

Fields = Mapping[bytes, bytes]


class _Block(NamedTuple):
    """A stretch of the file that holds records."""

    start: int
    """Where it begins."""
    end: int
    """Where it ends, or would end."""
    compression: bytes
    """``none``, ``bz2`` or ``lz4``."""


class _Record(NamedTuple):
    """A record within a block."""

    kind: int
    """Its ``op``."""
    fields: Fields
    """Its header."""
    start: int
    """Where its data begins in the block."""
    end: int
    """Where they end, or would end."""


class RecoveredRosbag1(RecoveredFile):
    """What can be read of a ROS 1 bag without its index."""

    def _survey(
        self,
    ) -> tuple[Survey, Mapping[int, Link], Collection[Stretch], Mapping[int, int]]:
        if self._stream.read(len(_MAGIC)) != _MAGIC:
            raise RecordingError('it does not begin like one')
        size = self._stream.seek(0, os.SEEK_END)
        survey = Survey(size=size, cut_off=not 0 < _index_position(self._stream) < size)
        links: dict[int, Link] = {}
        counts = Counter[int]()
        stretches = stretches_of(
            _blocks(self._stream, size),
            survey,
            lambda block: self._look_into(block, survey, links, counts),
        )
        return survey, links, stretches, counts

    def _look_into(
        self, block: _Block, survey: Survey, links: dict[int, Link], counts: Counter[int]
    ) -> list[int]:
        """Count what a block holds; the stamps of its whole messages."""
        data = _unpacked(self._stream, block)
        if data is None:
            survey.places += 1
            return []
        stamps_ns, end = list[int](), 0
        for record in _records(data):
            end = record.end
            whole = end <= len(data)
            if record.kind == _MESSAGE and whole:
                counts[_number(record)] += 1
                stamps_ns.append(_stamp_ns(record))
            elif record.kind == _MESSAGE:
                survey.left_out += 1
            elif record.kind == _CONNECTION and whole:
                links.setdefault(_number(record), _link(record, data))
        survey.places += end < len(data)
        return stamps_ns

    def _read(self, stretch: Stretch, links: Collection[int]) -> Iterator[Found]:
        data = _unpacked(self._stream, stretch.place) or b''
        for record in _records(data):
            whole = record.kind == _MESSAGE and record.end <= len(data)
            if whole and _number(record) in links:
                content = partial(_content, data, record)
                yield Found(_stamp_ns(record), _number(record), content)


def _index_position(stream: BinaryIO) -> int:
    """Where the file says that its index is; 0 if it has none."""
    stream.seek(len(_MAGIC))
    record = _record(stream.read(_MOST_HEADER_BYTES), 0)
    if record is None or record.kind != _BAG:
        return 0
    return int.from_bytes(record.fields[b'index_pos'], 'little')


def _number(record: _Record) -> int:
    return int.from_bytes(record.fields[b'conn'], 'little')


def _content(data: bytes, record: _Record) -> bytes:
    return data[record.start : record.end]


def _stamp_ns(record: _Record) -> int:
    seconds, nanoseconds = struct.unpack('<II', record.fields[b'time'])
    return int(seconds) * 10**9 + int(nanoseconds)


def _link(record: _Record, data: bytes) -> Link:
    fields = _fields(_content(data, record))
    return Link(
        topic=record.fields[b'topic'].decode('utf-8', 'replace'),
        type=normalize_msgtype(fields.get(b'type', b'').decode('utf-8', 'replace')),
        format=ROS1,
        definition=fields.get(b'message_definition', b'').decode('utf-8', 'replace'),
        latched=fields.get(b'latching') == b'1',
    )


def _blocks(stream: BinaryIO, size: int) -> Iterator[_Block | None]:
    """The chunks of a file and what lies outside of them; None where it cannot be followed."""
    position = len(_MAGIC)
    while position < size:
        stream.seek(position)
        head = stream.read(_MOST_HEADER_BYTES)
        record = _record(head, 0)
        if record is None:
            if len(head) > _NEAR_BYTES:
                yield None
            position = _next_chunk(stream, position + 1, size)
            continue
        start, end = position + record.start, position + record.end
        if end > size:
            # Cut off here; or its length is damaged, and there is another chunk.
            end = _next_chunk(stream, position + 1, size)
            if end < size:
                yield None
        if record.kind == _CHUNK:
            if start == end and record.fields[b'compression'] != b'none':
                # Never finished: its length was to be written here in the end.
                end = size
            yield _Block(start, end, record.fields[b'compression'])
        elif record.kind in (_MESSAGE, _CONNECTION):
            yield _Block(position, end, b'none')
        position = end


def _next_chunk(stream: BinaryIO, position: int, size: int) -> int:
    """Where the next chunk begins; the end of the file if there is none."""
    while position < size:
        stream.seek(position)
        piece = stream.read(_PIECE_BYTES)
        mark = piece.find(_CHUNK_MARK)
        while mark >= 0:
            for start in range(max(0, mark - _NEAR_BYTES), mark):
                record = _record(piece, start)
                if record and record.kind == _CHUNK and start < mark < record.start:
                    return position + start
            mark = piece.find(_CHUNK_MARK, mark + 1)
        position += max(1, len(piece) - _NEAR_BYTES)
    return size


def _unpacked(stream: BinaryIO, block: _Block) -> bytes | None:
    """The records of a block, as many as are there; None where they are damaged."""
    stream.seek(block.start)
    packed = stream.read(block.end - block.start)
    try:
        if block.compression == b'bz2':
            return bz2.BZ2Decompressor().decompress(packed)
        if block.compression == b'lz4':
            return bytes(LZ4FrameDecompressor().decompress(packed))
    except (OSError, RuntimeError):
        return None
    return packed if block.compression == b'none' else None


def _records(data: bytes) -> Iterator[_Record]:
    """The records one after the other; the last may reach beyond the end."""
    position = 0
    while (record := _record(data, position)) is not None:
        yield record
        position = record.end


def _record(data: bytes, position: int) -> _Record | None:
    """The record at a position; None where there is none that can be followed."""
    try:
        (length,) = struct.unpack_from('<I', data, position)
        header_end = position + 4 + length
        (size,) = struct.unpack_from('<I', data, header_end)
    except struct.error:
        return None
    fields = _fields(data[position + 4 : header_end])
    (kind, *rest) = fields.get(b'op') or b'\0'
    needed = _FIELD_BYTES.get(kind)
    if needed is None or rest or not all(_fits(fields.get(n), s) for n, s in needed.items()):
        return None
    start = header_end + 4
    return _Record(kind, fields, start, start + size)


def _fits(value: bytes | None, size: int | None) -> bool:
    return value is not None and size in (None, len(value))


def _fields(header: bytes) -> Fields:
    """Names and values; none from the first on that is not whole."""
    fields: dict[bytes, bytes] = {}
    position = 0
    while position + 4 <= len(header):
        (length,) = struct.unpack_from('<I', header, position)
        name, is_field, value = header[position + 4 : position + 4 + length].partition(b'=')
        position += 4 + length
        if not is_field or position > len(header):
            break
        fields[name] = value
    return fields
