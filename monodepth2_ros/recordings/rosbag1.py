# SPDX-License-Identifier: Apache-2.0
"""ROS 1 bags, their messages converted to CDR by the definitions that the bag itself carries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from rosbags.convert.converter import is_same_wireformat
from rosbags.interfaces import Connection
from rosbags.rosbag1 import Reader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from monodepth2_ros.errors import RecordingError
from monodepth2_ros.geometry.camera import CameraCalibration
from monodepth2_ros.recordings.cdr import known_type, typestore
from monodepth2_ros.recordings.messages import Message, Topic, normal_type
from monodepth2_ros.recordings.recording import Recording
from monodepth2_ros.recordings.rosbag1_recovery import RecoveredRosbag1

_RENAMED = {'tf/msg/tfMessage': 'tf2_msgs/msg/TFMessage'}
_ROS2_FORM = ('builtin_interfaces/msg/Time', 'std_msgs/msg/Header')


class Rosbag1Recording(Recording):
    """A ROS 1 ``.bag`` file, or the ``.bag.active`` of a recorder that was killed."""

    def __init__(self, path: Path, *, calibration: CameraCalibration | None = None) -> None:
        """Open a bag.

        Raises:
            RecordingError: it is no bag, is damaged, or holds no message.
        """
        self._stack = ExitStack()
        self._reader, lost = _opened(path, self._stack)
        if not self._reader.message_count:
            self.close()
            raise RecordingError(f'{path} is an intact bag without any message')
        self._types, unknown = _bag_types(self._reader)
        known = [link for link in self._reader.connections if link.msgtype not in unknown]
        links, changes = _of_one_type(known)
        notes = [
            f'messages of type {name} have no equal in ROS 2 and are left out'
            for name in sorted(unknown)
        ]
        notes += changes + lost
        span = (self._reader.start_time, self._reader.end_time - 1)
        super().__init__(path, _merge_topics(links), span, calibration=calibration, notes=notes)
        self._links = links

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._stack.close()

    def _read(
        self, names: frozenset[str], start_ns: int | None, end_ns: int | None
    ) -> Iterator[Message]:
        wanted = [link for link in self._links if link.topic in names]
        if not wanted:
            return
        for link, stamp_ns, data in self._reader.messages(wanted, start_ns, end_ns):
            cdr = bytes(self._types.ros1_to_cdr(data, link.msgtype))
            yield Message(topic=link.topic, type=_ros2_type(link), stamp_ns=stamp_ns, data=cdr)


def _opened(path: Path, stack: ExitStack) -> tuple[Reader | RecoveredRosbag1, list[str]]:
    """The bag by its index, else without it, for as long as a stack is open; what was lost."""
    try:
        return stack.enter_context(Reader(path)), []
    except Exception as err:
        reason = str(err) or type(err).__name__
    try:
        recovered = stack.enter_context(RecoveredRosbag1(path))
    except (RecordingError, OSError) as err:
        raise RecordingError(f'{path} is no readable ROS 1 bag ({reason}): {err}') from err
    return recovered, [recovered.note]


def _bag_types(reader: Reader | RecoveredRosbag1) -> tuple[Typestore, set[str]]:
    store = get_typestore(Stores.EMPTY)
    store.register({name: typestore().fielddefs[name] for name in _ROS2_FORM})
    unknown = set()
    for link in reader.connections:
        try:
            types = get_types_from_msg(link.msgdef.data, link.msgtype)
            store.register({name: types[name] for name in types if name not in _ROS2_FORM})
        except Exception:
            unknown.add(link.msgtype)
        else:
            if not _same_in_ros2(store, link):
                unknown.add(link.msgtype)
    return store, unknown


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
