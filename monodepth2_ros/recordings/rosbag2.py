# SPDX-License-Identifier: Apache-2.0
"""ROS 2 bags: folders of MCAP or SQLite parts, or single files, compressed or not.

The parts speak for themselves: ``metadata.yaml`` is only asked which parts there should be, so a
bag whose metadata is lost or half-written plays all the same.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

import yaml
from rosbags.interfaces import Connection, ConnectionExtRosbag2, QosDurability

from monodepth2_ros.errors import RecordingError, first_line
from monodepth2_ros.geometry.camera import CameraCalibration
from monodepth2_ros.recordings.messages import Message, Topic, normal_type
from monodepth2_ros.recordings.natural_order import natural_key
from monodepth2_ros.recordings.recording import Recording
from monodepth2_ros.recordings.storage_file import NoRoomError, StorageFile, is_storage_file


@dataclass(frozen=True, kw_only=True)
class _Listing:
    """The storage files of a bag folder."""

    parts: tuple[Path, ...]
    """Files that exist, in order."""
    notes: tuple[str, ...] = ()
    """What is missing or odd."""
    messages: int = 0
    """Messages in all parts, by ``metadata.yaml``; 0 if it does not say."""


class Rosbag2Recording(Recording):
    """A ROS 2 bag."""

    def __init__(self, path: Path, *, calibration: CameraCalibration | None = None) -> None:
        """Open a bag folder or one storage file.

        Raises:
            RecordingError: nothing in it can be read, there is no room to unpack it, or it holds
                no message.
        """
        listing = _list_folder(path) if path.is_dir() else _Listing(parts=(path,))
        self._stack = ExitStack()
        try:
            files, notes = _open_parts(listing, self._stack)
            if not files:
                raise RecordingError(f'{path} cannot be read: {"; ".join(notes)}')
            full = [file for file in files if file.message_count]
            if not full:
                odd = '; '.join(note for file in files for note in file.notes)
                raise RecordingError(
                    f'{path} is an intact bag without any message{odd and f"; {odd}"}'
                )
            span = min(file.start_ns for file in full), max(file.end_ns for file in full)
            topics, odd_topics = _merge_topics(full)
            notes += _shortfall(listing, full) + odd_topics
            super().__init__(path, topics, span, calibration=calibration, notes=notes)
            self._files = files
        except BaseException:
            self._stack.close()
            raise

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know; damage that an index hides is added when it is met."""
        return super().notes + tuple(note for file in self._files for note in file.notes)

    def close(self) -> None:
        """Close all parts and drop what was unpacked."""
        self._stack.close()

    def _read(
        self, names: frozenset[str], start_ns: int | None, end_ns: int | None
    ) -> Iterator[Message]:
        return _in_turn(self._files, lambda file: file.messages(names, start_ns, end_ns))


def _in_turn(
    files: Sequence[StorageFile], begin: Callable[[StorageFile], Iterator[Message]]
) -> Iterator[Message]:
    """Merge the messages of parts in time, each part begun when its time has come.

    Of a part that is begun, a file is open and a chunk in memory: too much for hundreds at once.
    """
    later = sorted(enumerate(files), key=lambda part: part[1].start_ns, reverse=True)
    heads: list[tuple[int, int, Message, Iterator[Message]]] = []
    while later or heads:
        if later and (not heads or later[-1][1].start_ns <= heads[0][0]):
            number, file = later.pop()
            stream = begin(file)
        else:
            _, number, message, stream = heapq.heappop(heads)
            yield message
        following = next(stream, None)
        if following is not None:
            heapq.heappush(heads, (following.stamp_ns, number, following, stream))


def is_bag_folder(path: Path) -> bool:
    """Whether a folder holds a ``metadata.yaml`` or storage files."""
    return (path / 'metadata.yaml').exists() or bool(_storage_files(path))


def _storage_files(folder: Path) -> list[Path]:
    files = (path for path in folder.iterdir() if path.is_file() and is_storage_file(path))
    return sorted(files, key=lambda path: natural_key(path.name))


def _list_folder(folder: Path) -> _Listing:
    found = _storage_files(folder)
    try:
        names, messages = _metadata(folder)
    except RecordingError as err:
        if not found:
            raise
        parts = _without_copies(found)
        note = f'{err}; played the {len(parts)} storage files of the folder instead'
        return _Listing(parts=parts, notes=(note,))
    listed = [_in_either_form(folder / PurePath(name).name) for name in names]
    parts = tuple(path for path in listed if path.exists())
    missing = [path.name for path in listed if not path.exists()]
    if not parts:
        raise RecordingError(f'{folder}: none of its {len(listed)} parts is there: {missing}')
    notes = []
    if missing:
        notes.append(f'{len(missing)} of {len(listed)} parts are missing: {", ".join(missing)}')
    played = {path.name.removesuffix('.zstd') for path in parts}
    others = [path.name for path in found if path.name.removesuffix('.zstd') not in played]
    if others:
        notes.append(f'not listed in metadata.yaml and therefore not read: {", ".join(others)}')
    return _Listing(parts=parts, notes=tuple(notes), messages=messages)


def _in_either_form(part: Path) -> Path:
    """A listed part, or what it became when it was compressed or unpacked by hand."""
    name = part.name
    other = name.removesuffix('.zstd') if name.endswith('.zstd') else f'{name}.zstd'
    packed_or_not = part.with_name(other)
    return packed_or_not if not part.exists() and packed_or_not.exists() else part


def _without_copies(paths: list[Path]) -> tuple[Path, ...]:
    """Some storage files, but no compressed one beside what it was made of."""
    names = {path.name for path in paths}
    return tuple(p for p in paths if p.name.removesuffix('.zstd') not in names - {p.name})


def _metadata(folder: Path) -> tuple[list[str], int]:
    """Names of the parts and the number of messages in them, 0 if it is not said."""
    path = folder / 'metadata.yaml'
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
        information = content['rosbag2_bagfile_information']
        names = information['relative_file_paths']
        is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
        if not is_list or not names:
            raise TypeError('relative_file_paths names no files')
    except FileNotFoundError:
        raise RecordingError(f'{path} is missing') from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError, KeyError) as err:
        raise RecordingError(
            f'{path} is damaged ({type(err).__name__}: {first_line(err)})'
        ) from err
    messages = information.get('message_count')
    return list(names), messages if isinstance(messages, int) else 0


def _shortfall(listing: _Listing, files: list[StorageFile]) -> tuple[str, ...]:
    """Says so if there are fewer messages than ``metadata.yaml`` counts."""
    found = sum(file.message_count for file in files)
    if found >= listing.messages:
        return ()
    return (f'{found} of the {listing.messages} messages that metadata.yaml counts are there',)


def _open_parts(listing: _Listing, stack: ExitStack) -> tuple[list[StorageFile], tuple[str, ...]]:
    files, notes = [], list(listing.notes)
    for path in listing.parts:
        try:
            files.append(StorageFile(path, stack))
        except NoRoomError:
            raise
        except (RecordingError, OSError) as err:
            notes.append(str(err))
    return files, tuple(notes)


def _merge_topics(files: list[StorageFile]) -> tuple[list[Topic], tuple[str, ...]]:
    topics: dict[str, Topic] = {}
    notes = []
    for connection in (link for file in files for link in file.connections):
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
