# SPDX-License-Identifier: Apache-2.0
"""Writes a generated drive as a rosbag2: pictures, calibration, odometry, true depth, mounting.

| topic | type | content |
|---|---|---|
| /camera/image_raw | sensor_msgs/Image, rgb8 | what the camera sees |
| /camera/camera_info | sensor_msgs/CameraInfo | no distortion, rectified equals raw |
| /camera/depth/image_rect | sensor_msgs/Image, 32FC1 | exact depth in metres, sky +Inf (REP 117) |
| /odom | nav_msgs/Odometry | exact pose of base_link in odom, velocity in base_link |
| /tf_static | tf2_msgs/TFMessage | base_link to camera_optical_frame |
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import RecordingError
from monodepth2_ros.geometry.camera import CameraCalibration, PinholeCamera
from monodepth2_ros.recordings import cdr
from monodepth2_ros.recordings.writer import RecordingWriter
from monodepth2_training.world.drive import START_NS, DriveFrame
from monodepth2_training.world.motion import T_camera_to_base, Twist, quaternion_xyzw

IMAGE_TOPIC = '/camera/image_raw'
INFO_TOPIC = '/camera/camera_info'
DEPTH_TOPIC = '/camera/depth/image_rect'
ODOMETRY_TOPIC = '/odom'
STATIC_TRANSFORM_TOPIC = '/tf_static'

CAMERA_FRAME = 'camera_optical_frame'
BASE_FRAME = 'base_link'
ODOMETRY_FRAME = 'odom'

_TYPES = {
    STATIC_TRANSFORM_TOPIC: 'tf2_msgs/msg/TFMessage',
    INFO_TOPIC: 'sensor_msgs/msg/CameraInfo',
    IMAGE_TOPIC: 'sensor_msgs/msg/Image',
    DEPTH_TOPIC: 'sensor_msgs/msg/Image',
    ODOMETRY_TOPIC: 'nav_msgs/msg/Odometry',
}


class DriveBag:
    """An open bag that takes the frames of one drive."""

    def __init__(self, writer: RecordingWriter, camera: PinholeCamera) -> None:
        """Announce the topics and write the mounting of ``camera``."""
        self._writer = writer
        self._calibration = calibration_of(camera)
        for topic, type_name in _TYPES.items():
            writer.add_topic(topic, type_name, latched=topic == STATIC_TRANSFORM_TOPIC)
        writer.write(STATIC_TRANSFORM_TOPIC, START_NS, _mounting(START_NS))

    def write(self, frame: DriveFrame) -> None:
        """Append one frame's messages.

        Raises:
            RecordingError: the disk refuses.
        """
        stamp = frame.stamp_ns
        info = cdr.camera_info(self._calibration, stamp_ns=stamp, frame_id=CAMERA_FRAME)
        self._writer.write(INFO_TOPIC, stamp, info)
        self._writer.write(IMAGE_TOPIC, stamp, _image(frame.rgb, 'rgb8', stamp))
        self._writer.write(DEPTH_TOPIC, stamp, _image(frame.depth_m, '32FC1', stamp))
        self._writer.write(ODOMETRY_TOPIC, stamp, _odometry(frame))


@contextmanager
def new_bag(path: Path, camera: PinholeCamera, *, replace: bool) -> Iterator[DriveBag]:
    """Write a bag under a temporary name; it gets its own when the block ends without an error.

    Args:
        path: the bag's folder.
        camera: the camera of the drive.
        replace: whether a bag that is there already may be replaced.

    Raises:
        RecordingError: the folder exists, or cannot be written.
    """
    refuse_existing(path, replace=replace)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f'.{path.name}.', dir=path.parent))
    except OSError as err:
        raise RecordingError(f'cannot write in {path.parent}: {err}') from err
    try:
        with RecordingWriter(aside / path.name) as writer:
            yield DriveBag(writer, camera)
        if path.exists():
            path.rename(aside / 'replaced')
        (aside / path.name).rename(path)
    except OSError as err:
        raise RecordingError(f'cannot write {path}: {err}') from err
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def refuse_existing(path: Path, *, replace: bool) -> None:
    """Refuse to overwrite what exists, and ever to replace what is not a bag.

    Raises:
        RecordingError: ``path`` exists.
    """
    if not path.exists():
        return
    if not replace:
        raise RecordingError(f'{path} exists: choose another name, or add --force to replace it')
    is_bag = path.is_dir() and (path / 'metadata.yaml').is_file()
    if not is_bag and not (path.is_dir() and not any(path.iterdir())):
        raise RecordingError(
            f'{path} is not a bag folder (it has no metadata.yaml) and is not replaced: '
            'choose another name'
        )


def calibration_of(camera: PinholeCamera) -> CameraCalibration:
    """The calibration of a camera without distortion."""
    fx, fy, cx, cy = camera.fx_px, camera.fy_px, camera.cx_px, camera.cy_px
    return CameraCalibration(
        width=camera.width,
        height=camera.height,
        D=(0.0,) * 5,
        K=(fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0),
        P=(fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0),
    )


def _image(pixels: NDArray[Any], encoding: str, stamp_ns: int) -> bytes:
    return cdr.image(pixels, encoding=encoding, stamp_ns=stamp_ns, frame_id=CAMERA_FRAME)


def _odometry(frame: DriveFrame) -> bytes:
    types = cdr.typestore().types
    pose = types['geometry_msgs/msg/PoseWithCovariance'](
        pose=types['geometry_msgs/msg/Pose'](
            position=_vector('Point', frame.T_base_to_odom[:3, 3]),
            orientation=_quaternion(frame.T_base_to_odom[:3, :3]),
        ),
        covariance=np.zeros(36),
    )
    content = types['nav_msgs/msg/Odometry'](
        header=cdr.header(frame.stamp_ns, ODOMETRY_FRAME),
        child_frame_id=BASE_FRAME,
        pose=pose,
        twist=_twist(frame.twist),
    )
    return cdr.serialize(content, 'nav_msgs/msg/Odometry')


def _twist(twist: Twist) -> Any:
    types = cdr.typestore().types
    return types['geometry_msgs/msg/TwistWithCovariance'](
        twist=types['geometry_msgs/msg/Twist'](
            linear=_vector('Vector3', twist.linear_m_s),
            angular=_vector('Vector3', twist.angular_rad_s),
        ),
        covariance=np.zeros(36),
    )


def _mounting(stamp_ns: int) -> bytes:
    types = cdr.typestore().types
    pose = T_camera_to_base()
    transform = types['geometry_msgs/msg/TransformStamped'](
        header=cdr.header(stamp_ns, BASE_FRAME),
        child_frame_id=CAMERA_FRAME,
        transform=types['geometry_msgs/msg/Transform'](
            translation=_vector('Vector3', pose[:3, 3]), rotation=_quaternion(pose[:3, :3])
        ),
    )
    message = types['tf2_msgs/msg/TFMessage'](transforms=[transform])
    return cdr.serialize(message, 'tf2_msgs/msg/TFMessage')


def _vector(kind: str, values: NDArray[np.float64]) -> Any:
    x, y, z = values.tolist()
    return cdr.typestore().types[f'geometry_msgs/msg/{kind}'](x=x, y=y, z=z)


def _quaternion(rotation: NDArray[np.float64]) -> Any:
    x, y, z, w = quaternion_xyzw(rotation)
    return cdr.typestore().types['geometry_msgs/msg/Quaternion'](x=x, y=y, z=z, w=w)
