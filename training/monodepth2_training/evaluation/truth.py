# SPDX-License-Identifier: Apache-2.0
"""True depth of the frames of a recording: from its depth images, or from its lidar.

A lidar scan becomes a sparse depth image of the rectified view that the node publishes: a point p
of the scan is R (T p) in the rectified optical frame, with T from ``/tf_static`` and R from the
recorded CameraInfo.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.recordings import Recording, cdr
from monodepth2_training.data.odometry import rotation_matrices
from monodepth2_training.evaluation.depth_messages import cloud_points, depth_frames

CLOUD_TYPE = 'sensor_msgs/msg/PointCloud2'
_IMAGE_TYPES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
_TRANSFORMS = '/tf_static'
_NEAREST_M = 0.5

Depth = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class View:
    """The rectified view whose depth is published."""

    width: int
    """Columns."""
    height: int
    """Rows."""
    P: NDArray[np.float64]
    """Projection [3, 4] in pixels."""


def find_topic(recording: Recording, image_topic: str) -> str | None:
    """The topic to take true depth from; None if there is none for this camera."""
    cameras = set(recording.image_topics())
    for topic in recording.topics:
        if topic.type in _IMAGE_TYPES and 'depth' in topic.name and topic.name not in cameras:
            return topic.name
    clouds = [topic.name for topic in recording.topics if topic.type == CLOUD_TYPE]
    return next((name for name in clouds if _lidar_pose(recording, name, image_topic)), None)


def view_of(outputs: Recording) -> View | None:
    """The view of the depth images in a bag of outputs; None if it was never told."""
    first = next(outputs.messages(['/depth/camera_info']), None)
    if first is None:
        return None
    info = cdr.parse(first)
    return View(width=info.width, height=info.height, P=np.reshape(info.p, (3, 4)))


def frames(
    recording: Recording, topic: str, image_topic: str, view: View | None
) -> Iterator[tuple[int, Depth]]:
    """Stream (header stamp in ns, true depth [H, W] in metres, not finite where unknown)."""
    if recording.topic(topic).type != CLOUD_TYPE:
        yield from depth_frames(recording, topic)
        return
    pose = _lidar_pose(recording, topic, image_topic)
    if pose is None or view is None:
        return
    for message in recording.messages([topic]):
        points = cloud_points(message) @ pose[0].T + pose[1]
        yield cdr.header_stamp_ns(message.data), sparse_depth(points, view)


def sparse_depth(points: NDArray[np.float64], view: View) -> Depth:
    """Depth image [H, W] of points [N, 3] in the rectified optical frame; NaN between them."""
    ahead = points[points[:, 2] > _NEAREST_M]
    pixels = ahead @ view.P[:, :3].T + view.P[:, 3]
    columns, rows = np.round(pixels[:, :2] / pixels[:, 2:]).astype(np.int64).T
    inside = (columns >= 0) & (columns < view.width) & (rows >= 0) & (rows < view.height)
    # The nearest point of a pixel is written last.
    order = np.argsort(-ahead[inside, 2], kind='stable')
    depth = np.full((view.height, view.width), np.nan, np.float32)
    depth[rows[inside][order], columns[inside][order]] = ahead[inside, 2][order]
    return depth


def _lidar_pose(
    recording: Recording, cloud_topic: str, image_topic: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Rotation and translation from the lidar's frame to the rectified optical frame."""
    calibration = recording.calibration(image_topic)
    lidar, camera = _frame_id(recording, cloud_topic), _frame_id(recording, image_topic)
    if calibration is None or not lidar or not camera:
        return None
    rectifying = np.reshape(calibration.R, (3, 3))
    for link in _links(recording):
        rotation, offset = _rotation(link.transform.rotation), _offset(link.transform.translation)
        ends = (link.header.frame_id.lstrip('/'), link.child_frame_id.lstrip('/'))
        if ends == (lidar, camera):
            return rectifying @ rotation.T, -rectifying @ rotation.T @ offset
        if ends == (camera, lidar):
            return rectifying @ rotation, rectifying @ offset
    return None


def _links(recording: Recording) -> list[Any]:
    if all(topic.name != _TRANSFORMS for topic in recording.topics):
        return []
    return [
        link for item in recording.messages([_TRANSFORMS]) for link in cdr.parse(item).transforms
    ]


def _frame_id(recording: Recording, topic: str) -> str:
    first = next(recording.messages([topic]), None)
    return cdr.header_frame_id(first.data).lstrip('/') if first else ''


def _offset(translation: Any) -> NDArray[np.float64]:
    return np.array([translation.x, translation.y, translation.z])


def _rotation(quaternion: Any) -> NDArray[np.float64]:
    """Rotation matrix of a quaternion x y z w."""
    q = np.array([[quaternion.x, quaternion.y, quaternion.z, quaternion.w]])
    matrix: NDArray[np.float64] = rotation_matrices(q / np.linalg.norm(q))[0]
    return matrix
