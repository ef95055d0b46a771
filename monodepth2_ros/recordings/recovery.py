# SPDX-License-Identifier: Apache-2.0
"""What can still be read of a cut-off or damaged storage file, through an index rebuilt from it.

One pass through the file notes which stretches hold which times; messages are then read stretch
by stretch, so that memory holds only those whose times overlap.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rosbags.interfaces import (
    Connection,
    ConnectionExtRosbag1,
    ConnectionExtRosbag2,
    MessageDefinition,
    MessageDefinitionFormat,
)
from rosbags.rosbag2.errors import ReaderError
from rosbags.rosbag2.metadata import parse_qos

from monodepth2_ros.errors import RecordingError
from monodepth2_ros.recordings.stretches import Found, Stretch, in_time_order

Block = TypeVar('Block')

ROS1 = 'ros1'
"""How messages are serialised in ROS 1."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """What the file says about the topic behind a connection's number."""

    topic: str
    """Name."""
    type: str
    """Message type."""
    format: str
    """How messages are serialised; ``cdr`` in ROS 2, else ``ROS1``."""
    qos: str = ''
    """Offered profiles, YAML."""
    definition: str = ''
    """Text that defines its type, in ROS 1."""
    latched: bool = False
    """Whether late subscribers are to get the last message, in ROS 1."""


@dataclass(kw_only=True)
class Survey:
    """What a pass through a damaged file has found."""

    size: int
    """Bytes of the file."""
    cut_off: bool = False
    """Whether its end is missing."""
    places: int = 0
    """Damaged places."""
    left_out: int = 0
    """Messages that are there but damaged or incomplete."""
    expected: int = 0
    """Messages that the file says it has or had; 0 if it does not say."""

    def note(self, name: str, messages: int, seconds: float) -> str:
        """What was lost and what was not, for people."""
        reasons = [f'is cut off after {self.size / 1e6:.2f} MB'] if self.cut_off else []
        if self.places:
            reasons.append(f'is damaged in {self.places} place{"s" if self.places > 1 else ""}')
        elif self.left_out and not self.cut_off:
            reasons.append('is damaged')
        what = ' and '.join(reasons) or 'is not readable by its index'
        total = f' of {self.expected}' if self.expected > messages else ''
        lost = f', {self.left_out} incomplete or damaged ones left out' if self.left_out else ''
        return f'{name} {what}: {messages}{total} messages of {seconds:.1f} s were recovered{lost}'


class RecoveredFile(ABC):
    """A damaged storage file; it offers what ``rosbags.rosbag2.Reader`` does.

    Attributes:
        connections: topics of which something was found.
        message_count: messages on them.
        start_time: earliest stamp, ns.
        end_time: latest stamp, ns, plus 1.
        note: what was lost and recovered.
        whole: whether nothing was lost.
    """

    def __init__(self, path: Path) -> None:
        """Open the file and go through it.

        Raises:
            RecordingError: no message could be recovered.
            OSError: it cannot be read.
        """
        self._stream = path.open('rb')
        try:
            self._adopt(path, *self._survey())
        except BaseException:
            self._stream.close()
            raise

    def _adopt(
        self,
        path: Path,
        survey: Survey,
        links: Mapping[int, Link],
        stretches: Collection[Stretch],
        counts: Mapping[int, int],
    ) -> None:
        self._stretches = tuple(stretches)
        self.connections = [
            _connection(number, links[number], counts[number], self)
            for number in sorted(counts.keys() & links.keys())
        ]
        self.message_count = sum(connection.msgcount for connection in self.connections)
        if not self.message_count:
            raise RecordingError('no whole message was found in it')
        survey.left_out += sum(counts.values()) - self.message_count
        self.start_time = min(stretch.start_ns for stretch in self._stretches)
        self.end_time = max(stretch.end_ns for stretch in self._stretches) + 1
        seconds = (self.end_time - 1 - self.start_time) / 1e9
        self.note = survey.note(path.name, self.message_count, seconds)
        self.whole = not (survey.cut_off or survey.places or survey.left_out)

    def __enter__(self) -> RecoveredFile:
        """Give the file itself: it is open from construction."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close it."""
        self._stream.close()

    def messages(
        self,
        connections: Collection[Connection] = (),
        start: int | None = None,
        stop: int | None = None,
    ) -> Iterator[tuple[Connection, int, bytes]]:
        """Stream (connection, stamp in ns, data) in time order, as rosbags does."""
        wanted = connections or self.connections
        return in_time_order(self._stretches, self._read, wanted, start, stop)

    @abstractmethod
    def _survey(
        self,
    ) -> tuple[Survey, Mapping[int, Link], Collection[Stretch], Mapping[int, int]]:
        """Go through the file: losses, links by number, stretches, messages by link."""

    @abstractmethod
    def _read(self, stretch: Stretch, links: Collection[int]) -> Iterator[Found]:
        """The whole messages of a stretch that are on some links."""


def stretches_of(
    blocks: Iterable[Block | None], survey: Survey, look_into: Callable[[Block], list[int]]
) -> list[Stretch]:
    """The stretches of a file that is a row of blocks.

    Args:
        blocks: None where the file is damaged, which is counted.
        survey: counts it.
        look_into: gives the stamps in ns of the whole messages of a block.
    """
    stretches = []
    for block in blocks:
        if block is None:
            survey.places += 1
            continue
        stamps_ns = look_into(block)
        if stamps_ns:
            stretches.append(Stretch.over(block, stamps_ns))
    return stretches


def _connection(number: int, link: Link, messages: int, owner: RecoveredFile) -> Connection:
    return Connection(
        number,
        link.topic,
        link.type,
        MessageDefinition(MessageDefinitionFormat.MSG, link.definition),
        '',
        messages,
        _extra(link),
        owner,
    )


def _extra(link: Link) -> ConnectionExtRosbag1 | ConnectionExtRosbag2:
    if link.format == ROS1:
        return ConnectionExtRosbag1(None, int(link.latched))
    try:
        qos = parse_qos(link.qos)
    except (ReaderError, TypeError, KeyError, AttributeError):
        qos = []
    return ConnectionExtRosbag2(link.format, qos)
