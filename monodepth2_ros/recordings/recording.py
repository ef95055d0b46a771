# SPDX-License-Identifier: Apache-2.0
"""What every recording offers: its topics, its time span and a stream of messages in time order.

Stamps are nanoseconds since the epoch of the recording's own clock; the end is the last message's
stamp.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import NoReturn, TypeVar

from monodepth2_ros.errors import CalibrationError, RecordingError
from monodepth2_ros.geometry.camera import CameraCalibration
from monodepth2_ros.images import CompressedImage, RawImage
from monodepth2_ros.recordings import cdr
from monodepth2_ros.recordings.messages import (
    CAMERA_INFO_TYPE,
    COMPRESSED_IMAGE_TYPE,
    IMAGE_TYPE,
    Message,
    Topic,
)

_Content = TypeVar('_Content')
_CALIBRATIONS_TRIED = 100
_DEPTH_ENCODINGS = ('32FC', '64FC', '32SC', '16SC')


class Recording(ABC):
    """An opened recording; use it as a context manager.

    Attributes:
        path: the folder or file that was opened.
        topics: the topics, in name order.
        start_ns: stamp of the first message.
        end_ns: stamp of the last message.
    """

    def __init__(
        self,
        path: Path,
        topics: Collection[Topic],
        span_ns: tuple[int, int],
        *,
        calibration: CameraCalibration | None = None,
        notes: Collection[str] = (),
    ) -> None:
        self.path = path
        self.topics = tuple(sorted(topics, key=lambda topic: topic.name))
        self.start_ns, self.end_ns = span_ns
        self.given_calibration = calibration
        self._notes = list(notes)

    def __enter__(self) -> Recording:
        """Give the recording itself: it is open from construction."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close it."""
        self.close()

    @property
    def name(self) -> str:
        """Name of the folder or file, also where the path is ``.`` or ends in ``..``."""
        name = self.path.name
        return name if name not in ('', '..') else self.path.resolve().name

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know: parts that are missing, topics that cannot be read.

        Reading may add to it: damage is found where it is.
        """
        return tuple(self._notes)

    @property
    def damaged_files(self) -> tuple[Path, ...]:
        """Files of one picture each that reading has left out so far, as they are damaged."""
        return ()

    @property
    def duration_s(self) -> float:
        """Seconds from the first message to the last."""
        return (self.end_ns - self.start_ns) / 1e9

    @property
    def message_count(self) -> int:
        """Messages on all topics."""
        return sum(topic.count for topic in self.topics)

    def topic(self, name: str) -> Topic:
        """The topic of this name.

        Raises:
            RecordingError: there is none; the message lists those there are.
        """
        for topic in self.topics:
            if topic.name == name:
                return topic
        names = ', '.join(topic.name for topic in self.topics) or 'none'
        raise RecordingError(f'{self.path} has no topic {name!r}; it has: {names}')

    def messages(
        self,
        topics: Collection[str] | None = None,
        *,
        start_ns: int | None = None,
        end_ns: int | None = None,
    ) -> Iterator[Message]:
        """Stream messages in time order, holding no more than a few in memory.

        Args:
            topics: names to give; all when None.
            start_ns: first stamp to give.
            end_ns: first stamp not to give.

        Raises:
            RecordingError: an unknown topic, or damage, told with what was read up to there.
        """
        wanted = [self.topic(name) for name in topics] if topics is not None else self.topics
        types = {topic.name: topic.type for topic in wanted}
        source = self._read(frozenset(types), start_ns, end_ns)
        count, stamp_ns = 0, self.start_ns
        while True:
            try:
                message = next(source, None)
            except RecordingError:
                raise
            except Exception as err:
                self._fail_damaged(count, stamp_ns, err)
            if message is None:
                return
            if message.type != types[message.topic]:
                continue
            yield message
            count, stamp_ns = count + 1, message.stamp_ns

    def image_topics(self) -> tuple[str, ...]:
        """Names of the topics that hold camera images; depth images are none."""
        return tuple(topic.name for topic in self.topics if self._is_camera(topic))

    def calibration_topic(self, image_topic: str) -> str | None:
        """The ``camera_info`` topic beside an image topic; None if there is none."""
        base = image_topic.removesuffix('/compressed')
        wanted = f'{base.rpartition("/")[0]}/camera_info'
        names = {topic.name for topic in self.topics if topic.type == CAMERA_INFO_TYPE}
        return wanted if wanted in names else None

    def calibration(self, image_topic: str) -> CameraCalibration | None:
        """The calibration given on opening, else that recorded beside an image topic.

        Raises:
            RecordingError: all that was recorded is damaged.
        """
        if self.given_calibration is not None:
            return self.given_calibration
        return self.recorded_calibration(image_topic)

    def recorded_calibration(self, image_topic: str) -> CameraCalibration | None:
        """The first usable calibration recorded beside an image topic, whatever was given.

        A driver may send empty ones until it has read its own; where all of the first are
        unusable, it is the first of them.

        Raises:
            RecordingError: all that was recorded is damaged.
        """
        name = self.calibration_topic(image_topic)
        if name is None:
            return None
        try:
            return self._first(name, _usable_calibration, among=_CALIBRATIONS_TRIED)
        except RecordingError:
            return self._first(name, cdr.parse_calibration)

    def _is_camera(self, topic: Topic) -> bool:
        if topic.count == 0 or topic.name.endswith('/compressedDepth'):
            return False
        pictures = topic.type in (IMAGE_TYPE, COMPRESSED_IMAGE_TYPE)
        return pictures and not self._holds_depth(topic.name)

    def _holds_depth(self, name: str) -> bool:
        try:
            picture = self._first(name, cdr.parse_image)
        except RecordingError:
            return False
        if picture is None:
            return True
        encoding = _encoding(picture).upper()
        return encoding.startswith(_DEPTH_ENCODINGS) or (encoding == '16UC1' and 'depth' in name)

    def _first(
        self, topic: str, parse: Callable[[Message], _Content], *, among: int | None = None
    ) -> _Content | None:
        """The first message (``among`` so many) that can be parsed; None if there is none."""
        failure = None
        for message in islice(self.messages([topic]), among):
            try:
                return parse(message)
            except RecordingError as err:
                failure = failure or err
        if failure is not None:
            raise failure
        return None

    def _fail_damaged(self, count: int, stamp_ns: int, err: Exception) -> NoReturn:
        raise RecordingError(
            f'{self.path} is damaged: {count} messages could be read, up to '
            f'{(stamp_ns - self.start_ns) / 1e9:.2f} s of {self.duration_s:.2f} s, then '
            f'{type(err).__name__}: {err}. Use the readable part, or repair the file first'
        ) from err

    @abstractmethod
    def _read(
        self, names: frozenset[str], start_ns: int | None, end_ns: int | None
    ) -> Iterator[Message]:
        """Stream the messages on these topics; any error means damage."""

    @abstractmethod
    def close(self) -> None:
        """Release files and temporary storage."""


def _usable_calibration(message: Message) -> CameraCalibration:
    """The calibration in a message.

    Raises:
        RecordingError: it is damaged, or nothing can be computed with it.
    """
    calibration = cdr.parse_calibration(message)
    try:
        calibration.checked()
    except CalibrationError as err:
        raise RecordingError(f'{message.topic}: {err}') from err
    return calibration


def _encoding(picture: RawImage | CompressedImage) -> str:
    """The encoding of an image; a compressed one names that of its source before a semicolon."""
    if isinstance(picture, RawImage):
        return picture.encoding
    return picture.format.partition(';')[0].strip()
