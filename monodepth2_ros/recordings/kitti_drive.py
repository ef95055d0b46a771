# SPDX-License-Identifier: Apache-2.0
"""A drive of KITTI's raw data, in the folders as they ship, as a recording of its stereo pair.

| file | what |
|---|---|
| ``DAY/calib_cam_to_cam.txt`` | calibration of all drives of a day |
| ``DAY/DRIVE/image_02/data/0000000000.png`` or .jpg | in colour, left; right: ``image_03`` |
| ``DAY/DRIVE/image_02/timestamps.txt`` | when each was taken, a line a frame |

Where there is no colour, the grey pair 00 and 01 is taken. Pictures are rectified and handed on as
they are stored. Source of the layout: Geiger et al., IJRR 2013.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import RecordingError
from monodepth2_ros.geometry.camera import CameraCalibration
from monodepth2_ros.recordings import cdr
from monodepth2_ros.recordings.messages import (
    CAMERA_INFO_TYPE,
    COMPRESSED_IMAGE_TYPE,
    Message,
    Topic,
)
from monodepth2_ros.recordings.recording import Recording

CALIBRATION = 'calib_cam_to_cam.txt'
"""Name of the calibration in the folder of a day."""

PAIRS = ((2, 3), (0, 1))
"""Numbers of the left and the right camera: colour, grey."""

_TIMES = 'timestamps.txt'
_SUFFIXES = ('.png', '.jpg')
_PERIOD_NS, _FIRST_NS = 10**8, 10**9


@dataclass(frozen=True, kw_only=True)
class _Picture:
    """A picture that has not been read."""

    stamp_ns: int
    camera: int
    file: Path


class KittiDrive(Recording):
    """The stereo pair of a drive as ``/image_02`` and ``/image_03``."""

    def __init__(
        self,
        path: Path,
        *,
        calibration: CameraCalibration | None = None,
        frames: Collection[int] | None = None,
        notes: Collection[str] = (),
    ) -> None:
        """Look which pictures are there.

        Args:
            path: folder of the drive.
            calibration: replaces that of the day.
            frames: numbers of those to take; all if None.
            notes: more that a user should know.

        Raises:
            RecordingError: there is no picture, or the calibration cannot be read.
        """
        cameras = _cameras(path)
        found = {camera: _pictures(path, camera, frames) for camera in cameras}
        self._pictures = sorted(
            (picture for pictures in found.values() for picture in pictures),
            key=lambda picture: (picture.stamp_ns, picture.camera),
        )
        if not self._pictures:
            raise RecordingError(f'{path} holds no picture as image_02/data/0000000000.png')
        self._calibrations = (
            _calibrations(path.parent / CALIBRATION, cameras) if calibration is None else {}
        )
        topics = []
        for camera, pictures in found.items():
            topics.append(_topic(_image(camera), COMPRESSED_IMAGE_TYPE, len(pictures)))
            if camera in self._calibrations:
                topics.append(_topic(_info(camera), CAMERA_INFO_TYPE, len(pictures)))
        notes = [*notes, *_lacks(path, found, frames)]
        span_ns = (self._pictures[0].stamp_ns, self._pictures[-1].stamp_ns)
        self._unreadable: dict[Path, str] = {}
        super().__init__(path, topics, span_ns, calibration=calibration, notes=notes)

    @property
    def damaged_files(self) -> tuple[Path, ...]:
        """Pictures that cannot be read, in order; they are met while reading."""
        return tuple(p.file for p in self._pictures if p.file in self._unreadable)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know; see ``damaged_files``."""
        lost = self.damaged_files
        if not lost:
            return super().notes
        note = (
            f'{len(lost)} of {len(self._pictures)} pictures cannot be read and are left out, the '
            f'first is {lost[0]} ({self._unreadable[lost[0]]})'
        )
        return (*super().notes, note)

    def close(self) -> None:
        """Nothing stays open between reads."""

    def _read(
        self, names: frozenset[str], start_ns: int | None, end_ns: int | None
    ) -> Iterator[Message]:
        for picture in self._pictures:
            if start_ns is not None and picture.stamp_ns < start_ns:
                continue
            if end_ns is not None and picture.stamp_ns >= end_ns:
                return
            if _info(picture.camera) in names:
                yield self._calibration_message(picture)
            if _image(picture.camera) in names:
                yield from self._image_messages(picture)

    def _image_messages(self, picture: _Picture) -> Iterator[Message]:
        """The message of a picture; none, which is noted, if its file cannot be read."""
        try:
            message = _image_message(picture)
        except OSError as err:
            self._unreadable[picture.file] = err.strerror or str(err)
            return
        yield message

    def _calibration_message(self, picture: _Picture) -> Message:
        calibration, stamp_ns = self._calibrations[picture.camera], picture.stamp_ns
        data = cdr.camera_info(calibration, stamp_ns=stamp_ns, frame_id=_frame(picture.camera))
        name = _info(picture.camera)
        return Message(topic=name, type=CAMERA_INFO_TYPE, stamp_ns=stamp_ns, data=data)


