# SPDX-License-Identifier: Apache-2.0
"""ROS 2 bags: folders of MCAP or SQLite parts, or single files, compressed or not.

The parts speak for themselves: ``metadata.yaml`` is only asked which parts there should be, so a
bag whose metadata is lost or half-written plays all the same. What is compressed is seen from its
first bytes.
"""

from __future__ import annotations

import heapq
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory

import yaml
from rosbags.interfaces import Connection, ConnectionExtRosbag2, QosDurability
from rosbags.rosbag2 import Reader

from monodepth2_ros.errors import RecordingError
from monodepth2_ros.geometry.camera import CameraCalibration
from monodepth2_ros.recordings.messages import Message, Topic, normal_type
from monodepth2_ros.recordings.recording import Recording

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

STORAGE_SUFFIXES = ('.mcap', '.db3')
_ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'


@dataclass(frozen=True, kw_only=True)
class _Listing:
    """The storage files of a bag folder."""

    parts: tuple[Path, ...]
    """Files that exist, in order."""
    notes: tuple[str, ...]
    """What is missing or odd."""


class Rosbag2Recording(Recording):
    """A ROS 2 bag."""

    def __init__(self, path: Path, *, calibration: CameraCalibration | None = None) -> None:
        """Open a bag folder or one storage file.

        Raises:
            RecordingError: nothing in it can be read, or it holds no message.
        """
        listing = _list_folder(path) if path.is_dir() else _Listing(parts=(path,), notes=())
        self._stack = ExitStack()
        try:
            readers, notes = _open_parts(listing, self._stack)
            if not readers:
                raise RecordingError(f'{path} cannot be read: {"; ".join(notes)}')
            self._readers = [reader for reader in readers if reader.message_count]
            if not self._readers:
                raise RecordingError(f'{path} is an intact bag without any message')
            span = (
                min(reader.start_time for reader in self._readers),
                max(reader.end_time for reader in self._readers) - 1,
            )
            topics, odd = _merge_topics(self._readers)
            super().__init__(path, topics, span, calibration=calibration, notes=notes + odd)
        except BaseException:
            self._stack.close()
            raise

    def close(self) -> None:
        """Close all parts and drop what was unpacked."""
        self._stack.close()

    def _read(
        self, names: frozenset[str], start_ns: int | None, end_ns: int | None
    ) -> Iterator[Message]:
        parts = (_read_part(reader, names, start_ns, end_ns) for reader in self._readers)
        return heapq.merge(*parts, key=lambda message: message.stamp_ns)


def is_bag_folder(path: Path) -> bool:
    """Whether a folder holds a ``metadata.yaml`` or storage files."""
    return (path / 'metadata.yaml').exists() or bool(_storage_files(path))


def is_storage_file(path: Path) -> bool:
    """Whether a file name ends like a storage file, compressed or not."""
    return PurePath(path.name.removesuffix('.zstd')).suffix in STORAGE_SUFFIXES


def _storage_files(folder: Path) -> list[Path]:
    files = (path for path in folder.iterdir() if path.is_file() and is_storage_file(path))
    return sorted(
        files, key=lambda path: [_number(word) for word in re.split(r'(\d+)', path.name)]
    )


def _number(word: str) -> tuple[int, str]:
    return (int(word), '') if word.isdigit() else (-1, word)


def _list_folder(folder: Path) -> _Listing:
    found = _storage_files(folder)
    try:
        listed = [folder / PurePath(name).name for name in _listed_parts(folder)]
    except RecordingError as err:
        if not found:
            raise
        note = f'{err}; played the {len(found)} storage files of the folder instead'
        return _Listing(parts=tuple(found), notes=(note,))
    parts = tuple(path for path in listed if path.exists())
    missing = [path.name for path in listed if not path.exists()]
    if not parts:
        raise RecordingError(f'{folder}: none of its {len(listed)} parts is there: {missing}')
    notes = (f'{len(missing)} of {len(listed)} parts are missing: {", ".join(missing)}',)
    return _Listing(parts=parts, notes=notes if missing else ())


