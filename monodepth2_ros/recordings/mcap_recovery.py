# SPDX-License-Identifier: Apache-2.0
"""Recovers the messages of an MCAP file that is cut off, damaged, or without an index.

A chunk whose checksum is wrong is left out whole, since nothing says which of its messages are
damaged. Of a chunk that the file's end cuts, the whole messages are read.
"""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from functools import partial

from monodepth2_ros.recordings import mcap_stream
from monodepth2_ros.recordings.mcap_stream import Block, Record
from monodepth2_ros.recordings.recovery import Link, RecoveredFile, Survey, stretches_of
from monodepth2_ros.recordings.stretches import Found, Stretch

_QOS_KEY = 'offered_qos_profiles'
_NO_SCHEMA, _SCHEMALESS = 0, '__schemaless__'


class RecoveredMcap(RecoveredFile):
    """What can be read of a damaged ``.mcap`` file."""

    def _survey(
        self,
    ) -> tuple[Survey, Mapping[int, Link], Collection[Stretch], Mapping[int, int]]:
        size = self._stream.seek(0, os.SEEK_END)
        survey = Survey(size=size, cut_off=not mcap_stream.is_complete(self._stream, size))
        definitions = _Definitions()
        counts = Counter[int]()
        stretches = stretches_of(
            mcap_stream.blocks(self._stream, size),
            survey,
            lambda block: self._look_into(block, survey, definitions, counts),
        )
        return survey, definitions.links(), stretches, counts

    def _look_into(
        self, block: Block, survey: Survey, definitions: _Definitions, counts: Counter[int]
    ) -> list[int]:
        """Count what a block holds; the stamps of its whole messages."""
        data, intact = mcap_stream.unpack(self._stream, block)
        survey.places += not intact
        stamps_ns = []
        for record in mcap_stream.records(data):
            if record.kind == mcap_stream.MESSAGE:
                channel, stamp_ns = mcap_stream.message_head(data, record)
                if intact and mcap_stream.is_credible(stamp_ns, block):
                    counts[channel] += 1
                    stamps_ns.append(stamp_ns)
                else:
                    survey.left_out += 1
            elif record.kind == mcap_stream.STATISTICS:
                (survey.expected,) = struct.unpack_from('<Q', data, record.start)
            elif record.kind == mcap_stream.UNREADABLE:
                survey.places += intact and not block.cut_off
            else:
                definitions.add(data, record, intact=intact)
        return stamps_ns

    def _read(self, stretch: Stretch, links: Collection[int]) -> Iterator[Found]:
        block: Block = stretch.place
        data, _ = mcap_stream.unpack(self._stream, block)
        for record in mcap_stream.records(data):
            if record.kind == mcap_stream.MESSAGE:
                channel, stamp_ns = mcap_stream.message_head(data, record)
                if channel in links and mcap_stream.is_credible(stamp_ns, block):
                    yield Found(stamp_ns, channel, partial(mcap_stream.message_data, data, record))


class _Definitions:
    """Schemas and channels; those of intact blocks win over those of damaged ones."""

    def __init__(self) -> None:
        self._types = {_NO_SCHEMA: (True, _SCHEMALESS)}
        self._channels: dict[int, tuple[bool, int, Link]] = {}

    def add(self, data: bytes, record: Record, *, intact: bool) -> None:
        """Take note of a schema or channel; of anything else and what cannot be read, none."""
        content = data[record.start : record.end]
        try:
            if record.kind == mcap_stream.SCHEMA:
                number, name = _schema(content)
                self._types[number] = max(self._types.get(number, (False, '')), (intact, name))
            elif record.kind == mcap_stream.CHANNEL:
                number, schema, link = _channel(content)
                if intact or number not in self._channels:
                    self._channels[number] = (intact, schema, link)
        except (struct.error, UnicodeDecodeError):
            return

    def links(self) -> dict[int, Link]:
        """The channels whose type is known, by number."""
        return {
            number: Link(
                topic=link.topic, type=self._types[schema][1], format=link.format, qos=link.qos
            )
            for number, (_, schema, link) in self._channels.items()
            if schema in self._types
        }


def _schema(content: bytes) -> tuple[int, str]:
    (number,) = struct.unpack_from('<H', content)
    return number, _text(content, 2)[0]


def _channel(content: bytes) -> tuple[int, int, Link]:
    """Number, number of the schema, and the link without its type."""
    number, schema = struct.unpack_from('<HH', content)
    topic, position = _text(content, 4)
    form, position = _text(content, position)
    (length,) = struct.unpack_from('<I', content, position)
    position, end = position + 4, position + 4 + length
    extra = {}
    while position < min(end, len(content)):
        key, position = _text(content, position)
        extra[key], position = _text(content, position)
    return number, schema, Link(topic=topic, type='', format=form, qos=extra.get(_QOS_KEY, ''))


def _text(content: bytes, position: int) -> tuple[str, int]:
    """The string at a position, and where it ends."""
    (length,) = struct.unpack_from('<I', content, position)
    end = position + 4 + length
    if end > len(content):
        raise struct.error(f'a string of {length} bytes passes the end of its record')
    return content[position + 4 : end].decode(), end