def is_drive(folder: Path) -> bool:
    """Whether a folder is laid out as a drive."""
    return bool(_cameras(folder))


def read_entries(path: Path) -> dict[str, NDArray[np.float64]]:
    """The numbers of a KITTI calibration file by name; entries of words are left out.

    Raises:
        RecordingError: the file cannot be read.
    """
    try:
        lines = path.read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as err:
        raise RecordingError(
            f'{path} cannot be read ({err}): expected a calibration file as KITTI ships it'
        ) from err
    entries = {}
    for line in lines:
        name, _, values = line.partition(':')
        try:
            entries[name.strip()] = np.array(values.split(), np.float64)
        except ValueError:
            continue
    return entries


def _calibrations(path: Path, cameras: Collection[int]) -> dict[int, CameraCalibration]:
    """The calibration of the rectified pictures of each camera."""
    entries, found = read_entries(path), {}
    for camera in cameras:
        P = entries.get(f'P_rect_{camera:02d}', np.empty(0))
        size = entries.get(f'S_rect_{camera:02d}', np.empty(0))
        if (P.size, size.size) != (12, 2):
            raise RecordingError(
                f'{path} has {P.size} numbers under P_rect_{camera:02d} and {size.size} under '
                f'S_rect_{camera:02d}: expected 12 and 2'
            )
        found[camera] = CameraCalibration(
            width=round(size[0]),
            height=round(size[1]),
            K=tuple(P.reshape(3, 4)[:, :3].ravel().tolist()),
            P=tuple(P.tolist()),
        )
    return found


def _cameras(drive: Path) -> tuple[int, ...]:
    """Those of the first pair that are there."""
    there = [
        tuple(camera for camera in pair if (drive / f'image_{camera:02d}' / 'data').is_dir())
        for pair in PAIRS
    ]
    return next((pair for pair in there if pair), ())


def _pictures(drive: Path, camera: int, frames: Collection[int] | None) -> list[_Picture]:
    """The pictures of a camera that are there and wanted."""
    folder = drive / f'image_{camera:02d}'
    found = [f for f in folder.glob('data/*') if f.suffix in _SUFFIXES and f.stem.isdecimal()]
    files = {int(file.stem): file for file in found}
    count = max(files, default=-1) + 1
    stamps_ns = _stamps_ns(folder)
    if len(stamps_ns) < count:
        stamps_ns = _FIRST_NS + _PERIOD_NS * np.arange(count)
    return [
        _Picture(stamp_ns=int(stamps_ns[number]), camera=camera, file=file)
        for number, file in files.items()
        if frames is None or number in frames
    ]


def _stamps_ns(folder: Path) -> NDArray[np.int64]:
    """When each frame was taken; empty if the file is missing or holds no times."""
    try:
        lines = (folder / _TIMES).read_text(encoding='utf-8').split('\n')
        times = [line.strip() for line in lines if line.strip()]
        return np.array(times, 'datetime64[ns]').astype(np.int64)
    except (OSError, ValueError):
        return np.empty(0, np.int64)


def _lacks(
    drive: Path, found: dict[int, list[_Picture]], frames: Collection[int] | None
) -> list[str]:
    """What a user should know of files that are not there."""
    notes = []
    for camera, pictures in found.items():
        folder = drive / f'image_{camera:02d}'
        numbers = {int(picture.file.stem) for picture in pictures}
        if len(_stamps_ns(folder)) <= max(numbers, default=-1):
            notes.append(f'{folder / _TIMES} has no time for each picture: taken to be at 10 Hz')
        missing = set(frames or ()) - numbers
        if missing:
            notes.append(
                f'{len(missing)} of {len(frames or ())} pictures that are asked for are missing, '
                f'the first is {folder / "data" / f"{min(missing):010d}.png"}'
            )
    return notes


def _image_message(picture: _Picture) -> Message:
    """A ``sensor_msgs/CompressedImage`` of the file's own bytes."""
    content = cdr.typestore().types[COMPRESSED_IMAGE_TYPE](
        header=cdr.header(picture.stamp_ns, _frame(picture.camera)),
        format=picture.file.suffix.lstrip('.'),
        data=np.frombuffer(picture.file.read_bytes(), np.uint8),
    )
    return Message(
        topic=_image(picture.camera),
        type=COMPRESSED_IMAGE_TYPE,
        stamp_ns=picture.stamp_ns,
        data=cdr.serialize(content, COMPRESSED_IMAGE_TYPE),
    )


def _topic(name: str, type_name: str, count: int) -> Topic:
    return Topic(name=name, type=type_name, count=count)


def _image(camera: int) -> str:
    return f'/image_{camera:02d}/image_rect/compressed'


def _info(camera: int) -> str:
    return f'/image_{camera:02d}/camera_info'


def _frame(camera: int) -> str:
    return f'image_{camera:02d}_optical_frame'
