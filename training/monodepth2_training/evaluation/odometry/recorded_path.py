# SPDX-License-Identifier: Apache-2.0
"""A recording's camera along its odometry: pictures, and the pose of the camera at each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import EvaluationError, ImageError
from monodepth2_ros.geometry.poses import inverse_pose, pose_matrices
from monodepth2_ros.inference.views import View
from monodepth2_ros.recordings import Message, Recording
from monodepth2_ros.recordings.cameras import frame_stamp_ns
from monodepth2_training.data.bags import choose_one_camera
from monodepth2_training.data.odometry import read_odometry
from monodepth2_training.data.odometry_messages import MOTION_TYPES
from monodepth2_training.data.runs import runs_of
from monodepth2_training.evaluation.odometry.poses import Transforms
from monodepth2_training.evaluation.transforms import pose_frame, read_frames, transform_between
from monodepth2_training.evaluation.true_frames import decoded_picture, view_of_camera
from monodepth2_training.evaluation.truth import frame_of, rectifying
from monodepth2_training.report.poses import OPTICAL_TO_BODY

_FEWEST = 3


@dataclass(frozen=True, kw_only=True)
class CameraPictures:
    """Every so many-th picture of a camera."""

    recording: Recording
    """Open."""
    topic: str
    """Of the pictures."""
    view: View
    """How they become pinhole pictures."""
    every: int
    """Take one of so many."""

    def messages(self, first: int = 0, end: int | None = None) -> Iterator[Message]:
        """Stream their messages, or those of some."""
        every = islice(self.recording.messages([self.topic]), 0, None, self.every)
        return islice(every, first, end)

    def read(self, first: int, end: int) -> Iterator[NDArray[np.uint8]]:
        """Stream some as the network sees them, RGB uint8 [h, w, 3].

        Raises:
            ImageError: one cannot be read.
        """
        for message in self.messages(first, end):
            rgb = self.view.rectified(decoded_picture(message, self.view))
            yield rgb[self.view.window.slices]

    def unreadable(self, first: int, end: int) -> dict[int, str]:
        """The numbers of those among some that cannot be read, and why."""
        found = {}
        for number, message in enumerate(self.messages(first, end), first):
            try:
                decoded_picture(message, self.view)
            except ImageError as err:
                found[number] = str(err)
        return found


@dataclass(frozen=True, kw_only=True)
class RecordedPath:
    """The longest stretch of pictures that can all be read and whose poses are all known."""

    name: str
    """What the path is called."""
    poses: Transforms
    """``T_camera_to_world`` float64 [N, 4, 4] in metres, of the rectified camera."""
    mounting: str
    """How the camera is mounted, in words."""
    pictures: CameraPictures
    """Those of the recording."""
    first: int
    """Number of the first among them."""
    unreadable: tuple[str, ...]
    """Why pictures that ended a stretch cannot be read, one line each."""

    def read(self) -> Iterator[NDArray[np.uint8]]:
        """Stream its pictures as the network sees them, RGB uint8 [h, w, 3]."""
        return self.pictures.read(self.first, self.first + len(self.poses))


def recorded_path(
    recording: Recording, *, camera: str = '', every: int = 1, limit: int = 500
) -> RecordedPath:
    """Find the longest stretch of pictures with poses.

    Args:
        recording: open.
        camera: image topic or namespace; empty takes the only one.
        every: take one of so many pictures.
        limit: take so many of them at most.

    Raises:
        EvaluationError: there is no odometry, or it covers hardly any picture.
        RecordingError: no such camera.
    """
    topic = choose_one_camera(recording, camera).image
    odometry = read_odometry(recording)
    if odometry is None:
        raise EvaluationError(
            f'{recording.path} holds no odometry: expected one of {", ".join(MOTION_TYPES)}, '
            'that of tf with a link from odom, map or world'
        )
    view = view_of_camera(recording, topic)
    pictures = CameraPictures(recording=recording, topic=topic, view=view, every=every)
    stamps_ns = [frame_stamp_ns(message) for message in pictures.messages()]
    rows = odometry.at(np.array(stamps_ns, np.int64))
    known = np.asarray(np.isfinite(rows).all(axis=1))
    first, end, unreadable = _longest_readable(pictures, known, limit)
    if end - first < _FEWEST:
        reason = unreadable[0] if unreadable else 'are their clocks the same?'
        raise EvaluationError(
            f'{odometry.topic} covers {end - first} pictures of {topic} in a row: expected '
            f'{_FEWEST} at least; {reason}'
        )
    T_camera_to_vehicle, mounting = _mounting(recording, topic, odometry.topic)
    T_rectified_to_camera = inverse_pose(
        rectifying(recording, topic) if view.camera else np.eye(4)
    )
    return RecordedPath(
        name=recording.name,
        poses=pose_matrices(rows[first:end]) @ T_camera_to_vehicle @ T_rectified_to_camera,
        mounting=mounting,
        pictures=pictures,
        first=first,
        unreadable=unreadable,
    )


def _longest_readable(
    pictures: CameraPictures, known: NDArray[np.bool_], limit: int
) -> tuple[int, int, tuple[str, ...]]:
    """Begin and end of the longest run of known poses [N] whose pictures can all be read.

    Only pictures that would be in it are looked at; why some cannot be read comes last.
    """
    usable, reasons = known.copy(), list[str]()
    while True:
        first, end = _longest(usable, limit)
        unreadable = pictures.unreadable(first, end)
        if not unreadable:
            return first, end, tuple(reasons)
        usable[list(unreadable)] = False
        reasons += unreadable.values()


def _longest(holds: NDArray[np.bool_], limit: int) -> tuple[int, int]:
    """Begin and end of the longest run of true values, of its first ``limit`` if it is longer."""
    runs: list[list[int]] = runs_of(holds).tolist()
    begin, end = max(runs, key=lambda run: run[1] - run[0], default=(0, 0))
    return begin, min(end, begin + limit)


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
