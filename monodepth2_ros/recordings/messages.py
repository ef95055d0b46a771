# SPDX-License-Identifier: Apache-2.0
"""The two things a recording is made of: topics and serialised messages."""

from __future__ import annotations

from dataclasses import dataclass

IMAGE_TYPE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE_TYPE = 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO_TYPE = 'sensor_msgs/msg/CameraInfo'


@dataclass(frozen=True, kw_only=True)
class Topic:
    """One topic of a recording."""

    name: str
    """Absolute name."""
    type: str
    """Message type as ROS 2 spells it: ``package/msg/Name``."""
    count: int
    """Messages stored; for a video what its container claims."""
    latched: bool = False
    """Whether late subscribers were meant to get the last message (transient local)."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """One serialised message."""

    topic: str
    """Topic that it was recorded on."""
    type: str
    """Message type as ROS 2 spells it."""
    stamp_ns: int
    """When it was recorded, which need not be the stamp in its header."""
    data: bytes
    """CDR with its 4-byte encapsulation header."""


def normal_type(name: str) -> str:
    """A message type as ROS 2 spells it: with ``/msg/`` between package and name."""
    package, _, rest = name.partition('/')
    return name if '/' in rest or not rest else f'{package}/msg/{rest}'
