# SPDX-License-Identifier: Apache-2.0
"""Streams the pictures of a recording for which true depth is known, each with that depth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import (
    CalibrationError,
    EvaluationError,
    ImageError,
    Monodepth2Error,
    RecordingError,
)
from monodepth2_ros.inference.views import View, Views
from monodepth2_ros.recordings import Message, Recording
from monodepth2_ros.recordings.cameras import decode_frame, frame_stamp_ns
from monodepth2_training.data.bags import choose_drive_camera, choose_one_camera
from monodepth2_training.data.odometry import read_odometry
from monodepth2_training.evaluation import truth
from monodepth2_training.evaluation.depth_views import other_view
from monodepth2_training.evaluation.ego_motion import EgoMotion
from monodepth2_training.evaluation.matching import match
from monodepth2_training.evaluation.transforms import (
    Transform,
    pose_frame,
    read_frames,
    transform_between,
)

Depth = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class TruthSettings:
    """Where true depth comes from and which of it counts."""

    camera: str = ''
    """Image topic or namespace; empty takes the only one."""
    topic: str = ''
    """Of depth images or clouds; empty takes the likeliest that fits."""
    extrinsics: Transform | None = None
    """[4, 4] from the lidar's frame to the camera's; by ``/tf_static`` if None."""
    tolerance_s: float = 0.02
    """Truth that is farther from its picture in time does not count."""
    delay_s: float = 0.0
    """How much later the truth's stamps are than they should be: taken off before matching."""
    keep_hidden: bool = False
    """Whether points count that the lidar sees past the camera's foreground."""
    every: int = 1
    """Take one of so many matches."""
    most: int = 0
    """Take no more than so many, spread over the recording; 0 for all."""


@dataclass(frozen=True, kw_only=True)
class TrueFrame:
    """A rectified picture and what is known of its depth."""

    number: int
    """Of the picture among all of its camera, from 0."""
    stamp_ns: int
    """Of the picture."""
    stamp_s: float
    """Since the recording's start."""
    rgb: NDArray[np.uint8]
    """[H, W, 3]"""
    true_m: Depth
    """[H, W], not finite where unknown."""
    view: View
    """Its camera and the window that the network may see."""


