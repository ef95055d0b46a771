# SPDX-License-Identifier: Apache-2.0
"""What ``monodepth2 doctor`` asks about ROS, as a program that prints one line of JSON.

``python -m monodepth2_ros.nodes.ros_facts --topic /camera/image_raw`` tells distribution and
middleware, listens to the camera for a while, and tests the middleware at the camera's size.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import get_rmw_implementation_identifier
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from monodepth2_ros.errors import ImageError
from monodepth2_ros.images import decode_compressed
from monodepth2_ros.nodes import messages
from monodepth2_ros.nodes.message_types import listening_qos
from monodepth2_ros.nodes.middleware_check import check
from monodepth2_ros.recordings.messages import COMPRESSED_IMAGE_TYPE, IMAGE_TYPE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rclpy.node import Node

DEFAULT_BYTES = 1280 * 720 * 3
"""Size of the test messages where no camera is heard."""

_PROFILES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
_QUEUE = 5
_KINDS = {IMAGE_TYPE: Image, COMPRESSED_IMAGE_TYPE: CompressedImage}


@dataclass(frozen=True, kw_only=True)
class CameraFacts:
    """What was heard on one image topic."""

    topic: str
    """Its full name."""
    type: str = ''
    """Type of its messages, heard only if it is one of images; empty if nobody publishes there."""
    reliability: tuple[str, ...] = ()
    """Reliability that each publisher offers."""
    messages: int = 0
    """Images heard."""
    seconds: float = 0.0
    """From the first to the last of them."""
    message_bytes: int = 0
    """Size of the latest."""
    image_size: tuple[int, int] | None = None
    """Width and height of the latest in pixels; None if that cannot be told."""
    calibration: dict[str, Any] | None = field(default=None)
    """``CameraCalibration`` of the camera_info beside it; None if none was heard."""


class _Ear:
    """Listens to one camera; images stay bytes."""

    def __init__(self, node: Node, topic: str) -> None:
        self._node, self._topic = node, topic
        self._times_s: list[float] = []
        self._image = b''
        self._info: bytes | None = None
        self._type = ''
        self._reliability: tuple[str, ...] = ()

    def listen(self, duration_s: float) -> CameraFacts:
        """Wait for a publisher, then count what it sends."""
        executor = SingleThreadedExecutor(context=self._node.context)
        executor.add_node(self._node)
        end_s = time.monotonic() + duration_s
        while time.monotonic() < end_s:
            if not self._type:
                self._subscribe()
            executor.spin_once(timeout_sec=0.05)
        return CameraFacts(
            topic=self._topic,
            type=self._type,
            reliability=self._reliability,
            messages=len(self._times_s),
            seconds=self._times_s[-1] - self._times_s[0] if self._times_s else 0.0,
            message_bytes=len(self._image),
            image_size=self._image_size(),
            calibration=self._calibration(),
        )

    def _subscribe(self) -> None:
        found = self._node.get_publishers_info_by_topic(self._topic)
        if not found:
            return
        self._type = found[0].topic_type
        self._reliability = tuple(each.qos_profile.reliability.name.lower() for each in found)
        kind = _KINDS.get(self._type)
        if kind is None:
            return
        qos = listening_qos(reliable=False, depth=_QUEUE)
        self._node.create_subscription(kind, self._topic, self._on_image, qos, raw=True)
        info = f'{self._topic.removesuffix("/compressed").rpartition("/")[0]}/camera_info'
        self._node.create_subscription(CameraInfo, info, self._on_info, qos, raw=True)

    def _on_image(self, data: bytes) -> None:
        self._times_s.append(time.monotonic())
        self._image = data

    def _on_info(self, data: bytes) -> None:
        self._info = data

    def _image_size(self) -> tuple[int, int] | None:
        if not self._image:
            return None
        message = deserialize_message(self._image, _KINDS[self._type])
        if isinstance(message, Image):
            return message.width, message.height
        try:
            height, width, _ = decode_compressed(messages.compressed_image(message)).shape
        except ImageError:
            return None
        return width, height

    def _calibration(self) -> dict[str, Any] | None:
        if self._info is None:
            return None
        return asdict(messages.calibration(deserialize_message(self._info, CameraInfo)))


def gather(topic: str, *, duration_s: float) -> dict[str, Any]:
    """All facts, ready for JSON.

    Args:
        topic: an image topic to listen to; empty listens to none.
        duration_s: how long to listen.
    """
    camera = listen(topic, duration_s) if topic else None
    message_bytes = camera.message_bytes if camera else 0
    return {
        'distribution': os.environ.get('ROS_DISTRO', 'not sourced (from PyPI)'),
        'middleware': get_rmw_implementation_identifier(),
        'domain': os.environ.get('ROS_DOMAIN_ID', '0'),
        'profiles': {name: os.environ[name] for name in _PROFILES if name in os.environ},
        'camera': asdict(camera) if camera else None,
        'delivery': asdict(check(message_bytes or DEFAULT_BYTES)),
    }


def listen(topic: str, duration_s: float) -> CameraFacts:
    """Hear a camera with a node made for it."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node('monodepth2_doctor')
    try:
        return _Ear(node, node.resolve_topic_name(topic)).listen(duration_s)
    finally:
        node.destroy_node()
        rclpy.shutdown()


def main(argv: Sequence[str] | None = None) -> None:
    """Print the facts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else '')
    parser.add_argument('--topic', default='', help='image topic to listen to')
    parser.add_argument('--seconds', type=float, default=3.0, help='how long to listen')
    args = parser.parse_args(argv)
    # Ended in the middle, it would leave its shared memory and its sender behind.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    print(json.dumps(gather(args.topic, duration_s=args.seconds)), flush=True)


if __name__ == '__main__':
    main()
