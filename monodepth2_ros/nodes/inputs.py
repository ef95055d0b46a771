# SPDX-License-Identifier: Apache-2.0
"""The subscriptions to one camera, open only while the node is active."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sensor_msgs.msg import CameraInfo, Image
from sensor_msgs.msg import CompressedImage as CompressedImageMessage
from std_msgs.msg import Header

from monodepth2_ros.images import CompressedImage, RawImage
from monodepth2_ros.nodes import messages
from monodepth2_ros.nodes.quality_of_service import QosWatch, overridable, profile

if TYPE_CHECKING:
    from rclpy.node import Node
    from rclpy.subscription import Subscription

    from monodepth2_ros.geometry.camera import CameraCalibration


@dataclass(frozen=True, kw_only=True)
class Frame:
    """An image on its way from the subscription to the worker."""

    header: Header
    """Stamp and frame, which all outputs carry on."""
    image: RawImage | CompressedImage = field(repr=False)
    """Shares the message's bytes."""
    calibration: CameraCalibration | None
    """That of the camera when it arrived; None if it was not known."""
    received_s: float
    """When it arrived, on the monotonic clock."""


class Inputs:
    """The image and camera_info subscriptions of one node."""

    def __init__(
        self,
        node: Node,
        *,
        transport: str,
        qos_name: str,
        watch: QosWatch,
        on_image: Callable[[Header, RawImage | CompressedImage], None],
        on_camera_info: Callable[[CameraInfo], None],
        on_lost: Callable[[int], None],
    ) -> None:
        """Subscribe to image or image/compressed (``transport``), and to camera_info."""
        self._node = node
        self._subscriptions: list[Subscription] = []

        def subscribe(
            kind: type,
            topic: str,
            callback: Callable[..., None],
            lost: Callable[[int], None] | None = None,
        ) -> None:
            resolved = node.resolve_topic_name(topic)
            subscription = node.create_subscription(
                kind,
                topic,
                callback,
                profile(qos_name),
                event_callbacks=watch.subscription_events(resolved, lost),
                qos_overriding_options=overridable(node, resolved, 'subscription'),
            )
            self._subscriptions.append(subscription)

        def on_raw(message: Image) -> None:
            on_image(message.header, messages.raw_image(message))

        def on_compressed(message: CompressedImageMessage) -> None:
            on_image(message.header, messages.compressed_image(message))

        try:
            # First, so that of two messages that wait, the image finds its calibration known.
            subscribe(CameraInfo, 'camera_info', on_camera_info)
            if transport == 'raw':
                subscribe(Image, 'image', on_raw, on_lost)
            else:
                subscribe(CompressedImageMessage, compressed_topic(node), on_compressed, on_lost)
        except BaseException:
            self.close()
            raise

    @property
    def source(self) -> str:
        """Who publishes images on which topic, in words."""
        topic = self._subscriptions[-1].topic_name
        count = self._node.count_publishers(topic)
        return f'publishers of {topic}: {count}' if count else f'nobody publishes {topic}'

    def close(self) -> None:
        """Unsubscribe."""
        while self._subscriptions:
            self._node.destroy_subscription(self._subscriptions.pop())


def compressed_topic(node: Node) -> str:
    """The compressed topic: as remapped itself, else beside the remapped ``image``."""
    topic = 'image/compressed'
    resolved: str = node.resolve_topic_name(topic)
    if resolved != node.resolve_topic_name(topic, only_expand=True):
        return resolved
    return f'{node.resolve_topic_name("image")}/compressed'
