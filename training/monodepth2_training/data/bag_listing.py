# SPDX-License-Identifier: Apache-2.0
"""Lists the cameras of a recording for a user who has to name one."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from monodepth2_ros.errors import CalibrationError, ImageError, RecordingError
from monodepth2_ros.images import CompressedImage, decode_compressed
from monodepth2_ros.recordings import cdr
from monodepth2_ros.recordings.cameras import CameraTopics, cameras, frame_stamp_ns

if TYPE_CHECKING:
    from monodepth2_ros.recordings import Recording

_FRAMES_TIMED = 30


def listing(recording: Recording) -> str:
    """A line for each image topic: type, frames, size, rate, and whether it is calibrated."""
    lines = [_line(recording, camera) for camera in cameras(recording)]
    return '\n'.join(lines) or '  (it has no camera images)'


def _line(recording: Recording, camera: CameraTopics) -> str:
    return (
        f'  {camera.image}  {recording.topic(camera.image).type}  {camera.frames} frames  '
        f'{_size(recording, camera)}  {_rate_hz(recording, camera):.1f} Hz  '
        f'calibration: {camera.info or "none"}{_fault(recording, camera)}'
    )


def _rate_hz(recording: Recording, camera: CameraTopics) -> float:
    """Frames a second, by the stamps of the first ones: others may last longer than the camera."""
    first = islice(recording.messages([camera.image]), _FRAMES_TIMED)
    stamps_ns = [frame_stamp_ns(message) for message in first]
    span_ns = max(stamps_ns, default=0) - min(stamps_ns, default=0)
    return 1e9 * (len(stamps_ns) - 1) / span_ns if span_ns else 0.0


def _fault(recording: Recording, camera: CameraTopics) -> str:
    """What is wrong with a camera's calibration; empty if nothing is."""
    try:
        calibration = recording.calibration(camera.image)
        if calibration is not None:
            calibration.checked()
    except (RecordingError, CalibrationError) as err:
        return f', which cannot be used: {err}'
    return ''


def _size(recording: Recording, camera: CameraTopics) -> str:
    first = next(recording.messages([camera.image]), None)
    if first is None:
        return 'unknown size'
    try:
        image = cdr.parse_image(first)
        if isinstance(image, CompressedImage):
            height, width = decode_compressed(image).shape[:2]
        else:
            height, width = image.height, image.width
    except (RecordingError, ImageError):
        return 'unknown size'
    return f'{width}x{height}'