class TrueFrames:
    """The pictures of one camera with their true depth.

    Attributes:
        image: topic of the pictures.
        topic: topic of the truth.
        lidar: whether that is a lidar's.
        other_view: why depth images are not of this camera's view; empty where nothing says so.
        view: how pictures become pinhole pictures.
        motion: how scans are moved to the time of their pictures, in words.
        later_s: by how much truth was later than its picture, of each match so far.
        unusable: why messages were left out so far, one line each.
    """

    def __init__(self, recording: Recording, settings: TruthSettings) -> None:
        """Find the camera, its truth, and how they belong together.

        Raises:
            RecordingError: no such camera or topic.
            EvaluationError: no truth, no picture, or a mounting or camera that is unknown.
        """
        self._recording, self._settings = recording, settings
        self.image = choose_one_camera(recording, settings.camera).image
        self.view = view_of_camera(recording, self.image)
        self.topic = settings.topic or _choose(recording, self.image, settings)
        self.lidar = truth.is_lidar(recording, self.topic)
        self.other_view = '' if self.lidar else other_view(recording, self.topic, self.image)
        if self.other_view and not settings.topic:
            raise EvaluationError(
                f'depth images are not of this camera: {self.other_view}; record depth that is '
                'aligned to the pictures, or name a topic with --truth'
            )
        motion, self.motion = _motion(recording, self.topic) if self.lidar else (None, '')
        self._depth_at = truth.open_truth(
            recording,
            self.topic,
            self.image,
            self.view.camera,
            extrinsics=settings.extrinsics,
            motion=motion,
            keep_hidden=settings.keep_hidden,
        )
        self.later_s: list[float] = []
        self.unusable: list[str] = []

    def __iter__(self) -> Iterator[TrueFrame]:
        """Stream the frames; messages that cannot be read are left out and counted."""
        counted, every = 0, self._every()
        delay_ns = round(self._settings.delay_s * 1e9)
        truths = ((stamp, message) for stamp, (_, message) in self._stamped(self.topic, delay_ns))
        for found in match(self._stamped(self.image), truths):
            self.later_s.append(found.later_ns / 1e9)
            if abs(found.later_ns) > self._settings.tolerance_s * 1e9:
                continue
            counted += 1
            if (counted - 1) % every:
                continue
            try:
                true_m = self._depth_at(found.theirs, found.stamp_ns + delay_ns)
                number, picture = found.ours
                rgb = self.view.rectified(decoded_picture(picture, self.view))
            except (ImageError, RecordingError) as err:
                self.unusable.append(str(err))
                continue
            stamp_s = (found.stamp_ns - self._recording.start_ns) / 1e9
            yield TrueFrame(
                number=number,
                stamp_ns=found.stamp_ns,
                stamp_s=stamp_s,
                rgb=rgb,
                true_m=true_m,
                view=self.view,
            )

    def _every(self) -> int:
        """One of how many matches is taken."""
        counts = (self._recording.topic(name).count for name in (self.image, self.topic))
        most = self._settings.most
        return max(self._settings.every, -(-min(counts) // most) if most else 1)

    def _stamped(self, topic: str, delay_ns: int = 0) -> Iterator[tuple[int, tuple[int, Message]]]:
        """Stamp in ns, and number and message, of all messages of a topic."""
        for numbered in enumerate(self._recording.messages([topic])):
            yield frame_stamp_ns(numbered[1]) - delay_ns, numbered


def decoded_picture(message: Message, view: View) -> NDArray[np.uint8]:
    """The picture of a message as it is, RGB uint8 [H, W, 3] of the view's size.

    Raises:
        ImageError: it cannot be decoded, or is of another size.
    """
    rgb = decode_frame(message)
    height, width = rgb.shape[:2]
    if (width, height) != (view.width, view.height):
        raise ImageError(
            f'a picture has {width}x{height} pixels: expected {view.width}x{view.height} as the '
            'first'
        )
    return rgb


def view_of_camera(recording: Recording, image_topic: str) -> View:
    """How pictures of a camera are looked at: as the node does it.

    Raises:
        EvaluationError: none of them can be decoded.
    """
    try:
        calibration = choose_drive_camera(recording, image_topic).calibration
    except (CalibrationError, RecordingError):
        calibration = None
    for message in recording.messages([image_topic]):
        try:
            height, width = decode_frame(message).shape[:2]
        except ImageError:
            continue
        return Views().view(calibration, width=width, height=height, rectify='auto')
    raise EvaluationError(f'{recording.path}: no picture of {image_topic} can be decoded')


def _choose(recording: Recording, image_topic: str, settings: TruthSettings) -> str:
    """The topic of true depth where none is named."""
    found = truth.topics(recording, image_topic)
    if not found:
        raise EvaluationError(
            f'{recording.path} holds neither depth images nor a lidar: expected a topic with '
            '"depth" in its name or of type sensor_msgs/msg/PointCloud2; name one with --truth'
        )
    if settings.extrinsics is not None:
        found = tuple(name for name in found if truth.is_lidar(recording, name)) or found
    return truth.find_topic(recording, image_topic) or found[0]


def _motion(recording: Recording, topic: str) -> tuple[EgoMotion | None, str]:
    """The lidar's motion by the odometry, and in words what is done with it."""
    try:
        odometry = read_odometry(recording)
        if odometry is None or not len(odometry.stamps_ns):
            return None, 'scans are taken as they are: there is no odometry'
        lidar, vehicle = truth.frame_of(recording, topic), pose_frame(recording, odometry.topic)
        T = transform_between(read_frames(recording), lidar, vehicle)
    except Monodepth2Error as err:
        reason = str(err).partition(':')[0]
        return None, f'scans are taken as they are: {reason}'
    motion = EgoMotion(odometry=odometry, T_lidar_to_vehicle=T)
    return motion, f'points are moved by {odometry.topic} to where they were at their picture'
