# SPDX-License-Identifier: Apache-2.0
"""A recording's camera along its odometry: which pictures, and where the camera was at each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from monodepth2_training.evaluation.odometry.recorded_path import recorded_path
from support import make_bag
from support.lidar_bag import OPTICAL, START_NS, TF_TYPE, links

from monodepth2_ros.errors import EvaluationError
from monodepth2_ros.recordings import RecordingWriter, cdr, open_recording
from monodepth2_ros.recordings.messages import CAMERA_INFO_TYPE, IMAGE_TYPE

if TYPE_CHECKING:
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


def _write_bag(path: Path, frames: int = 8, odometry: Any = None) -> Path:
    """Write a drive at 10 Hz whose camera looks where it goes; odometry is /tf by default."""
    kind, message = odometry or (TF_TYPE, _link)
    with RecordingWriter(path) as writer:
        writer.add_topic('/camera/image_raw', IMAGE_TYPE)
        writer.add_topic('/camera/camera_info', CAMERA_INFO_TYPE)
        writer.add_topic('/tf_static', TF_TYPE, latched=True)
        writer.add_topic('/motion', kind)
        optical = ('side', 'camera', (0.0, 0.0, 0.0, *OPTICAL))
        writer.write('/tf_static', START_NS, links(MOUNTING, optical))
        for index in range(frames):
            stamp_ns = START_NS + index * 10**8
            writer.write('/motion', stamp_ns, message(index))
            writer.write('/camera/camera_info', stamp_ns, make_bag.camera_info(stamp_ns))
            writer.write('/camera/image_raw', stamp_ns, make_bag.image(index, stamp_ns))
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


def test_a_recording_without_odometry_is_told_all_that_could_be_one(tmp_path: Path) -> None:
    bag = make_bag.write_camera_bag(tmp_path / 'bag')
    with (
        open_recording(bag) as recording,
        pytest.raises(EvaluationError, match=r'nav_msgs/msg/Odometry, .*TwistStamped.* from odom'),
    ):
        recorded_path(recording)
