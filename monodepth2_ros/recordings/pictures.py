# SPDX-License-Identifier: Apache-2.0
"""Videos and image folders as one camera: its images, and its calibration when one is given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import ImageError, RecordingError
from monodepth2_ros.geometry.camera import CameraCalibration
from monodepth2_ros.images import CompressedImage, decode_compressed_unexpanded
from monodepth2_ros.images.headers import JPEG_MAGIC
from monodepth2_ros.recordings import cdr
from monodepth2_ros.recordings.messages import CAMERA_INFO_TYPE, IMAGE_TYPE, Message, Topic
from monodepth2_ros.recordings.picture_stamps import (
    container_stamps,
    regular_stamps,
    stamped_images,
)
from monodepth2_ros.recordings.recording import Recording

IMAGE_TOPIC = '/camera/image_raw'
INFO_TOPIC = '/camera/camera_info'
FRAME_ID = 'camera_optical_frame'
VIDEO_SUFFIXES = ('.mp4', '.mkv', '.avi', '.mov', '.webm', '.m4v', '.mpg', '.mpeg', '.ts')
IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.ppm', '.pgm', '.webp')

_MOST_PLAUSIBLE_FPS = 1000.0

Frames = Iterator[tuple[int, NDArray[Any]]]


class _PictureRecording(Recording):
    """Frames of one camera, decoded while they are read."""

    def __init__(
        self,
        path: Path,
        span_ns: tuple[int, int],
        count: int,
        given: CameraCalibration | None,
    ) -> None:
        topics = [Topic(name=IMAGE_TOPIC, type=IMAGE_TYPE, count=count)]
        if given is not None:
            topics.append(Topic(name=INFO_TOPIC, type=CAMERA_INFO_TYPE, count=count))
        super().__init__(path, topics, span_ns, calibration=given)

    def close(self) -> None:
        """Nothing stays open between reads."""

    def _frames(self, start_ns: int) -> Frames:
        """Stream (stamp in ns, uint8 or uint16 [H, W] or [H, W, 3] BGR) from a stamp on."""
        raise NotImplementedError

    def _read(
        self, names: frozenset[str], start_ns: int | None, end_ns: int | None
    ) -> Iterator[Message]:
        for stamp_ns, pixels in self._frames(self.start_ns if start_ns is None else start_ns):
            if end_ns is not None and stamp_ns >= end_ns:
                return
            yield from self._messages_at(names, stamp_ns, pixels)

    def _messages_at(
        self, names: frozenset[str], stamp_ns: int, pixels: NDArray[Any]
    ) -> Iterator[Message]:
        if INFO_TOPIC in names and self.given_calibration is not None:
            info = cdr.camera_info(self.given_calibration, stamp_ns=stamp_ns, frame_id=FRAME_ID)
            yield Message(topic=INFO_TOPIC, type=CAMERA_INFO_TYPE, stamp_ns=stamp_ns, data=info)
        if IMAGE_TOPIC in names:
            encoding = _encoding(pixels)
            data = cdr.image(pixels, encoding=encoding, stamp_ns=stamp_ns, frame_id=FRAME_ID)
            yield Message(topic=IMAGE_TOPIC, type=IMAGE_TYPE, stamp_ns=stamp_ns, data=data)


class VideoRecording(_PictureRecording):
    """A video file as a camera; frames come as ``bgr8``."""

    def __init__(
        self, path: Path, *, calibration: CameraCalibration | None = None, fps: float = 0.0
    ) -> None:
        """Open a video.

        Args:
            path: the file.
            calibration: the camera's, published with every frame.
            fps: true frame rate; 0 takes each frame's time as the container tells it.

        Raises:
            RecordingError: OpenCV cannot decode it, or its rate is unknown.
        """
        count, container_fps = _probe_video(path)
        rate = fps or container_fps
        if not 0 < rate <= _MOST_PLAUSIBLE_FPS:
            raise RecordingError(
                f'{path} claims {rate:g} frames a second: give the true rate by fps'
            )
        self._decoded: int | None = None
        self._fps, self._period_ns = fps, round(1e9 / rate)
        stamp_ns = regular_stamps(rate)
        super().__init__(path, (stamp_ns(0), stamp_ns(count - 1)), count, calibration)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know; where decoding ends is met while reading."""
        claimed = self.topic(IMAGE_TOPIC).count
        if self._decoded is None or self._decoded >= claimed:
            return super().notes
        note = f'{self._decoded} of the {claimed} frames that the video claims can be decoded'
        return (*super().notes, note)

    def _frames(self, start_ns: int) -> Frames:
        video = _opened(self.path)
        decoded = 0
        try:
            for stamp_ns in self._stamps_ns(_positions_ns(video)):
                if stamp_ns >= start_ns:
                    alive, pixels = video.retrieve()
                    if not alive:
                        break
                    yield stamp_ns, pixels
                decoded += 1
            self._decoded = decoded
        finally:
            video.release()

    def _stamps_ns(self, positions_ns: Iterator[int]) -> Iterator[int]:
        """The stamp of each frame."""
        if not self._fps:
            return container_stamps(positions_ns, period_ns=self._period_ns)
        stamp_ns = regular_stamps(self._fps)
        return (stamp_ns(index) for index, _ in enumerate(positions_ns))


