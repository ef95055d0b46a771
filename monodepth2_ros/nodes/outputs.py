# SPDX-License-Identifier: Apache-2.0
"""The four output topics: who listens, and sending one frame's products to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from monodepth2_ros.inference.pipeline import Products, Wanted
from monodepth2_ros.inference.postprocess import to_millimetres
from monodepth2_ros.nodes import messages
from monodepth2_ros.nodes.quality_of_service import QosWatch, overridable, profile

if TYPE_CHECKING:
    from rclpy.node import Node
    from rclpy.publisher import Publisher
    from std_msgs.msg import Header


class Outputs:
    """The publishers of one node, from configure to cleanup."""

    def __init__(self, node: Node, *, qos_name: str, watch: QosWatch) -> None:
        def publisher(kind: type, topic: str) -> Publisher:
            resolved = node.resolve_topic_name(topic)
            made = node.create_publisher(
                kind,
                topic,
                profile(qos_name),
                event_callbacks=watch.publisher_events(resolved),
                qos_overriding_options=overridable(node, resolved, 'publisher'),
            )
            self._publishers.append(made)
            return made

        self._node = node
        self._publishers: list[Publisher] = []
        try:
            self._depth = publisher(Image, 'depth/image')
            self._camera_info = publisher(CameraInfo, 'depth/camera_info')
            self._points = publisher(PointCloud2, 'depth/points')
            self._color = publisher(Image, 'depth/image_color')
        except BaseException:
            self.close()
            raise
        # Filled anew for each frame: publishing copies them.
        self._depth_image, self._color_image, self._cloud = Image(), Image(), PointCloud2()

    def wanted(self) -> Wanted | None:
        """What subscribers listen to; None if nobody listens to anything."""
        depth, camera_info, points, color = (
            publisher.get_subscription_count() > 0 for publisher in self._publishers
        )
        if not (depth or camera_info or points or color):
            return None
        return Wanted(depth=depth or camera_info, points=points, color=color)

    def publish(self, products: Products, header: Header, *, depth_encoding: str) -> bool:
        """Send what the frame gave; False if that was nothing."""
        # It was computed for listeners to camera_info alone, too.
        depth = products.depth if self._depth.get_subscription_count() > 0 else None
        camera = products.camera if products.depth is not None else None
        if depth is not None:
            shown = to_millimetres(depth) if depth_encoding == '16UC1' else depth
            self._depth.publish(messages.depth_message(shown, header, self._depth_image))
        if camera is not None:
            self._camera_info.publish(messages.camera_info_message(camera, header))
        if products.points is not None:
            self._points.publish(messages.cloud_message(products.points, header, self._cloud))
        if products.color is not None:
            self._color.publish(messages.color_message(products.color, header, self._color_image))
        sent = depth, camera, products.points, products.color
        return any(each is not None for each in sent)

    def close(self) -> None:
        """Withdraw the topics."""
        for publisher in self._publishers:
            self._node.destroy_publisher(publisher)
