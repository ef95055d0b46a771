# SPDX-License-Identifier: Apache-2.0
"""A recording's camera along its odometry: which pictures, and where the camera was at each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from monodepth2_training.evaluation.odometry.recorded_path import recorded_path
from monodepth2_training.world.motion import quaternion_xyzw
from support import make_bag
from support.lidar_bag import OPTICAL, START_NS, TF_TYPE, links

from monodepth2_ros.errors import EvaluationError
from monodepth2_ros.geometry.poses import rotation_matrices
from monodepth2_ros.recordings import RecordingWriter, cdr, open_recording
from monodepth2_ros.recordings.messages import CAMERA_INFO_TYPE, IMAGE_TYPE

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from monodepth2_training.evaluation.odometry.recorded_path import RecordedPath

TWIST_TYPE = 'geometry_msgs/msg/TwistStamped'
SIDEWAYS = (0.0, 0.0, np.sqrt(0.5), np.sqrt(0.5))
"""A vehicle whose x axis points to the left of where it drives."""
MOUNTING = ('base_link', 'side', (0.0, 0.0, 1.0, 0.0, 0.0, -np.sqrt(0.5), np.sqrt(0.5)))


def _link(index: int) -> bytes:
    """The vehicle drives along x of odom."""
    pose = (0.5 * index, 0.0, 0.0, *SIDEWAYS)
    return links(('odom', 'base_link', pose), stamp_ns=START_NS + index * 10**8)


def _twist(index: int) -> bytes:
    """The vehicle drives along its -y."""
    types = cdr.typestore().types
    vector = types['geometry_msgs/msg/Vector3']
    twist = types['geometry_msgs/msg/Twist'](
        linear=vector(x=0.0, y=-5.0, z=0.0), angular=vector(x=0.0, y=0.0, z=0.0)
    )
    header = cdr.header(START_NS + index * 10**8, 'base_link')
    return cdr.serialize(types[TWIST_TYPE](header=header, twist=twist), TWIST_TYPE)


def _write_bag(
    path: Path,
    *,
    odometry: Any = None,
    topic: str = 'image_raw',
    R: np.ndarray | None = None,
    damaged: Collection[int] = (),
) -> Path:
    """Write a drive of eight pictures at 10 Hz.

    Args:
        path: its folder.
        odometry: type and what makes its messages; /tf by default.
        topic: of the pictures.
        R: from the camera's frame to that of rectified pictures, which looks where it goes.
        damaged: numbers of pictures that are cut off.
    """
    R = np.eye(3) if R is None else R
    calibration = replace(make_bag.CALIBRATION, R=tuple(R.ravel()))
    kind, message = odometry or (TF_TYPE, _link)
    with RecordingWriter(path) as writer:
        writer.add_topic(f'/camera/{topic}', IMAGE_TYPE)
        writer.add_topic('/camera/camera_info', CAMERA_INFO_TYPE)
        writer.add_topic('/tf_static', TF_TYPE, latched=True)
        writer.add_topic('/motion', kind)
        level = ('side', 'level', (0.0, 0.0, 0.0, *OPTICAL))
        camera = ('level', 'camera', (0.0, 0.0, 0.0, *quaternion_xyzw(R)))
        writer.write('/tf_static', START_NS, links(MOUNTING, level, camera))
        for index in range(8):
            stamp_ns = START_NS + index * 10**8
            writer.write('/motion', stamp_ns, message(index))
            info = cdr.camera_info(calibration, stamp_ns=stamp_ns, frame_id='camera')
            writer.write('/camera/camera_info', stamp_ns, info)
            picture = make_bag.image(index, stamp_ns)
            whole = -200 if index in damaged else None
            writer.write(f'/camera/{topic}', stamp_ns, picture[:whole])
    return path


def _steps(path: RecordedPath) -> np.ndarray:
    """From picture to picture in metres [N - 1, 3], in the camera's axes."""
    return np.linalg.solve(path.poses[:-1], path.poses[1:])[:, :3, 3]


@pytest.mark.parametrize('odometry', [(TF_TYPE, _link), (TWIST_TYPE, _twist)])
def test_the_mounting_counts_whatever_kind_of_message_tells_the_motion(
    tmp_path: Path, odometry: Any
) -> None:
    with open_recording(_write_bag(tmp_path / 'bag', odometry=odometry)) as recording:
        path = recorded_path(recording)
    assert path.mounting == 'by /tf_static'
    np.testing.assert_allclose(_steps(path), [[0.0, 0.0, 0.5]] * 7, atol=1e-6)


@pytest.mark.parametrize('topic', ['image_raw', 'image_rect'])
def test_poses_are_of_the_rectified_camera_whoever_rectifies(tmp_path: Path, topic: str) -> None:
    R = rotation_matrices(np.array([[np.sin(0.05), 0.0, 0.0, np.cos(0.05)]]))[0]
    with open_recording(_write_bag(tmp_path / 'bag', topic=topic, R=R)) as recording:
        path = recorded_path(recording)
    assert (path.pictures.view.rectifier is None) == (topic == 'image_rect')
    np.testing.assert_allclose(_steps(path), [[0.0, 0.0, 0.5]] * 7, atol=1e-6)


def test_a_recording_without_odometry_is_told_all_that_could_be_one(tmp_path: Path) -> None:
    bag = make_bag.write_camera_bag(tmp_path / 'bag')
    with (
        open_recording(bag) as recording,
        pytest.raises(EvaluationError, match=r'nav_msgs/msg/Odometry, .*TwistStamped.* from odom'),
    ):
        recorded_path(recording)


def test_a_damaged_picture_ends_the_stretch_as_a_missing_pose_does(tmp_path: Path) -> None:
    with open_recording(_write_bag(tmp_path / 'bag', damaged=(1, 6))) as recording:
        path = recorded_path(recording)
        levels = [int(rgb[0, 0, 0]) for rgb in path.read()]
    assert levels == [2, 3, 4, 5]
    assert path.poses[:, 0, 3] == pytest.approx([1.0, 1.5, 2.0, 2.5])
    assert len(path.unreadable) == 2
    assert 'no sensor_msgs/msg/Image' in path.unreadable[0]


def test_pictures_too_damaged_for_a_stretch_are_named(tmp_path: Path) -> None:
    with (
        open_recording(_write_bag(tmp_path / 'bag', damaged=(1, 3, 5, 7))) as recording,
        pytest.raises(EvaluationError, match=r'3 at least; .* are no sensor_msgs/msg/Image'),
    ):
        recorded_path(recording)
