# SPDX-License-Identifier: Apache-2.0
"""Which messages know a vehicle's motion, and the numbers out of each."""

from __future__ import annotations

import math
from typing import Any

from monodepth2_ros.errors import RecordingError
from monodepth2_ros.inference.travelled import MOST_GAP_S
from monodepth2_ros.recordings import Message, Recording, Topic, cdr

ODOMETRY_TYPE = 'nav_msgs/msg/Odometry'
TF_TYPE = 'tf2_msgs/msg/TFMessage'
POSE_TYPES = (
    ODOMETRY_TYPE,
    'geometry_msgs/msg/PoseWithCovarianceStamped',
    'geometry_msgs/msg/PoseStamped',
)
TWIST_TYPES = (
    'geometry_msgs/msg/TwistWithCovarianceStamped',
    'geometry_msgs/msg/TwistStamped',
)
MOTION_TYPES = (*POSE_TYPES, TF_TYPE, *TWIST_TYPES)
"""From the most to the least wanted."""

_STATIC = '/tf_static'
_ENOUGH = 200
_COMMANDS = (
    'cmd',
    'command',
    'desired',
    'target',
    'goal',
    'setpoint',
    'initialpose',
    'initial_pose',
)
_PARENTS = ('odom', 'map', 'world')

Row = tuple[float, ...]
Link = tuple[str, str]


def choose_topic(recording: Recording) -> Topic | None:
    """The topic that knows the motion best; None without one.

    Poses and twists that are commanded and not measured, by their topics' names, do not count;
    /tf counts where it holds a link from an ``odom``, ``map`` or ``world`` frame. Topics that come
    too rarely to be interpolated are the last choice.
    """
    found = [topic for topic in recording.topics if topic.type in MOTION_TYPES and topic.count]
    found = [topic for topic in found if _is_measured(topic) and topic.name != _STATIC]
    fewest = recording.duration_s / MOST_GAP_S
    found.sort(
        key=lambda topic: (
            topic.count < fewest,
            MOTION_TYPES.index(topic.type),
            -topic.count,
            topic.name,
        )
    )
    for topic in found:
        if topic.type != TF_TYPE or moving_link(recording, topic.name):
            return topic
    return None


def moving_link(recording: Recording, topic: str) -> Link | None:
    """Parent and child of the link on /tf that tells where the vehicle is; None without one."""
    links: set[Link] = set()
    for number, message in enumerate(recording.messages([topic])):
        if number >= _ENOUGH:
            break
        try:
            content = cdr.parse(message)
        except RecordingError:
            continue
        links |= {
            (t.header.frame_id.lstrip('/'), t.child_frame_id.lstrip('/'))
            for t in content.transforms
        }
    ranked = [
        (_PARENTS.index(name), link) for link in links if (name := _frame(link[0])) in _PARENTS
    ]
    # A map frame is corrected in leaps, an odom frame never.
    return min(ranked)[1] if ranked else None


def pose_row(message: Message, link: Link | None = None) -> tuple[int, Row] | None:
    """Stamp, pose and forward speed of a message; None for one that holds no pose."""
    try:
        content = cdr.parse(message)
    except RecordingError:
        return None
    if message.type == TF_TYPE:
        return _linked_row(content, link)
    pose: Any = content.pose if message.type == POSE_TYPES[2] else content.pose.pose
    speed = content.twist.twist.linear.x if message.type == ODOMETRY_TYPE else 0.0
    stamp_ns = cdr.header_stamp_ns(message.data) or message.stamp_ns
    return _checked(stamp_ns, pose.position, pose.orientation, speed)


def twist_row(message: Message) -> tuple[int, Row] | None:
    """Stamp, and vx vy vz in m/s and wx wy wz in rad/s; None for one that is not finite."""
    try:
        content = cdr.parse(message)
    except RecordingError:
        return None
    twist: Any = content.twist if message.type == TWIST_TYPES[1] else content.twist.twist
    way, turn = twist.linear, twist.angular
    row = tuple(float(v) for v in (way.x, way.y, way.z, turn.x, turn.y, turn.z))
    stamp_ns = cdr.header_stamp_ns(message.data) or message.stamp_ns
    return (stamp_ns, row) if all(map(math.isfinite, row)) else None


def _linked_row(content: Any, link: Link | None) -> tuple[int, Row] | None:
    for item in content.transforms:
        if _ends(item) == link:
            stamp = item.header.stamp
            stamp_ns = int(stamp.sec) * 10**9 + int(stamp.nanosec)
            return _checked(stamp_ns, item.transform.translation, item.transform.rotation, 0.0)
    return None


def _ends(item: Any) -> Link:
    return item.header.frame_id.lstrip('/'), item.child_frame_id.lstrip('/')


def _checked(stamp_ns: int, place: Any, turn: Any, speed: float) -> tuple[int, Row] | None:
    """A row, unless it is not finite or its quaternion is no rotation."""
    row = (place.x, place.y, place.z, turn.x, turn.y, turn.z, turn.w, speed)
    usable = all(map(math.isfinite, row)) and math.hypot(*row[3:7]) > 0.5
    return (stamp_ns, tuple(map(float, row))) if usable else None


def _is_measured(topic: Topic) -> bool:
    commanded = any(word in topic.name.lower() for word in _COMMANDS)
    return topic.type == TF_TYPE or not commanded


def _frame(name: str) -> str:
    """A frame's name without its robot's prefix."""
    return name.rpartition('/')[2]
