# SPDX-License-Identifier: Apache-2.0
"""Writes CDR messages to a rosbag2 folder in MCAP that ``ros2 bag``, RViz and Foxglove open.

The message definitions are embedded, every chunk has its checksum, and the metadata keeps to
version 8, which Humble reads too.
"""

from __future__ import annotations

from binascii import crc32
from pathlib import Path
from types import MappingProxyType

from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer, WriterError
from rosbags.rosbag2.storage_mcap import McapWriter

from monodepth2_ros.errors import RecordingError
from monodepth2_ros.recordings.cdr import known_type, typestore

_UNSPECIFIED = QosTime(0, 0)
# Behind kind and length of the record: start, end and size of the chunk.
_CRC_OFFSET = 9 + 24


class _CheckedMcapWriter(McapWriter):
    """Fills in the checksum of every chunk, which rosbags leaves out."""

    def close_chunk(self) -> None:
        """Write the chunk, then its checksum into it."""
        checksum = crc32(self.chunk.bio.getbuffer())
        start = self.bio.tell()
        super().close_chunk()
        end = self.bio.tell()
        self.bio.seek(start + _CRC_OFFSET)
        self.bio.write(checksum.to_bytes(4, 'little'))
        self.bio.seek(end)


class _CheckedWriter(Writer):
    """Writes chunks with checksums."""

    STORAGE_PLUGINS = MappingProxyType({StoragePlugin.MCAP: _CheckedMcapWriter})


class RecordingWriter:
    """A new bag; use it as a context manager.

    The bag is closed with its index and metadata in every case, so that what was written before an
    error or an interrupt can be read.
    """

    def __init__(self, path: str | Path) -> None:
        """Create the folder.

        Raises:
            RecordingError: it exists already or cannot be created.
        """
        self.path = Path(path)
        self.counts: dict[str, int] = {}
        self._connections: dict[str, Connection] = {}
        try:
            self._writer = _CheckedWriter(self.path, version=8, storage_plugin=StoragePlugin.MCAP)
            self._writer.open()
        except (WriterError, OSError) as err:
            raise RecordingError(f'cannot create the bag {self.path}: {err}') from err

    def __enter__(self) -> RecordingWriter:
        """Give the writer itself: it is open from construction."""
        return self

    def __exit__(self, *error: object) -> None:
        """Complete the bag."""
        self.close()

    def add_topic(self, name: str, type_name: str, *, latched: bool = False) -> None:
        """Announce a topic before its first message.

        Args:
            name: absolute topic name.
            type_name: message type, ``package/msg/Name``.
            latched: offered as transient local, as ``/tf_static`` is.

        Raises:
            RecordingError: the name is taken or the type is unknown.
        """
        if name in self._connections:
            raise RecordingError(f'{self.path} has a topic {name} already')
        if not known_type(type_name):
            raise RecordingError(f'{name}: no definition of the message type {type_name!r}')
        self._connections[name] = self._writer.add_connection(
            name, type_name, typestore=typestore(), offered_qos_profiles=[_qos(latched=latched)]
        )
        self.counts[name] = 0

    def write(self, topic: str, stamp_ns: int, data: bytes) -> None:
        """Append one CDR message.

        Raises:
            RecordingError: the topic was not announced, or the disk refuses.
        """
        connection = self._connections.get(topic)
        if connection is None:
            raise RecordingError(f'{topic} was not announced to {self.path}: call add_topic first')
        try:
            self._writer.write(connection, stamp_ns, data)
        except (WriterError, OSError) as err:
            raise RecordingError(f'cannot write to {self.path}: {err}; {self._written()}') from err
        self.counts[topic] += 1

    def close(self) -> None:
        """Write index and metadata; a second call does nothing.

        Raises:
            RecordingError: the disk refuses.
        """
        if self._writer.storage is None:
            return
        try:
            self._writer.close()
        except OSError as err:
            raise RecordingError(f'cannot complete {self.path}: {err}; {self._written()}') from err

    def _written(self) -> str:
        total = sum(self.counts.values())
        return f'{total} messages written, those of the last chunk may be lost'


def _qos(*, latched: bool) -> Qos:
    durability = QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=1 if latched else 10,
        reliability=QosReliability.RELIABLE,
        durability=durability,
        deadline=_UNSPECIFIED,
        lifespan=_UNSPECIFIED,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=_UNSPECIFIED,
        avoid_ros_namespace_conventions=False,
    )
