# SPDX-License-Identifier: Apache-2.0
"""Which depth images are of a camera's own view: by their frame, their camera_info, their name."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile

import numpy as np

from monodepth2_ros.errors import CalibrationError, EvaluationError, RecordingError
from monodepth2_ros.geometry.camera import CameraCalibration, PinholeCamera
from monodepth2_ros.recordings import Recording, cdr
from monodepth2_training.evaluation.transforms import read_frames, transform_between

_SAME_VIEW = 0.02
_SAME_PLACE_M, _SAME_TURN = 1e-3, 1e-3


def nearest_first(recording: Recording, topics: Iterable[str], image_topic: str) -> list[str]:
    """Topics of depth images: those in the pictures' frame first, then by shared namespace."""
    frame = frame_id(recording, image_topic)

    def distance(topic: str) -> tuple[bool, int, str]:
        same = frame != '' and frame_id(recording, topic) == frame
        return not same, -_shared(topic, image_topic), topic

    return sorted(topics, key=distance)


def other_view(recording: Recording, topic: str, image_topic: str) -> str:
    """Why depth images are not of the pictures' view; empty where nothing says so."""
    frames = [frame_id(recording, name) for name in (topic, image_topic)]
    if all(frames) and not _coincide(recording, *frames):
        return f'{topic} is in the frame {frames[0]!r}, {image_topic} in {frames[1]!r}'
    own = _recorded(recording, topic.removesuffix('/compressedDepth'))
    camera = _recorded(recording, image_topic) or recording.given_calibration
    if own is None or camera is None:
        return ''
    try:
        depth, raw, rectified = (
            own.rectified_camera(),
            camera.raw_camera(),
            camera.rectified_camera(),
        )
    except CalibrationError:
        return ''
    if _same(depth, raw) or _same(depth, rectified):
        return ''
    seen = depth.resized(rectified.width, rectified.height)
    return (
        f'by its camera_info {topic} has fx {seen.fx_px:.0f}, fy {seen.fy_px:.0f}, '
        f'cx {seen.cx_px:.0f}, cy {seen.cy_px:.0f} px at the size of the pictures, which have '
        f'{rectified.fx_px:.0f}, {rectified.fy_px:.0f}, {rectified.cx_px:.0f}, '
        f'{rectified.cy_px:.0f}'
    )


def frame_id(recording: Recording, topic: str) -> str:
    """The frame that messages of a topic are in; empty where the first does not say."""
    first = next(recording.messages([topic]), None)
    try:
        return cdr.header_frame_id(first.data).lstrip('/') if first else ''
    except RecordingError:
        return ''


def _shared(one: str, other: str) -> int:
    """How many parts of their namespaces two topics have in common."""
    pairs = zip(one.split('/'), other.split('/'), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _coincide(recording: Recording, one: str, other: str) -> bool:
    """Whether two frames are the same, by name or by ``/tf_static``."""
    if one == other:
        return True
    try:
        T = transform_between(read_frames(recording), one, other)
    except EvaluationError:
        return False
    near = np.abs(T[:3, 3]).max() < _SAME_PLACE_M
    return bool(near and np.allclose(T[:3, :3], np.eye(3), atol=_SAME_TURN))


def _recorded(recording: Recording, topic: str) -> CameraCalibration | None:
    """The checked calibration that was recorded beside a topic; None if there is none."""
    try:
        found = recording.recorded_calibration(topic)
        return found.checked() if found else None
    except (CalibrationError, RecordingError):
        return None


def _same(depth: PinholeCamera, camera: PinholeCamera) -> bool:
    """Whether two cameras see the same at one size."""
    seen = depth.resized(camera.width, camera.height)
    lengths = np.divide((seen.fx_px, seen.fy_px), (camera.fx_px, camera.fy_px)) - 1.0
    right = (seen.cx_px - camera.cx_px) / camera.width
    down = (seen.cy_px - camera.cy_px) / camera.height
    return bool(np.abs([*lengths, right, down]).max() <= _SAME_VIEW)
