# SPDX-License-Identifier: Apache-2.0
"""A recording's camera along its odometry: pictures, and the pose of the camera at each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import EvaluationError
from monodepth2_ros.geometry.poses import inverse_pose, pose_matrices
from monodepth2_ros.inference.views import View
from monodepth2_ros.recordings import Recording, choose_camera
from monodepth2_ros.recordings.cameras import decode_frame, frame_stamp_ns
from monodepth2_training.data.odometry import read_odometry
from monodepth2_training.data.odometry_messages import MOTION_TYPES
from monodepth2_training.data.runs import runs_of
from monodepth2_training.evaluation.odometry.poses import Transforms
from monodepth2_training.evaluation.transforms import pose_frame, read_frames, transform_between
from monodepth2_training.evaluation.true_frames import view_of_camera
from monodepth2_training.evaluation.truth import frame_of, rectifying
from monodepth2_training.report.poses import OPTICAL_TO_BODY

_FEWEST = 3


@dataclass(frozen=True, kw_only=True)
class RecordedPath:
    """The longest stretch of pictures whose poses are all known."""

    name: str
    """What the path is called."""
    poses: Transforms
    """``T_camera_to_world`` float64 [N, 4, 4] in metres, of the rectified camera."""
    mounting: str
    """How the camera is mounted, in words."""
    recording: Recording
    """Open."""
    topic: str
    """Of the pictures."""
    view: View
    """How pictures become pinhole pictures."""
    first: int
    """Number of the first picture, among every ``every``-th."""
    every: int
    """Take one of so many pictures."""

    def read(self) -> Iterator[NDArray[np.uint8]]:
        """Stream the pictures as the network sees them, RGB uint8 [h, w, 3]."""
        messages = islice(self.recording.messages([self.topic]), 0, None, self.every)
        window = self.view.window
        for message in islice(messages, self.first, self.first + len(self.poses)):
            rgb = decode_frame(message)
            rgb = self.view.rectifier.rectify(rgb) if self.view.rectifier else rgb
            rows = slice(window.y, window.y + window.height)
            yield rgb[rows, window.x : window.x + window.width]


def recorded_path(
    recording: Recording, *, camera: str = '', every: int = 1, limit: int = 500
) -> RecordedPath:
    """Find the longest stretch of pictures with poses.

    Args:
        recording: open.
        camera: image topic or namespace; empty takes the first.
        every: take one of so many pictures.
        limit: take so many of them at most.

    Raises:
        EvaluationError: there is no odometry, or it covers hardly any picture.
        RecordingError: no such camera.
    """
    topic = choose_camera(recording, camera).image
    odometry = read_odometry(recording)
    if odometry is None:
        raise EvaluationError(
            f'{recording.path} holds no odometry: expected one of {", ".join(MOTION_TYPES)}, '
            'that of tf with a link from odom, map or world'
        )
    messages = islice(recording.messages([topic]), 0, None, every)
    rows = odometry.at(np.array([frame_stamp_ns(message) for message in messages], np.int64))
    first, count = _longest(np.asarray(np.isfinite(rows).all(axis=1)), limit)
    if count < _FEWEST:
        raise EvaluationError(
            f'{odometry.topic} covers {count} pictures of {topic} in a row: expected '
            f'{_FEWEST} at least; are their clocks the same?'
        )
    view = view_of_camera(recording, topic)
    T_camera_to_vehicle, mounting = _mounting(recording, topic, odometry.topic)
    T_rectified_to_camera = inverse_pose(
        rectifying(recording, topic) if view.camera else np.eye(4)
    )
    return RecordedPath(
        name=recording.path.name,
        poses=pose_matrices(rows[first : first + count])
        @ T_camera_to_vehicle
        @ T_rectified_to_camera,
        mounting=mounting,
        recording=recording,
        topic=topic,
        view=view,
        first=first,
        every=every,
    )


def _longest(known: NDArray[np.bool_], limit: int) -> tuple[int, int]:
    """Begin and length, at most ``limit``, of the longest run of known poses."""
    runs: list[list[int]] = runs_of(known).tolist()
    begin, end = max(runs, key=lambda run: run[1] - run[0], default=(0, 0))
    return begin, min(end - begin, limit)


def _mounting(recording: Recording, topic: str, odometry: str) -> tuple[Transforms, str]:
    """The transform from the camera to what the odometry is of, and in words."""
    try:
        vehicle = pose_frame(recording, odometry)
        T = transform_between(read_frames(recording), frame_of(recording, topic), vehicle)
    except EvaluationError as err:
        T = np.eye(4)
        T[:3, :3] = OPTICAL_TO_BODY
        reason = str(err).partition(':')[0]
        return T, f'taken to look along x from the origin of the odometry: {reason}'
    return T, 'by /tf_static'
