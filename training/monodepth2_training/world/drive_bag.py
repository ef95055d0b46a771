# SPDX-License-Identifier: Apache-2.0
"""Writes a generated drive as a rosbag2: pictures, calibration, odometry, true depth, mounting.

| topic | type | content |
|---|---|---|
| /camera/image_raw | sensor_msgs/Image, rgb8 | what the camera sees |
| /camera/camera_info | sensor_msgs/CameraInfo | no distortion, rectified equals raw |
| /camera/depth/image_rect | sensor_msgs/Image, 32FC1 | exact depth in metres, sky +Inf (REP 117) |
| /odom | nav_msgs/Odometry | exact pose of base_link in odom, velocity in base_link |
| /tf_static | tf2_msgs/TFMessage | base_link to camera_optical_frame |

A drive with a second camera also has /camera_right/image_raw and /camera_right/camera_info, whose
P[0, 3] tells the baseline, and where that camera is mounted. With variety, a camera without colour
writes mono8; one with distortion says so in camera_info, and its depth, of the same pixels as
/camera/image_raw, is /camera/depth/image_raw instead.
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
from monodepth2_ros.recordings import cdr
from monodepth2_ros.recordings.writer import RecordingWriter
from monodepth2_training.world.drive import START_NS, Drive, DriveFrame
from monodepth2_training.world.motion import Mounting, Twist, quaternion_xyzw

IMAGE_TOPIC = '/camera/image_raw'
INFO_TOPIC = '/camera/camera_info'
RIGHT_IMAGE_TOPIC = '/camera_right/image_raw'
RIGHT_INFO_TOPIC = '/camera_right/camera_info'
DEPTH_TOPIC = '/camera/depth/image_rect'
RAW_DEPTH_TOPIC = '/camera/depth/image_raw'
ODOMETRY_TOPIC = '/odom'
STATIC_TRANSFORM_TOPIC = '/tf_static'

CAMERA_FRAME = 'camera_optical_frame'
RIGHT_FRAME = 'camera_right_optical_frame'
BASE_FRAME = 'base_link'
ODOMETRY_FRAME = 'odom'

_TYPES = {
    STATIC_TRANSFORM_TOPIC: 'tf2_msgs/msg/TFMessage',
    INFO_TOPIC: 'sensor_msgs/msg/CameraInfo',
    IMAGE_TOPIC: 'sensor_msgs/msg/Image',
    DEPTH_TOPIC: 'sensor_msgs/msg/Image',
    ODOMETRY_TOPIC: 'nav_msgs/msg/Odometry',
}
_RIGHT_TYPES = {
    RIGHT_INFO_TOPIC: 'sensor_msgs/msg/CameraInfo',
    RIGHT_IMAGE_TOPIC: 'sensor_msgs/msg/Image',
}


class DriveBag:
    """An open bag that takes the frames of one drive."""

    def __init__(self, writer: RecordingWriter, drive: Drive) -> None:
        """Announce the topics and write how the cameras of ``drive`` are mounted."""
        self._writer = writer
        baseline_m = drive.settings.baseline_m
        self._colour = drive.rig.sensor.colour
        self._depth_topic = RAW_DEPTH_TOPIC if drive.rig.lens.bends else DEPTH_TOPIC
        self._calibration = drive.rig.lens.calibration()
        self._right_calibration = drive.rig.lens.calibration(right_of_first_m=baseline_m)
        for topic, type_name in (_TYPES | _RIGHT_TYPES if baseline_m else _TYPES).items():
            name = self._depth_topic if topic == DEPTH_TOPIC else topic
            writer.add_topic(name, type_name, latched=topic == STATIC_TRANSFORM_TOPIC)
        mounting = _mounting(START_NS, drive.rig.mounting, baseline_m)
        writer.write(STATIC_TRANSFORM_TOPIC, START_NS, mounting)

    def write(self, frame: DriveFrame) -> None:
        """Append one frame's messages.

        Raises:
            RecordingError: the disk refuses.
        """
        stamp = frame.stamp_ns
        info = cdr.camera_info(self._calibration, stamp_ns=stamp, frame_id=CAMERA_FRAME)
        self._writer.write(INFO_TOPIC, stamp, info)
        self._writer.write(IMAGE_TOPIC, stamp, self._picture(frame.rgb, stamp, CAMERA_FRAME))
        if frame.right_rgb is not None:
            info = cdr.camera_info(self._right_calibration, stamp_ns=stamp, frame_id=RIGHT_FRAME)
            self._writer.write(RIGHT_INFO_TOPIC, stamp, info)
            picture = self._picture(frame.right_rgb, stamp, RIGHT_FRAME)
            self._writer.write(RIGHT_IMAGE_TOPIC, stamp, picture)
        self._writer.write(self._depth_topic, stamp, _image(frame.depth_m, '32FC1', stamp))
        self._writer.write(ODOMETRY_TOPIC, stamp, _odometry(frame))

    def _picture(self, rgb: NDArray[np.uint8], stamp_ns: int, frame_id: str) -> bytes:
        if self._colour:
            return _image(rgb, 'rgb8', stamp_ns, frame_id)
        return _image(rgb[..., 0], 'mono8', stamp_ns, frame_id)


@contextmanager
def new_bag(path: Path, drive: Drive, *, replace: bool) -> Iterator[DriveBag]:
    """Write a bag under a temporary name; it gets its own when the block ends without an error.

    Args:
        path: the bag's folder.
        drive: whose frames it shall hold.
        replace: whether a bag that is there already may be replaced.

    Raises:
        RecordingError: the folder exists, be it only by the end, or cannot be written.
    """
    refuse_existing(path, replace=replace)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f'.{path.name}.', dir=path.parent))
    except OSError as err:
        raise RecordingError(f'cannot write in {path.parent}: {err}') from err
    try:
        with RecordingWriter(aside / path.name) as writer:
            yield DriveBag(writer, drive)
        refuse_existing(path, replace=replace)
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


def _image(
    pixels: NDArray[Any], encoding: str, stamp_ns: int, frame_id: str = CAMERA_FRAME
) -> bytes:
    return cdr.image(pixels, encoding=encoding, stamp_ns=stamp_ns, frame_id=frame_id)


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


def _mounting(stamp_ns: int, mounting: Mounting, baseline_m: float) -> bytes:
    """Poses of the camera and, if there is a baseline, of the second one."""
    pose = mounting.T_camera_to_base()
    transforms = [_mounted(stamp_ns, CAMERA_FRAME, pose, right_m=0.0)]
    if baseline_m:
        transforms.append(_mounted(stamp_ns, RIGHT_FRAME, pose, right_m=baseline_m))
    message = cdr.typestore().types['tf2_msgs/msg/TFMessage'](transforms=transforms)
    return cdr.serialize(message, 'tf2_msgs/msg/TFMessage')


def _mounted(stamp_ns: int, frame_id: str, pose: NDArray[np.float64], *, right_m: float) -> Any:
    types = cdr.typestore().types
    position = (pose @ [right_m, 0.0, 0.0, 1.0])[:3]
    return types['geometry_msgs/msg/TransformStamped'](
        header=cdr.header(stamp_ns, BASE_FRAME),
        child_frame_id=frame_id,
        transform=types['geometry_msgs/msg/Transform'](
            translation=_vector('Vector3', position), rotation=_quaternion(pose[:3, :3])
        ),
    )


def _vector(kind: str, values: NDArray[np.float64]) -> Any:
    x, y, z = values.tolist()
    return cdr.typestore().types[f'geometry_msgs/msg/{kind}'](x=x, y=y, z=z)


def _quaternion(rotation: NDArray[np.float64]) -> Any:
    x, y, z, w = quaternion_xyzw(rotation)
    return cdr.typestore().types['geometry_msgs/msg/Quaternion'](x=x, y=y, z=z, w=w)
