# SPDX-License-Identifier: Apache-2.0
"""Finds the cameras of a recording: which topics hold their images and which their calibration.

As in image_transport, ``ns/image_raw`` and ``ns/image_raw/compressed`` are one camera and its
calibration is on ``ns/camera_info``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import ImageError, RecordingError
from monodepth2_ros.images import CompressedImage, RawImage, decode, decode_compressed
from monodepth2_ros.recordings import cdr
from monodepth2_ros.recordings.messages import COMPRESSED_IMAGE_TYPE, Message
from monodepth2_ros.recordings.recording import Recording


@dataclass(frozen=True, kw_only=True)
class CameraTopics:
    """The topics of one recorded camera."""

    image: str
    """Topic of the images."""
    info: str | None
    """Topic of the calibration; None when it was not recorded."""
    compressed: bool
    """Whether the images are ``CompressedImage``."""
    frames: int
    """Images recorded."""


def cameras(recording: Recording) -> tuple[CameraTopics, ...]:
    """The cameras of a recording, those with a calibration and on the left first."""
    found = (_camera_topics(recording, name) for name in recording.image_topics())
    return tuple(sorted(found, key=_preference))


def choose_camera(recording: Recording, wanted: str = '') -> CameraTopics:
    """One camera: the first, or that whose image topic or namespace is ``wanted``.

    Raises:
        RecordingError: there is no camera, or none of that name.
    """
    found = cameras(recording)
    if not found:
        names = (
            ', '.join(f'{topic.name} ({topic.type})' for topic in recording.topics) or 'nothing'
        )
        raise RecordingError(f'{recording.path} has no camera images; it holds: {names}')
    name = wanted.rstrip('/')
    for camera in found:
        if not wanted or camera.image == name or camera.image.startswith(f'{name}/'):
            return camera
    images = ', '.join(camera.image for camera in found)
    raise RecordingError(f'{recording.path} has no camera {wanted!r}; its cameras are: {images}')


def image_frames(
    recording: Recording, topic: str | None = None
) -> Iterator[tuple[int, RawImage | CompressedImage]]:
    """Stream (header stamp in ns, image) of one camera; of the first one when none is named.

    Raises:
        RecordingError: no such camera, or damage.
    """
    name = topic if topic is not None else choose_camera(recording).image
    for message in recording.messages([name]):
        yield cdr.header_stamp_ns(message.data), cdr.parse_image(message)


def frame_stamp_ns(message: Message) -> int:
    """The stamp of an image message: its header's; when recorded if that is lost or 0."""
    try:
        return cdr.header_stamp_ns(message.data) or message.stamp_ns
    except RecordingError:
        return message.stamp_ns


def frame_image(message: Message) -> RawImage | CompressedImage:
    """The image in an image message, not decoded yet.

    Raises:
        ImageError: the message is damaged or no image: one to skip and count.
    """
    try:
        return cdr.parse_image(message)
    except RecordingError as err:
        raise ImageError(str(err)) from err


def decode_frame(message: Message) -> NDArray[np.uint8]:
    """The picture in an image message, RGB uint8 [H, W, 3].

    Raises:
        ImageError: the message is damaged, no image, or its encoding is not supported.
    """
    image = frame_image(message)
    return decode_compressed(image) if isinstance(image, CompressedImage) else decode(image)


def _camera_topics(recording: Recording, image: str) -> CameraTopics:
    topic = recording.topic(image)
    return CameraTopics(
        image=image,
        info=recording.calibration_topic(image),
        compressed=topic.type == COMPRESSED_IMAGE_TYPE,
        frames=topic.count,
    )


def _preference(camera: CameraTopics) -> tuple[bool, bool, str]:
    return camera.info is None, 'right' in camera.image, camera.image
