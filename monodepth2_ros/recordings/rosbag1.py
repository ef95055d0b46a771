# SPDX-License-Identifier: Apache-2.0
"""ROS 1 bags, their messages converted to CDR by the definitions that the bag itself carries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

from rosbags.convert.converter import is_same_wireformat
from rosbags.interfaces import Connection
from rosbags.interfaces.typing import Typesdict
from rosbags.rosbag1 import Reader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from monodepth2_ros.errors import RecordingError
from monodepth2_ros.geometry.camera import CameraCalibration
from monodepth2_ros.recordings.cdr import known_type, typestore
from monodepth2_ros.recordings.messages import Message, Topic, normal_type
from monodepth2_ros.recordings.recording import Recording
from monodepth2_ros.recordings.rosbag1_recovery import RecoveredRosbag1
from monodepth2_ros.recordings.two_readers import TwoReaders

_RENAMED = {'tf/msg/tfMessage': 'tf2_msgs/msg/TFMessage'}
_Definition: TypeAlias = tuple[str, str]
_ROS2_FORM = ('builtin_interfaces/msg/Time', 'std_msgs/msg/Header')


class Rosbag1Recording(Recording):
    """A ROS 1 ``.bag`` file, or the ``.bag.active`` of a recorder that was killed."""

    def __init__(self, path: Path, *, calibration: CameraCalibration | None = None) -> None:
        """Open a bag.

        Raises:
            RecordingError: it is no bag, is damaged, or holds no message.
        """
        self._stack, self._unconverted = ExitStack(), defaultdict[str, set[int]](set)
        try:
            self._readers = TwoReaders(
                path,
                self._stack,
                indexed=lambda: self._stack.enter_context(Reader(path)),
                by_index=Reader.messages,
                recovered=RecoveredRosbag1,
            )
        except RecordingError as err:
            raise RecordingError(f'{path} is no readable ROS 1 bag {err}') from err
        first = self._readers.first
        if not first.message_count:
            self.close()
            raise RecordingError(f'{path} is an intact bag without any message')
        self._stores = _bag_types(first.connections)
        known = [link for link in first.connections if _definition(link) in self._stores]
        unknown = {link.msgtype for link in first.connections if link not in known}
        links, changes = _of_one_type(known)
        notes = [
            f'messages of type {name} have no equal in ROS 2 and are left out'
            for name in sorted(unknown)
        ]
        span = (first.start_time, first.end_time - 1)
        super().__init__(
            path, _merge_topics(links), span, calibration=calibration, notes=notes + changes
        )
        self._wanted = {(link.topic, _definition(link)) for link in links}

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know; damage that an index hides is added when it is met."""
        odd = [
            f'{len(stamps_ns)} damaged messages of {topic} are left out'
            for topic, stamps_ns in self._unconverted.items()
        ]
        return (*super().notes, *self._readers.notes, *odd)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._stack.close()

    def _read(
        self, names: frozenset[str], start_ns: int | None, end_ns: int | None
    ) -> Iterator[Message]:
        def wanted(link: Connection) -> bool:
            return link.topic in names and (link.topic, _definition(link)) in self._wanted

        for link, stamp_ns, data in self._readers.messages(wanted, start_ns, end_ns):
            cdr = self._converted(link, stamp_ns, data)
            if cdr is not None:
                yield Message(topic=link.topic, type=_ros2_type(link), stamp_ns=stamp_ns, data=cdr)

    def _converted(self, link: Connection, stamp_ns: int, data: bytes) -> bytes | None:
        """A message as CDR; None if it is damaged."""
        try:
            return bytes(self._stores[_definition(link)].ros1_to_cdr(data, link.msgtype))
        except Exception:
            # By its stamp, as the same message is met whenever its topic is read.
            self._unconverted[link.topic].add(stamp_ns)
            return None


def _bag_types(links: Iterable[Connection]) -> dict[_Definition, Typestore]:
    """For each definition that can be converted what converts it: one for all that agree.

    Where bags of several years were merged, one type may have several definitions.
    """
    stores: dict[_Definition, Typestore] = {}
    for link in links:
        try:
            types = get_types_from_msg(link.msgdef.data, link.msgtype)
        except Exception:
            continue
        known = {name: types[name] for name in types if name not in _ROS2_FORM}
        found = dict.fromkeys(stores.values())
        store = next(filter(partial(_registered, known), found), None) or _store()
        if _registered(known, store) and _same_in_ros2(store, link):
            stores[_definition(link)] = store
    return stores


def _store() -> Typestore:
    store = get_typestore(Stores.EMPTY)
    store.register({name: typestore().fielddefs[name] for name in _ROS2_FORM})
    return store


def _registered(types: Typesdict, store: Typestore) -> bool:
    """Let a store know some types; False if it knows others by their names."""
    try:
        store.register(types)
    except Exception:
        return False
    return True


def _definition(link: Connection) -> _Definition:
    return link.msgtype, link.msgdef.data


def _same_in_ros2(store: Typestore, link: Connection) -> bool:
    name = _ros2_type(link)
    return not known_type(name) or is_same_wireformat(store, typestore(), link.msgtype, name)


def _of_one_type(links: list[Connection]) -> tuple[list[Connection], list[str]]:
    """The connections of each topic that are of its first type, and what is said of others."""
    types: dict[str, str] = {}
    for link in links:
        types.setdefault(link.topic, _ros2_type(link))
    others = {(link.topic, _ros2_type(link)) for link in links} - set(types.items())
    notes = [
        f'{topic} changes its type to {o}; only {types[topic]} is read' for topic, o in others
    ]
    return [link for link in links if _ros2_type(link) == types[link.topic]], sorted(notes)


def _merge_topics(links: list[Connection]) -> list[Topic]:
    topics: dict[str, Topic] = {}
    for link in links:
        before = topics.get(link.topic)
        if before is None:
            latched = bool(getattr(link.ext, 'latching', 0)) or link.topic == '/tf_static'
            topics[link.topic] = Topic(
                name=link.topic, type=_ros2_type(link), count=link.msgcount, latched=latched
            )
        else:
            topics[link.topic] = replace(before, count=before.count + link.msgcount)
    return list(topics.values())


def _ros2_type(link: Connection) -> str:
    name = normal_type(link.msgtype)
    return _RENAMED.get(name, name)
