# SPDX-License-Identifier: Apache-2.0
"""Small bags in which posts pass a camera and a lidar before a far wall."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.geometry.camera import CameraCalibration, PinholeCamera
from monodepth2_ros.geometry.projection import pixel_rays
from monodepth2_ros.recordings import RecordingWriter, cdr
from monodepth2_ros.recordings.messages import CAMERA_INFO_TYPE, IMAGE_TYPE

WIDTH, HEIGHT = 320, 96
CAMERA = PinholeCamera(
    width=WIDTH, height=HEIGHT, fx_px=200.0, fy_px=200.0, cx_px=159.5, cy_px=47.5
)
CLOUD_TYPE = 'sensor_msgs/msg/PointCloud2'
TF_TYPE = 'tf2_msgs/msg/TFMessage'
ODOMETRY_TYPE = 'nav_msgs/msg/Odometry'
START_NS = 1_600_000_000 * 10**9
WALL_M = 30.0
OPTICAL = (-0.5, 0.5, -0.5, 0.5)
"""Quaternion of an optical frame in a body frame that looks the same way (REP 103)."""

_TYPES = cdr.typestore().types


def scene(place_m: float) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """RGB [H, W, 3] and depth [H, W] from a camera that is this far to the right."""
    draw = np.random.default_rng(3)
    grey = np.full((HEIGHT, WIDTH), 90, np.uint8)
    depth = np.full((HEIGHT, WIDTH), WALL_M, np.float32)
    x = pixel_rays(CAMERA)[..., 0]
    for at_m, away_m in sorted(zip(draw.uniform(-8, 20, 24), draw.uniform(5, 9, 24), strict=True)):
        across_m = x * away_m + place_m
        post = (np.abs(across_m - at_m) < 0.25) & (depth > away_m)
        post[:12] = False
        grey[post], depth[post] = draw.integers(150, 250), away_m
    return np.repeat(grey[..., None], 3, axis=2), depth


def points_of(depth_m: NDArray[np.float32]) -> NDArray[np.float32]:
    """Some of the points [N, 3] of a depth image, in the axes of a lidar: x ahead, y left."""
    rays = pixel_rays(CAMERA)[::4, ::2]
    z = depth_m[::4, ::2]
    optical = np.stack([rays[..., 0] * z, rays[..., 1] * z, z], axis=-1).reshape(-1, 3)
    return np.ascontiguousarray(optical[:, [2, 0, 1]] * [1, -1, -1], np.float32)


def cloud(points: NDArray[np.float32], stamp_ns: int, frame: str = 'lidar') -> bytes:
    """A ``PointCloud2`` of float32 columns: x y z and, if there is a fourth, ``time``."""
    field = _TYPES['sensor_msgs/msg/PointField']
    names = ('x', 'y', 'z', 'time')[: points.shape[1]]
    content = _TYPES[CLOUD_TYPE](
        header=cdr.header(stamp_ns, frame),
        height=1,
        width=len(points),
        fields=[field(name=n, offset=4 * i, datatype=7, count=1) for i, n in enumerate(names)],
        is_bigendian=False,
        point_step=4 * points.shape[1],
        row_step=4 * points.size,
        data=np.ascontiguousarray(points, np.float32).reshape(-1).view(np.uint8),
        is_dense=True,
    )
    return cdr.serialize(content, CLOUD_TYPE)


def links(*poses: tuple[str, str, tuple[float, ...]], stamp_ns: int = START_NS) -> bytes:
    """A ``TFMessage`` of (parent, child, x y z qx qy qz qw)."""
    vector, turn = _TYPES['geometry_msgs/msg/Vector3'], _TYPES['geometry_msgs/msg/Quaternion']
    transform, stamped = (
        _TYPES[f'geometry_msgs/msg/{name}'] for name in ('Transform', 'TransformStamped')
    )
    content = _TYPES[TF_TYPE](
        transforms=[
            stamped(
                header=cdr.header(stamp_ns, parent),
                child_frame_id=child,
                transform=transform(translation=vector(*row[:3]), rotation=turn(*row[3:])),
            )
            for parent, child, row in poses
        ]
    )
    return cdr.serialize(content, TF_TYPE)


def mounting(yaw_deg: float = 0.0) -> tuple[float, ...]:
    """Pose of the camera in the lidar's frame, turned about its own vertical axis."""
    half = np.radians(yaw_deg) / 2.0
    x, y, z, w = OPTICAL
    a, b = np.sin(half), np.cos(half)
    # A turn about the lidar's z axis after OPTICAL.
    return (0.0, 0.0, 0.0, b * x - a * y, b * y + a * x, b * z + a * w, b * w - a * z)


def write_lidar_bag(
    path: Path,
    *,
    frames: int = 12,
    step_m: float = 0.3,
    late_ns: int = 0,
    yaw_deg: float = 0.0,
    told: bool = True,
) -> Path:
    """Write a bag at 10 Hz.

    Args:
        path: its folder.
        frames: pictures and scans.
        step_m: motion to the right from frame to frame.
        late_ns: how much later scans are stamped than they were.
        yaw_deg: how far the told mounting is off.
        told: whether there is ``/tf_static``.
    """
    P = (*CAMERA.K[0], 0.0, *CAMERA.K[1], 0.0, *CAMERA.K[2], 0.0)
    calibration = CameraCalibration(width=WIDTH, height=HEIGHT, K=tuple(CAMERA.K.reshape(-1)), P=P)
    with RecordingWriter(path) as writer:
        writer.add_topic('/camera/image_raw', IMAGE_TYPE)
        writer.add_topic('/camera/camera_info', CAMERA_INFO_TYPE)
        writer.add_topic('/points', CLOUD_TYPE)
        if told:
            writer.add_topic('/tf_static', TF_TYPE, latched=True)
            writer.write('/tf_static', START_NS, links(('lidar', 'camera', mounting(yaw_deg))))
        for index in range(frames):
            stamp_ns = START_NS + index * 10**8
            rgb, depth = scene(index * step_m)
            info = cdr.camera_info(calibration, stamp_ns=stamp_ns, frame_id='camera')
            picture = cdr.image(rgb, encoding='rgb8', stamp_ns=stamp_ns, frame_id='camera')
            writer.write('/camera/camera_info', stamp_ns, info)
            writer.write('/camera/image_raw', stamp_ns, picture)
            writer.write('/points', stamp_ns, cloud(points_of(depth), stamp_ns + late_ns))
    return path
