# SPDX-License-Identifier: Apache-2.0
"""A camera for tests: publishes images and camera_info as a driver does."""

from __future__ import annotations

import array
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from support.ros_harness import wait_until


def image(
    width: int = 80, height: int = 60, *, encoding: str = 'rgb8', pixel_bytes: int = 3
) -> Image:
    """A noise image; change its fields for a fault."""
    message = Image(width=width, height=height, encoding=encoding, step=width * pixel_bytes)
    message.header.frame_id = 'camera_optical'
    pixels = np.random.default_rng(3).integers(0, 256, width * height * pixel_bytes, np.uint8)
    message.data = array.array('B', pixels.tobytes())
    return message


def camera_info(width: int = 80, height: int = 60, **fields: Any) -> CameraInfo:
    """The camera_info of a camera without distortion."""
    fx, cx, cy = 0.8 * width, 0.5 * width - 0.5, 0.5 * height - 0.5
    message = CameraInfo(width=width, height=height, distortion_model='plumb_bob')
    message.header.frame_id = 'camera_optical'
    message.d = [0.0] * 5
    message.k = [fx, 0.0, cx, 0.0, fx, cy, 0.0, 0.0, 1.0]
    message.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    message.p = [fx, 0.0, cx, 0.0, 0.0, fx, cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    for name, value in fields.items():
        setattr(message, name, value)
    return message


class Camera:
    """Publishes with rising stamps, one tenth of a second apart."""

    def __init__(
        self,
        node: Node,
        *,
        kind: type = Image,
        topic: str = 'image',
        qos: QoSProfile | int = 10,
    ) -> None:
        self.node = node
        self.stamp_ns = node.get_clock().now().nanoseconds
        self._image = node.create_publisher(kind, topic, qos)
        self._camera_info = node.create_publisher(CameraInfo, 'camera_info', qos)
        self.publishers = (self._image, self._camera_info)

    def wait_for_node(self) -> None:
        """Wait until somebody subscribes to images and camera_info."""
        wait_until(lambda: all(p.get_subscription_count() for p in self.publishers))

    def send(
        self, message: Image | CompressedImage, info: CameraInfo | None = None
    ) -> tuple[int, int]:
        """Publish ``info``, then ``message``, with the next stamp; returns that stamp."""
        self.stamp_ns += 100_000_000
        stamp = divmod(self.stamp_ns, 1_000_000_000)
        for each in (message, info):
            if each is not None:
                each.header.stamp.sec, each.header.stamp.nanosec = stamp
        if info is not None:
            self._camera_info.publish(info)
        self._image.publish(message)
        return stamp


def stamp_of(message: Any) -> tuple[int, int]:
    """Seconds and nanoseconds of a message's header."""
    return message.header.stamp.sec, message.header.stamp.nanosec