def _listed_parts(folder: Path) -> list[str]:
    path = folder / 'metadata.yaml'
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
        names = content['rosbag2_bagfile_information']['relative_file_paths']
        if not names or not all(isinstance(name, str) for name in names):
            raise TypeError('relative_file_paths names no files')
    except FileNotFoundError:
        raise RecordingError(f'{path} is missing') from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError, KeyError) as err:
        summary = str(err).partition('\n')[0]
        raise RecordingError(f'{path} is damaged ({type(err).__name__}: {summary})') from err
    return list(names)


def _open_parts(listing: _Listing, stack: ExitStack) -> tuple[list[Reader], tuple[str, ...]]:
    readers, notes = [], list(listing.notes)
    for path in listing.parts:
        try:
            readers.append(stack.enter_context(Reader(_unpacked(path, stack))))
        except Exception as err:
            notes.append(f'{path.name} {_why_unreadable(path, err)}')
        if _has_journal(path):
            notes.append(f'{path.name}-wal holds messages that were never merged into the bag')
    return readers, tuple(notes)


def _why_unreadable(path: Path, err: Exception) -> str:
    if path.stat().st_size == 0:
        return 'is empty'
    text = str(err) or type(err).__name__
    if 'end magic' in text or 'malformed' in text:
        return f'is cut off ({text}); `mcap recover` or `ros2 bag reindex` may repair a copy'
    return f'is no readable bag ({text})'


def _has_journal(path: Path) -> bool:
    journal = path.with_name(f'{path.name}-wal')
    return journal.exists() and journal.stat().st_size > 0


def _unpacked(path: Path, stack: ExitStack) -> Path:
    if path.suffix != '.zstd':
        return path
    folder = Path(stack.enter_context(TemporaryDirectory(prefix='monodepth2_bag_')))
    target = folder / path.stem
    with zstd.open(path, 'rb') as packed, target.open('wb') as plain:
        shutil.copyfileobj(packed, plain, 2**20)
    return target


def _merge_topics(readers: list[Reader]) -> tuple[list[Topic], tuple[str, ...]]:
    topics: dict[str, Topic] = {}
    notes = []
    for connection in (link for reader in readers for link in reader.connections):
        name, kind = connection.topic, normal_type(connection.msgtype)
        if not _is_cdr(connection):
            notes.append(f'{name} is not stored as CDR and cannot be read')
        elif name not in topics:
            latched = _is_latched(connection)
            topics[name] = Topic(name=name, type=kind, count=connection.msgcount, latched=latched)
        elif topics[name].type != kind:
            notes.append(f'{name} changes its type to {kind}; only {topics[name].type} is read')
        else:
            total = topics[name].count + connection.msgcount
            topics[name] = replace(topics[name], count=total)
    return list(topics.values()), tuple(dict.fromkeys(notes))


def _is_cdr(connection: Connection) -> bool:
    extra = connection.ext
    return isinstance(extra, ConnectionExtRosbag2) and extra.serialization_format == 'cdr'


def _is_latched(connection: Connection) -> bool:
    profiles = getattr(connection.ext, 'offered_qos_profiles', ())
    recorded = any(qos.durability == QosDurability.TRANSIENT_LOCAL for qos in profiles)
    return recorded or connection.topic.endswith('/tf_static')


def _read_part(
    reader: Reader, names: frozenset[str], start_ns: int | None, end_ns: int | None
) -> Iterator[Message]:
    first_types = {link.topic: normal_type(link.msgtype) for link in reversed(reader.connections)}
    wanted = [
        link
        for link in reader.connections
        if link.topic in names and normal_type(link.msgtype) == first_types[link.topic]
    ]
    if not wanted:
        return
    for link, stamp_ns, data in reader.messages(wanted, start=start_ns, stop=end_ns):
        plain = zstd.decompress(data) if data[:4] == _ZSTD_MAGIC else data
        kind = first_types[link.topic]
        yield Message(topic=link.topic, type=kind, stamp_ns=stamp_ns, data=bytes(plain))
