# SPDX-License-Identifier: Apache-2.0
"""One storage file of a ROS 2 bag: read by its index, and where that fails, without it.

What is compressed is seen from its first bytes. Nothing is lost without a note.
"""

from __future__ import annotations

import errno
import shutil
import sqlite3
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory

from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader

from monodepth2_ros.errors import RecordingError
from monodepth2_ros.recordings.mcap_chunks import (
    checked_messages,
    has_chunk_index,
    is_uncounted,
    release_file,
)
from monodepth2_ros.recordings.mcap_recovery import RecoveredMcap
from monodepth2_ros.recordings.messages import Message, normal_type
from monodepth2_ros.recordings.sqlite_recovery import RecoveredSqlite
from monodepth2_ros.recordings.two_readers import TwoReaders

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_RECOVERED = {'.mcap': RecoveredMcap, '.db3': RecoveredSqlite}
_ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'
_PIECE_BYTES = 2**16
_JOURNAL = '-wal'
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NOT_IN_A_URI = frozenset('#?%')

STORAGE_SUFFIXES = tuple(_RECOVERED)


def is_storage_file(path: Path) -> bool:
    """Whether a file name ends like a storage file, compressed or not."""
    return PurePath(path.name.removesuffix('.zstd')).suffix in STORAGE_SUFFIXES


class NoRoomError(RecordingError):
    """A compressed file finds no room to be unpacked: not its fault, and mended elsewhere."""


class StorageFile:
    """An opened storage file.

    Attributes:
        connections: topics as rosbags describes them.
        message_count: messages stored, by the index.
        start_ns: earliest stamp.
        end_ns: latest stamp.
    """

    def __init__(self, path: Path, stack: ExitStack) -> None:
        """Open a file for as long as ``stack`` is open.

        Raises:
            RecordingError: nothing in it can be read.
            NoRoomError: there is no room to unpack it.
        """
        self._path = path
        self._stack = stack
        self._notes: list[str] = []
        self._broken = defaultdict[str, set[int]](set)
        self._plain = self._named(self._merged() if _has_journal(path) else self._unpacked())
        if self._plain.stat().st_size == 0:
            raise RecordingError(f'{path.name} is empty')
        try:
            self._readers = TwoReaders(
                self._plain,
                stack,
                indexed=self._indexed,
                by_index=checked_messages,
                recovered=_RECOVERED[self._plain.suffix],
            )
        except RecordingError as err:
            reasons = '; '.join((str(err), *self._notes))
            raise RecordingError(f'{path.name} is no readable bag {reasons}') from err
        first = self._readers.first
        self.connections = list(first.connections)
        self.message_count = int(first.message_count)
        self.start_ns, self.end_ns = int(first.start_time), int(first.end_time) - 1

    @property
    def notes(self) -> tuple[str, ...]:
        """What is lost or odd; damage that the index hides is found while messages are read."""
        broken = [
            f'{self._path.name}: {len(stamps_ns)} messages of {topic} cannot be decompressed'
            for topic, stamps_ns in self._broken.items()
        ]
        return (*self._notes, *self._readers.notes, *broken)

    def messages(
        self, names: frozenset[str], start_ns: int | None, end_ns: int | None
    ) -> Iterator[Message]:
        """Stream the messages on some topics in time order."""
        types = {link.topic: normal_type(link.msgtype) for link in reversed(self.connections)}

        def wanted(link: Connection) -> bool:
            return link.topic in names and normal_type(link.msgtype) == types.get(link.topic)

        for link, stamp_ns, data in self._readers.messages(wanted, start_ns, end_ns):
            plain = self._decompressed(link.topic, stamp_ns, data)
            if plain is not None:
                yield Message(
                    topic=link.topic, type=types[link.topic], stamp_ns=stamp_ns, data=plain
                )

    def _indexed(self) -> Reader | None:
        """The file with its index; None if it is MCAP and has none that can be used."""
        reader = self._stack.enter_context(Reader(self._plain))
        # Messages outside of chunks lie in the order of writing, which rosbags takes for damage.
        loose = self._plain.suffix == '.mcap' and not has_chunk_index(reader)
        if has_chunk_index(reader):
            release_file(reader)
        return None if is_uncounted(reader) or (loose and reader.message_count) else reader

    def _folder(self) -> Path:
        """A folder for as long as the file is open."""
        return Path(self._stack.enter_context(TemporaryDirectory(prefix='monodepth2_bag_')))

    def _merged(self) -> Path:
        """A copy of a database with the messages of the journal beside it, which stays."""
        name, copy = self._path.name, self._folder() / self._path.name
        try:
            for suffix in ('', _JOURNAL):
                shutil.copyfile(f'{self._path}{suffix}', f'{copy}{suffix}')
            with closing(sqlite3.connect(copy)) as database:
                database.execute('PRAGMA wal_checkpoint(TRUNCATE)')
                database.execute('PRAGMA journal_mode=DELETE')
        except (OSError, sqlite3.Error) as err:
            self._notes.append(f'{name}{_JOURNAL} holds messages that cannot be merged: {err}')
            return self._path
        self._notes.append(f'{name} is read from a copy with the messages of {name}{_JOURNAL}')
        return copy

    def _named(self, plain: Path) -> Path:
        """A file under a name that rosbags can open: it asks for a database by a URI."""
        if plain.suffix != '.db3' or not _NOT_IN_A_URI.intersection(str(plain)):
            return plain
        link = self._folder() / 'linked.db3'
        link.symlink_to(plain.resolve())
        return link

    def _unpacked(self) -> Path:
        """The file itself, or what its compressed form holds, as far as that is there."""
        if self._path.suffix != '.zstd':
            return self._path
        target = self._folder() / self._path.stem
        try:
            whole = _unpack(self._path, target)
        except OSError as err:
            if err.errno not in _NO_ROOM:
                raise
            raise NoRoomError(
                f'{self._path.name} cannot be unpacked in {target.parent.parent}: {err.strerror}; '
                'make room there, or name another folder in the environment as TMPDIR'
            ) from err
        if not whole:
            self._notes.append(
                f'{self._path.name} cannot be unpacked to its end: it is cut off or damaged'
            )
        return target

    def _decompressed(self, topic: str, stamp_ns: int, data: bytes) -> bytes | None:
        """A message as it was written; None if it is compressed and damaged."""
        if data[:4] != _ZSTD_MAGIC:
            return bytes(data)
        try:
            return bytes(zstd.decompress(data))
        except zstd.ZstdError:
            # By its stamp, as the same message is met whenever its topic is read.
            self._broken[topic].add(stamp_ns)
            return None


def _unpack(packed: Path, target: Path) -> bool:
    """Decompress a file as far as possible; whether that was to its end."""
    decompressor, rest = zstd.ZstdDecompressor(), b''
    with packed.open('rb') as source, target.open('wb') as plain:
        try:
            while piece := rest or source.read(_PIECE_BYTES):
                if decompressor.eof:
                    decompressor = zstd.ZstdDecompressor()
                plain.write(decompressor.decompress(piece))
                rest = decompressor.unused_data
        except zstd.ZstdError:
            return False
    return bool(decompressor.eof)


def _has_journal(path: Path) -> bool:
    journal = path.with_name(f'{path.name}{_JOURNAL}')
    return journal.exists() and journal.stat().st_size > 0
