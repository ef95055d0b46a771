# SPDX-License-Identifier: Apache-2.0
"""The pictures behind a path, one after the other, whatever they are stored in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from monodepth2_ros.errors import ConfigError, RecordingError
from monodepth2_ros.recordings import open_recording
from monodepth2_ros.recordings.cameras import decode_frame, frame_stamp_ns
from monodepth2_ros.recordings.natural_order import natural_key
from monodepth2_ros.recordings.pictures import (
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    image_files,
)
from monodepth2_ros.recordings.rosbag2 import is_bag_folder
from monodepth2_training.data.bags import choose_one_camera
from monodepth2_training.prediction.image_files import read_image

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from monodepth2_ros.geometry.camera import CameraCalibration
    from monodepth2_ros.recordings import Message, Recording


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One picture that has not been decoded yet."""

    name: str
    """Unique among the pictures of its source, without suffix."""
    read: Callable[[], NDArray[np.uint8]]
    """Decodes it to RGB uint8 [H, W, 3]; raises ImageError."""


@dataclass(frozen=True, kw_only=True)
class PictureSource:
    """The pictures behind a path."""

    pictures: Iterator[Picture]
    """Each once, in order of name or time."""
    single: bool
    """Whether the path is one image file."""
    topic: str = ''
    """Image topic of the camera; empty where the pictures are of no bag."""
    files: Sequence[Path] = ()
    """The image files, if the pictures are such."""
    calibration: CameraCalibration | None = None
    """As recorded beside the pictures, if it was."""
    notes: Callable[[], tuple[str, ...]] = tuple
    """Says what of a recording is lost or odd; complete when its pictures have been read."""


@contextmanager
def open_pictures(path: Path, *, topic: str = '') -> Iterator[PictureSource]:
    """Open an image file, a folder of images, a video or a bag.

    Args:
        path: the file or folder.
        topic: image topic or namespace of the camera in a bag; the only one if empty.

    Raises:
        RecordingError: there is no such path, it is none of these, it has no such camera, or
            several to choose from.
        ConfigError: a topic is given for something that has none.
    """
    files = _image_files(path)
    if files is None:
        with open_recording(path) as recording:
            camera = choose_one_camera(recording, topic)
            yield PictureSource(
                pictures=_recorded(recording, camera.image),
                single=False,
                topic=camera.image if _is_bag(recording) else '',
                calibration=recording.calibration(camera.image),
                notes=lambda: recording.notes,
            )
        return
    if topic:
        raise ConfigError(f'topic {topic!r} is given, but {path} is no bag: leave it out')
    yield PictureSource(pictures=_stored(files), single=not path.is_dir(), files=files)


def _image_files(path: Path) -> list[Path] | None:
    """The image files behind a path; None if it is a recording."""
    if not path.is_dir() and path.suffix.lower() in IMAGE_SUFFIXES:
        return [path]
    files = image_files(path) if path.is_dir() and not is_bag_folder(path) else []
    return sorted(files, key=lambda file: natural_key(file.name)) or None


def _stored(files: list[Path]) -> Iterator[Picture]:
    """Name image files by their stems, or in full where two stems are equal."""
    count = Counter(file.stem for file in files)
    for file in files:
        name = file.stem if count[file.stem] == 1 else file.name
        yield Picture(name=name, read=_reader(file))


def _reader(file: Path) -> Callable[[], NDArray[np.uint8]]:
    return lambda: read_image(file)


def _recorded(recording: Recording, topic: str) -> Iterator[Picture]:
    """Name frames by their number, in a bag also by their stamp."""
    stamped = _is_bag(recording)
    count = 0
    for message in recording.messages([topic]):
        number = f'{count:06d}'
        name = f'{number}_{frame_stamp_ns(message)}' if stamped else number
        yield Picture(name=name, read=_decoder(message))
        count += 1
    if count == 0:
        raise RecordingError(f'{recording.path} has no image on {topic}')


def _is_bag(recording: Recording) -> bool:
    return recording.path.suffix.lower() not in VIDEO_SUFFIXES


def _decoder(message: Message) -> Callable[[], NDArray[np.uint8]]:
    return lambda: decode_frame(message)
