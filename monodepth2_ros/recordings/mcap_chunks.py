# SPDX-License-Identifier: Apache-2.0
"""Reads an MCAP file chunk by chunk through its index, each chunk checked before it is used.

Otherwise a damaged length inside a chunk without a checksum would hide the messages behind it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader
from rosbags.rosbag2.errors import ReaderError

from monodepth2_ros.recordings import mcap_stream
from monodepth2_ros.recordings.stretches import Found, Stretch, in_time_order


def has_chunk_index(reader: Reader) -> bool:
    """Whether an opened file is an MCAP file with an index of chunks."""
    return bool(getattr(reader.storage, 'chunks', ()))


def is_uncounted(reader: Reader) -> bool:
    """Whether nothing counts messages that there are: no statistics, no indices in the chunks."""
    chunks = getattr(reader.storage, 'chunks', ())
    return not reader.message_count and any(chunk.message_end_time for chunk in chunks)


def release_file(reader: Reader) -> None:
    """Close the file of a reader with an index of chunks: it is opened again while it is read."""
    stream = getattr(reader.storage, 'bio', None)
    if stream is not None:
        stream.close()


def checked_messages(
    reader: Reader, links: Collection[Connection], start_ns: int | None, end_ns: int | None
) -> Iterator[tuple[Connection, int, bytes]]:
    """Stream what ``reader.messages`` does, chunks of MCAP only if nothing in them is damaged.

    Raises:
        ReaderError: at the first damage; what precedes it in time was given.
    """
    if not has_chunk_index(reader):
        yield from reader.messages(links, start_ns, end_ns)
        return
    numbers = {link.id for link in links}
    stretches = [
        Stretch(start_ns=chunk.message_start_time, end_ns=chunk.message_end_time, place=chunk)
        for chunk in reader.storage.chunks
        if not chunk.channel_count or not numbers.isdisjoint(chunk.channel_count)
    ]
    with Path(reader.path).open('rb') as stream:
        file = _IndexedFile(stream)
        yield from in_time_order(stretches, file.read, links, start_ns, end_ns)


class _IndexedFile:
    """The file behind an index."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._size = stream.seek(0, os.SEEK_END)

    def read(self, stretch: Stretch, links: Collection[int]) -> list[Found]:
        """The messages of a chunk that are on some links."""
        info = stretch.place
        block = mcap_stream.chunk_at(self._stream, info.chunk_start_offset, self._size)
        if block is None or block.cut_off:
            raise ReaderError(f'there is no chunk at byte {info.chunk_start_offset}')
        data, intact = mcap_stream.unpack(self._stream, block)
        found, count = [], 0
        for record in mcap_stream.records(data):
            intact = intact and record.kind != mcap_stream.UNREADABLE
            if record.kind == mcap_stream.MESSAGE:
                count += 1
                channel, stamp_ns = mcap_stream.message_head(data, record)
                intact = intact and mcap_stream.is_credible(stamp_ns, block)
                if channel in links:
                    content = partial(mcap_stream.message_data, data, record)
                    found.append(Found(stamp_ns, channel, content))
        if not intact or count < sum(info.channel_count.values()):
            raise ReaderError(f'the chunk at byte {info.chunk_start_offset} is damaged')
        return found
