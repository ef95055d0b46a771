# SPDX-License-Identifier: Apache-2.0
"""Answers each image with messages of the depth node's size and computes nothing.

What it takes is what transport takes: receiving the image, sending depth and a cloud.
"""

from __future__ import annotations

import contextlib
import sys

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Header

from monodepth2_ros.inference.point_cloud import LAYOUTS, PackedCloud, cloud_size
from monodepth2_ros.nodes import messages
from monodepth2_ros.nodes.quality_of_service import profile

_STRIDE = 2


class EchoNode(Node):
    """Sends the same depth and cloud for every image of a size."""

    def __init__(self, *, jpeg: bool) -> None:
        super().__init__('echo_node')
        self._size = 1, 1
        self._answers: tuple[Image, PointCloud2] | None = None
        self._depth = self.create_publisher(Image, 'depth/image', profile('reliable'))
        self._points = self.create_publisher(PointCloud2, 'depth/points', profile('reliable'))
        qos = profile('sensor_data')
        self.create_subscription(CameraInfo, 'camera_info', self._on_info, qos)
        kind, topic = (CompressedImage, 'image/compressed') if jpeg else (Image, 'image')
        self.create_subscription(kind, topic, lambda message: self._answer(message.header), qos)

    def _on_info(self, message: CameraInfo) -> None:
        size = message.width, message.height
        if size != self._size:
            self._size, self._answers = size, None

    def _answer(self, header: Header) -> None:
        if self._answers is None:
            width, height = self._size
            layout = LAYOUTS['xyzrgb_compact']
            rows, columns = cloud_size(width, height, _STRIDE)
            points = PackedCloud(
                data=np.zeros((rows, columns * layout.step), np.uint8), layout=layout
            )
            depth = messages.depth_message(np.ones((height, width), np.float32), header)
            self._answers = depth, messages.cloud_message(points, header)
        depth, cloud = self._answers
        depth.header = cloud.header = header
        self._depth.publish(depth)
        self._points.publish(cloud)


def main() -> None:
    """Run until stopped: echo_node.py [jpeg]."""
    rclpy.init()
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(EchoNode(jpeg='jpeg' in sys.argv[1:]))


if __name__ == '__main__':
    main()
