# SPDX-License-Identifier: Apache-2.0
"""The node that one writes first: what ``run`` compares the depth node with.

As the Python nodes of the field do it: one callback that does everything; the picture through
NumPy and OpenCV as cv_bridge converts it; a resize by PIL; the whole network in float32, all four
scales, eager; depth upsampled by torch; a structured array of points for each frame. On a GPU,
PyTorch's defaults stand, so that TF32 is allowed.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import cv2
import numpy as np
import rclpy
import torch
from numpy.typing import NDArray
from PIL import Image as Picture
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField
from std_msgs.msg import Header
from torch.nn import functional

from monodepth2_ros.inference.engines.device import choose_device
from monodepth2_ros.model_file import load_model

_STRIDE = 2
_POINT = np.dtype([('x', '<f4'), ('y', '<f4'), ('z', '<f4'), ('rgb', '<u4')])


class PlainNode(Node):
    """Depth and cloud of each image, in the callback."""

    def __init__(self, model: str, device: torch.device, *, jpeg: bool) -> None:
        super().__init__('plain_node')
        self._net, self._device = load_model(model).depth_net.eval().to(device), device
        config = self._net.config
        self._size = config.width, config.height
        self._k: NDArray[np.float64] | None = None
        self._depth = self.create_publisher(Image, 'depth/image', 1)
        self._points = self.create_publisher(PointCloud2, 'depth/points', 1)
        self.create_subscription(CameraInfo, 'camera_info', self._on_info, qos_profile_sensor_data)
        if jpeg:
            kind, topic, answer = CompressedImage, 'image/compressed', self._on_jpeg
        else:
            kind, topic, answer = Image, 'image', self._on_image
        self.create_subscription(kind, topic, answer, qos_profile_sensor_data)

    def _on_info(self, message: CameraInfo) -> None:
        self._k = np.array(message.k).reshape(3, 3)

    def _on_jpeg(self, message: CompressedImage) -> None:
        bgr = cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR)
        self._answer(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), message.header)

    def _on_image(self, message: Image) -> None:
        pixels = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)
        self._answer(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), message.header)

    def _answer(self, rgb: NDArray[np.uint8], header: Header) -> None:
        height, width = rgb.shape[:2]
        small = Picture.fromarray(rgb).resize(self._size, Picture.Resampling.LANCZOS)
        image = torch.from_numpy(np.array(small)).to(self._device)
        image = image.permute(2, 0, 1)[None].float() / 255.0
        with torch.no_grad():
            disparity = self._net(image)[0]
            disparity = functional.interpolate(
                disparity, (height, width), mode='bilinear', align_corners=False
            )
        depth = 1.0 / (0.01 + 9.99 * disparity[0, 0].cpu().numpy())
        message = Image(header=header, height=height, width=width, encoding='32FC1')
        message.step = 4 * width
        message.data = depth.astype(np.float32).tobytes()
        self._depth.publish(message)
        if self._k is not None:
            self._points.publish(self._cloud(depth, rgb, header, self._k))

    def _cloud(
        self,
        depth: NDArray[Any],
        rgb: NDArray[np.uint8],
        header: Header,
        k: NDArray[np.float64],
    ) -> PointCloud2:
        height, width = depth.shape
        u, v = np.meshgrid(np.arange(width), np.arange(height))
        u, v, z, colours = (array[::_STRIDE, ::_STRIDE] for array in (u, v, depth, rgb))
        points = np.zeros(z.shape, _POINT)
        points['x'] = (u - k[0, 2]) * z / k[0, 0]
        points['y'] = (v - k[1, 2]) * z / k[1, 1]
        points['z'] = z
        wide = colours.astype(np.uint32)
        points['rgb'] = wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]
        fields = [
            PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
            for index, name in enumerate(('x', 'y', 'z', 'rgb'))
        ]
        message = PointCloud2(header=header, height=z.shape[0], width=z.shape[1], fields=fields)
        message.point_step, message.row_step = 16, 16 * z.shape[1]
        message.data = points.tobytes()
        return message


def main() -> None:
    """Run until stopped: plain_node.py MODEL DEVICE [jpeg]."""
    device, _ = choose_device(sys.argv[2])
    rclpy.init()
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(PlainNode(sys.argv[1], device, jpeg='jpeg' in sys.argv[3:]))


if __name__ == '__main__':
    main()
