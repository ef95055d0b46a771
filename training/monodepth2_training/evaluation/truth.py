# SPDX-License-Identifier: Apache-2.0
"""True depth of the frames of a recording: from its depth images, or from its lidar.

A lidar scan becomes a sparse depth image of the rectified view that the node publishes: a point p
of the scan is R (T p) in the rectified optical frame, with T from ``/tf_static`` or a file and R
from the recorded CameraInfo.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import CalibrationError, EvaluationError, RecordingError
from monodepth2_ros.geometry.camera import PinholeCamera
from monodepth2_ros.geometry.rectification import Rectifier
from monodepth2_ros.recordings import Message, Recording, cdr
from monodepth2_ros.recordings.cameras import frame_stamp_ns
from monodepth2_training.evaluation.depth_messages import depth_of
from monodepth2_training.evaluation.depth_views import frame_id, nearest_first, other_view
from monodepth2_training.evaluation.ego_motion import EgoMotion
from monodepth2_training.evaluation.scans import CLOUD_TYPE, Scan, read_scan
from monodepth2_training.evaluation.sparse_depth import sparse_depth, without_hidden
from monodepth2_training.evaluation.transforms import Transform, read_frames, transform_between

_SAME_SHAPE = 0.01
_RAW = '/image_raw'
_IMAGE_TYPES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')

Depth = NDArray[np.float32]
DepthAt = Callable[[Message, int], Depth]
"""Gives the true depth [H, W] in metres of a message for a picture of some stamp in ns."""


def topics(recording: Recording, image_topic: str) -> tuple[str, ...]:
    """Topics that may hold true depth of a camera: depth images, likeliest first, then clouds."""
    cameras = set(recording.image_topics())
    images = [
        topic.name
        for topic in recording.topics
        if topic.type in _IMAGE_TYPES
        and 'depth' in topic.name.lower()
        and topic.count
        and topic.name not in cameras
        and topic.name != image_topic
    ]
    clouds = [topic.name for topic in recording.topics if topic.type == CLOUD_TYPE and topic.count]
    return (*nearest_first(recording, images, image_topic), *clouds)


def find_topic(recording: Recording, image_topic: str) -> str | None:
    """The topic to take true depth from; None if there is none for this camera."""
    for name in topics(recording, image_topic):
        if not is_lidar(recording, name):
            if other_view(recording, name, image_topic):
                continue
            return name
        try:
            lidar_pose(recording, name, image_topic)
        except EvaluationError:
            continue
        return name
    return None


def is_lidar(recording: Recording, topic: str) -> bool:
    """Whether a topic holds clouds rather than depth images."""
    return recording.topic(topic).type == CLOUD_TYPE


def view_of(outputs: Recording) -> PinholeCamera | None:
    """The camera of the depth images in a bag of outputs; None if it was never told."""
    first = next(outputs.messages(['/depth/camera_info']), None)
    if first is None:
        return None
    try:
        return cdr.parse_calibration(first).checked().rectified_camera()
    except CalibrationError:
        return None


def frames(
    recording: Recording, topic: str, image_topic: str, camera: PinholeCamera | None
) -> Iterator[tuple[int, Depth]]:
    """Stream (stamp in ns, true depth [H, W] in metres, not finite where unknown).

    Messages that cannot be read are left out.
    """
    try:
        depth_at = open_truth(recording, topic, image_topic, camera)
    except EvaluationError:
        return
    for message in recording.messages([topic]):
        stamp_ns = frame_stamp_ns(message)
        try:
            depth_m = depth_at(message, stamp_ns)
        except RecordingError:
            continue
        yield stamp_ns, depth_m


def open_truth(
    recording: Recording,
    topic: str,
    image_topic: str,
    camera: PinholeCamera | None,
    *,
    extrinsics: Transform | None = None,
    motion: EgoMotion | None = None,
    keep_hidden: bool = True,
) -> DepthAt:
    """Prepare to read true depth.

    Args:
        recording: what holds it.
        topic: of depth images or clouds.
        image_topic: of the camera.
        camera: of the rectified pictures; None if unknown, which depth images alone allow.
        extrinsics: [4, 4] from the lidar's frame to the camera's; by ``/tf_static`` if None.
        motion: moves points to where they were seen at a picture's stamp; None leaves them.
        keep_hidden: whether points count that the lidar sees past the camera's foreground.

    Raises:
        RecordingError: there is no such topic.
        EvaluationError: a topic of another type, or a lidar whose mounting or whose camera is
            unknown.
    """
    kind = recording.topic(topic).type
    if kind not in (*_IMAGE_TYPES, CLOUD_TYPE):
        raise EvaluationError(
            f'{topic} is of type {kind}: expected one of '
            f'{", ".join((*_IMAGE_TYPES, CLOUD_TYPE))}; name such a topic with --truth'
        )
    if not is_lidar(recording, topic):
        straightened = _straightening(recording, topic, image_topic)
        return lambda message, _: _of_size(straightened(depth_of(message)), camera)
    if camera is None:
        raise EvaluationError(
            f'{image_topic} has no usable calibration: points of {topic} cannot be projected; '
            'record its camera_info, or give --calibration FILE'
        )
    mounting = lidar_pose(recording, topic, image_topic, extrinsics)
    return _Lidar(camera, mounting, motion, keep_hidden)


def lidar_pose(
    recording: Recording,
    cloud_topic: str,
    image_topic: str,
    extrinsics: Transform | None = None,
) -> Transform:
    """The transform [4, 4] from the lidar's frame to the rectified optical frame.

    Raises:
        EvaluationError: the frames are not linked, or are not told.
    """
    if extrinsics is None:
        ends = [frame_of(recording, topic) for topic in (cloud_topic, image_topic)]
        extrinsics = transform_between(read_frames(recording), *ends)
    return np.asarray(rectifying(recording, image_topic) @ extrinsics, np.float64)


def rectifying(recording: Recording, image_topic: str) -> Transform:
    """The turn [4, 4] from a camera's frame, as tf knows it, to that of its rectified pictures."""
    T, calibration = np.eye(4), recording.calibration(image_topic)
    if calibration is not None:
        T[:3, :3] = calibration.R_raw_to_rectified
    return T