class ImageFolderRecording(_PictureRecording):
    """A folder of images as a camera, by the numbers in their names; times are stamps."""

    def __init__(
        self, path: Path, *, calibration: CameraCalibration | None = None, fps: float = 0.0
    ) -> None:
        """Open a folder.

        Args:
            path: the folder.
            calibration: the camera's, published with every frame.
            fps: frame rate; 0 takes stamps from names that are times, else 10 Hz.

        Raises:
            RecordingError: it holds no image, or names that look like times cannot be any.
        """
        self._files, self._stamps_ns = stamped_images(image_files(path), fps=fps)
        if not self._files:
            raise RecordingError(
                f'{path} holds neither a bag nor images ({", ".join(IMAGE_SUFFIXES)})'
            )
        self._damaged: set[Path] = set()
        span_ns = (self._stamps_ns[0], self._stamps_ns[-1])
        super().__init__(path, span_ns, len(self._files), calibration)

    @property
    def damaged_files(self) -> tuple[Path, ...]:
        """Images that cannot be decoded, in order; they are met while reading."""
        return tuple(file for file in self._files if file in self._damaged)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know; see ``damaged_files``."""
        damaged = self.damaged_files
        if not damaged:
            return super().notes
        note = (
            f'{len(damaged)} of {len(self._files)} images cannot be decoded and are left '
            f'out, the first is {damaged[0].name}'
        )
        return (*super().notes, note)

    def _frames(self, start_ns: int) -> Frames:
        for stamp_ns, file in zip(self._stamps_ns, self._files, strict=True):
            if stamp_ns < start_ns:
                continue
            pixels = _playable(file)
            if pixels is None:
                self._damaged.add(file)
            else:
                yield stamp_ns, pixels
        if len(self._damaged) == len(self._files):
            raise RecordingError(
                f'{self._files[0]} is no image that can be played: expected 8-bit colour, or grey '
                'of 8 or 16 bits, in a file that OpenCV can decode'
            )


def has_images(folder: Path) -> bool:
    """Whether a folder holds at least one image file."""
    return bool(image_files(folder))


def image_files(folder: Path) -> list[Path]:
    """The image files in a folder; hidden ones, such as macOS's ``._1.jpg``, are none."""
    return [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith('.')
    ]


def _probe_video(path: Path) -> tuple[int, float]:
    video = _opened(path)
    try:
        alive = video.isOpened() and video.grab()
        claimed, fps = video.get(cv2.CAP_PROP_FRAME_COUNT), video.get(cv2.CAP_PROP_FPS)
        count = int(claimed) if claimed >= 1 else 1 + _count_rest(video)
    finally:
        video.release()
    if not alive:
        raise RecordingError(
            f'{path} is no video that OpenCV can decode; convert it first, e.g. to H.264 in MP4'
        )
    return count, float(fps)


def _opened(path: Path) -> cv2.VideoCapture:
    """A video whose frames come as they are stored, whatever rotation its metadata asks for."""
    # As with EXIF: a calibration describes the sensor as mounted.
    video = cv2.VideoCapture(str(path))
    video.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
    return video


def _positions_ns(video: cv2.VideoCapture) -> Iterator[int]:
    """Grab frame after frame; where each lies in the video, as the container tells it."""
    while video.grab():
        yield round(video.get(cv2.CAP_PROP_POS_MSEC) * 1e6)


def _count_rest(video: cv2.VideoCapture) -> int:
    """Frames from here on; a container that was never closed does not know."""
    count = 0
    while video.grab():
        count += 1
    return count


def _playable(file: Path) -> NDArray[Any] | None:
    """The pixels of an image file; None if it is damaged or no encoding fits."""
    try:
        data = file.read_bytes()
        pixels = _jpeg(data) if data.startswith(JPEG_MAGIC) else _as_stored(data)
    except (OSError, ImageError, cv2.error):
        return None
    return pixels if pixels is not None and _encoding(pixels) else None


def _jpeg(data: bytes) -> NDArray[np.uint8]:
    """Decode to uint8 [H, W, 3] BGR or grey [H, W]; OpenCV would fill in what is missing."""
    pixels = decode_compressed_unexpanded(CompressedImage(format='jpeg', data=data))
    if pixels.ndim == 2:
        return pixels
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), np.uint8)


def _as_stored(data: bytes) -> NDArray[Any] | None:
    """Decode any other file with its own channels and depth; None if it is no whole picture."""
    # As in messages, EXIF rotation is ignored: a calibration describes the sensor as mounted.
    flags = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    return cv2.imdecode(np.frombuffer(data, np.uint8), flags)


def _encoding(pixels: NDArray[Any]) -> str:
    """The encoding of an array [H, W] or [H, W, 3] BGR; empty if none fits."""
    names = {(np.uint8, 2): 'mono8', (np.uint16, 2): 'mono16', (np.uint8, 3): 'bgr8'}
    return names.get((pixels.dtype.type, pixels.ndim), '')
