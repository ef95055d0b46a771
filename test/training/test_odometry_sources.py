# SPDX-License-Identifier: Apache-2.0
"""Odometry out of velocities and of /tf."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from monodepth2_training.data.dead_reckoning import dead_reckoned
from monodepth2_training.data.odometry import Odometry, OdometryReader, read_odometry
from monodepth2_training.data.odometry_messages import (
    ODOMETRY_TYPE,
    POSE_TYPES,
    TF_TYPE,
    TWIST_TYPES,
)

from monodepth2_ros.geometry.poses import pose_matrices
from monodepth2_ros.recordings import Message, RecordingWriter, Topic, cdr, open_recording

if TYPE_CHECKING:
    from pathlib import Path

START_NS = 1_600_000_000 * 10**9


def _types(name: str) -> Any:
    return cdr.typestore().types[name]


def _vector(x: float, y: float, z: float) -> Any:
    return _types('geometry_msgs/msg/Vector3')(x=x, y=y, z=z)


def _twist(stamp_ns: int, type_name: str, speed: float, turn: float) -> bytes:
    twist = _types('geometry_msgs/msg/Twist')(
        linear=_vector(speed, 0.0, 0.0), angular=_vector(0.0, 0.0, turn)
    )
    if type_name == TWIST_TYPES[0]:
        covariance = np.zeros(36)
        twist = _types('geometry_msgs/msg/TwistWithCovariance')(twist=twist, covariance=covariance)
    content = _types(type_name)(header=cdr.header(stamp_ns, 'base_link'), twist=twist)
    return cdr.serialize(content, type_name)


def _tf(stamp_ns: int, *links: tuple[str, str, float]) -> bytes:
    transforms = [
        _types('geometry_msgs/msg/TransformStamped')(
            header=cdr.header(stamp_ns, parent),
            child_frame_id=child,
            transform=_types('geometry_msgs/msg/Transform')(
                translation=_vector(x, 0.0, 0.0),
                rotation=_types('geometry_msgs/msg/Quaternion')(x=0.0, y=0.0, z=0.0, w=1.0),
            ),
        )
        for parent, child, x in links
    ]
    return cdr.serialize(_types(TF_TYPE)(transforms=transforms), TF_TYPE)


def _read(folder: Path, topics: dict[str, tuple[str, list[bytes]]]) -> Odometry | None:
    with RecordingWriter(folder) as writer:
        for name, (kind, messages) in topics.items():
            writer.add_topic(name, kind)
            for number, data in enumerate(messages):
                writer.write(name, START_NS + number * 10**8, data)
    with open_recording(folder) as recording:
        return read_odometry(recording)


def _stamps(count: int) -> list[int]:
    return [START_NS + number * 10**8 for number in range(count)]


def test_a_quarter_circle_of_velocities_ends_a_radius_ahead_and_a_radius_left() -> None:
    stamps_ns = np.linspace(0, 10e9, 1001).astype(np.int64)
    velocities = np.tile([np.pi, 0.0, 0.0, 0.0, 0.0, np.pi / 20], (1001, 1))
    poses = dead_reckoned(stamps_ns, velocities)
    assert poses[-1, :3] == pytest.approx([20.0, 20.0, 0.0], abs=1e-3)
    assert pose_matrices(poses)[-1, :3, 0] == pytest.approx([0.0, 1.0, 0.0], abs=1e-9)


@pytest.mark.parametrize('type_name', TWIST_TYPES)
def test_velocities_become_poses_and_speed(tmp_path: Path, type_name: str) -> None:
    messages = [_twist(stamp, type_name, 2.0, 0.0) for stamp in _stamps(5)]
    odometry = _read(tmp_path / 'bag', {'/twist': (type_name, messages)})
    assert odometry is not None
    assert odometry.poses[:, 0] == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8])
    assert odometry.speeds_m_s == pytest.approx([2.0] * 5)


def test_a_commanded_velocity_is_no_odometry(tmp_path: Path) -> None:
    messages = [_twist(stamp, TWIST_TYPES[1], 2.0, 0.0) for stamp in _stamps(5)]
    assert _read(tmp_path / 'bag', {'/cmd_vel': (TWIST_TYPES[1], messages)}) is None


def _pose(stamp_ns: int, type_name: str, x: float) -> bytes:
    pose = _types('geometry_msgs/msg/Pose')(
        position=_types('geometry_msgs/msg/Point')(x=x, y=0.0, z=0.0),
        orientation=_types('geometry_msgs/msg/Quaternion')(x=0.0, y=0.0, z=0.0, w=1.0),
    )
    if type_name == POSE_TYPES[1]:
        covariance = np.zeros(36)
        pose = _types('geometry_msgs/msg/PoseWithCovariance')(pose=pose, covariance=covariance)
    content = _types(type_name)(header=cdr.header(stamp_ns, 'map'), pose=pose)
    return cdr.serialize(content, type_name)


@pytest.mark.parametrize(
    ('name', 'type_name'),
    [
        ('/initialpose', POSE_TYPES[1]),
        ('/goal_pose', POSE_TYPES[2]),
        ('/mavros/setpoint_position/local', POSE_TYPES[2]),
    ],
)
def test_a_pose_that_was_asked_for_is_no_odometry(
    name: str, type_name: str, tmp_path: Path
) -> None:
    asked = [_pose(stamp, type_name, 7.0) for stamp in _stamps(5)]
    assert _read(tmp_path / 'alone', {name: (type_name, asked)}) is None
    links = [_tf(stamp, ('odom', 'base_link', 0.3 * n)) for n, stamp in enumerate(_stamps(5))]
    for other, (kind, messages) in {
        '/tf': (TF_TYPE, links),
        '/vehicle/twist': (
            TWIST_TYPES[1],
            [_twist(s, TWIST_TYPES[1], 3.0, 0) for s in _stamps(5)],
        ),
    }.items():
        topics = {name: (type_name, asked), other: (kind, messages)}
        odometry = _read(tmp_path / other[1:], topics)
        assert odometry is not None
        assert odometry.topic == other
        assert odometry.poses[:, 0] == pytest.approx([0.0, 0.3, 0.6, 0.9, 1.2])


def test_hours_of_odometry_take_little_memory() -> None:
    topic = Topic(name='/odom', type=POSE_TYPES[2], count=3000)
    messages = [
        Message(topic='/odom', type=topic.type, stamp_ns=at, data=_pose(at, topic.type, 1e-9 * at))
        for at in _stamps(topic.count)
    ]
    reader = OdometryReader(topic, None)
    reader.take(messages[0])
    tracemalloc.start()
    for message in messages:
        reader.take(message)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < 200 * len(messages)
    assert len(reader.odometry().stamps_ns) == len(messages)


def test_poses_too_rare_to_be_interpolated_are_the_last_choice(tmp_path: Path) -> None:
    rare = [_pose(_stamps(1)[0], POSE_TYPES[1], 7.0)]
    twists = [_twist(stamp, TWIST_TYPES[1], 3.0, 0.0) for stamp in _stamps(11)]
    topics = {'/fix': (POSE_TYPES[1], rare), '/twist': (TWIST_TYPES[1], twists)}
    odometry = _read(tmp_path / 'both', topics)
    assert odometry is not None
    assert odometry.topic == '/twist'
    odometry = _read(tmp_path / 'alone', {'/fix': topics['/fix']})
    assert odometry is not None
    assert odometry.topic == '/fix'


def test_tf_gives_the_link_that_starts_at_odom(tmp_path: Path) -> None:
    links = [
        _tf(stamp, ('map', 'odom', 7.0), ('odom', 'base_link', 0.3 * n), ('base_link', 'arm', 1.0))
        for n, stamp in enumerate(_stamps(4))
    ]
    odometry = _read(tmp_path / 'bag', {'/tf': (TF_TYPE, links)})
    assert odometry is not None
    assert odometry.poses[:, 0] == pytest.approx([0.0, 0.3, 0.6, 0.9])
    assert odometry.speeds_m_s == pytest.approx([3.0] * 4)


def test_tf_without_a_vehicle_is_no_odometry(tmp_path: Path) -> None:
    links = [_tf(stamp, ('base_link', 'arm', 0.1 * n)) for n, stamp in enumerate(_stamps(4))]
    assert _read(tmp_path / 'bag', {'/tf': (TF_TYPE, links)}) is None


def test_tf_is_preferred_to_velocities_and_odometry_to_both() -> None:
    from monodepth2_training.data.odometry_messages import MOTION_TYPES

    ranks = [MOTION_TYPES.index(kind) for kind in (ODOMETRY_TYPE, TF_TYPE, *TWIST_TYPES)]
    assert ranks == sorted(ranks)