def frame_of(recording: Recording, topic: str) -> str:
    """The frame that messages of a topic are in.

    Raises:
        EvaluationError: the first message does not say.
    """
    name = frame_id(recording, topic)
    if not name:
        raise EvaluationError(
            f'{topic} has no frame_id: how it is mounted is unknown; give it with '
            '--extrinsics FILE'
        )
    return name


@dataclass(frozen=True)
class _Lidar:
    """Projects scans into a picture."""

    camera: PinholeCamera
    T_lidar_to_camera: Transform
    motion: EgoMotion | None
    keep_hidden: bool

    def __call__(self, message: Message, stamp_ns: int) -> Depth:
        """The depth image [H, W] of a scan for a picture of this stamp."""
        scan = read_scan(message)
        points = self._moved(scan, stamp_ns)
        T = self.T_lidar_to_camera
        depth = sparse_depth(points @ T[:3, :3].T + T[:3, 3], self.camera)
        return depth if self.keep_hidden else without_hidden(depth, self.camera)

    def _moved(self, scan: Scan, stamp_ns: int) -> NDArray[np.float64]:
        moved = self.motion.seen_at(scan, stamp_ns) if self.motion else None
        return scan.points if moved is None else moved


def _straightening(recording: Recording, topic: str, image_topic: str) -> Callable[[Depth], Depth]:
    """Takes a depth image of raw pixels to the rectified picture; others stay as they are.

    Distortion moves depth without changing it; each pixel takes the nearest, as in ``_of_size``.
    """
    calibration = recording.calibration(image_topic)
    if _RAW not in topic or calibration is None or not calibration.has_distortion:
        return lambda depth_m: depth_m
    source = np.rint(Rectifier(calibration).sources_px()).astype(np.int64)
    known = source.min(axis=-1) >= 0

    def straighten(depth_m: Depth) -> Depth:
        if depth_m.shape != known.shape:
            return depth_m
        return np.where(known, depth_m[source[..., 1], source[..., 0]], np.float32(np.nan))

    return straighten


def _of_size(depth_m: Depth, camera: PinholeCamera | None) -> Depth:
    """A depth image of the same view at the size of the pictures; one of another view as it is.

    Each pixel takes the nearest depth: no surface is made up between two others.
    """
    if camera is None or depth_m.shape == (camera.height, camera.width):
        return depth_m
    height, width = depth_m.shape
    if abs(width * camera.height - height * camera.width) > _SAME_SHAPE * height * camera.width:
        return depth_m
    size = (camera.width, camera.height)
    return np.asarray(cv2.resize(depth_m, size, interpolation=cv2.INTER_NEAREST_EXACT))
