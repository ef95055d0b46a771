# SPDX-License-Identifier: Apache-2.0
"""The scale on ROS topics: ``depth/scale`` out, ``odom`` and ``/tf_static`` in.

tf is read as it is sent, without tf2: all that is asked of it is how the camera is mounted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from nav_msgs.msg import Odometry
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from monodepth2_ros.geometry.poses import pose_matrix
from monodepth2_ros.geometry.static_frames import StaticFrames
from monodepth2_ros.nodes.message_types import message_class

if TYPE_CHECKING:
    from rclpy.node import Node
    from rclpy.subscription import Subscription

    from monodepth2_ros.inference.scale_keeper import ScaleKeeper

_TF = 'tf2_msgs/msg/TFMessage'
_LATCHED = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
# As deep as tf2_ros: each of many publishers has a latched message waiting for us.
_STATIC_FRAMES = QoSProfile(
    depth=100,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
_ODOMETRY = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)


class ScaleTopics:
    """Tells the keeper of the scale what it needs to know, and publishes what it found."""

    def __init__(self, node: Node, keeper: Callable[[], ScaleKeeper]) -> None:
        """Create the topics; ``keeper`` gives that of the model in use."""
        self._node, self._keeper = node, keeper
        self._frames = StaticFrames()
        self._camera_frame = ''
        self._publisher = node.create_publisher(DiagnosticArray, 'depth/scale', _LATCHED)
        self._odometry: Subscription | None = None
        self._transforms: Subscription | None = None
        tf_message = message_class(_TF)
        if tf_message is not None:
            self._transforms = node.create_subscription(
                tf_message, '/tf_static', self._on_transforms, _STATIC_FRAMES
            )

    def follow_odometry(self, wanted: bool) -> None:
        """Listen to the odometry, or no longer: it may come a thousand times a second."""
        if wanted and self._odometry is None:
            self._odometry = self._node.create_subscription(
                Odometry, 'odom', self._on_odometry, _ODOMETRY
            )
        elif not wanted and self._odometry is not None:
            self._node.destroy_subscription(self._odometry)
            self._odometry = None

    def camera_frame(self, frame_id: str) -> None:
        """Note which frame the images are in."""
        if frame_id != self._camera_frame:
            self._camera_frame = frame_id
            self._mount()

    def publish(self) -> None:
        """Publish the scale as it stands."""
        reading = self._keeper().reading
        status = DiagnosticStatus(name='depth scale', message=reading.text())
        status.hardware_id = self._camera_frame
        status.level = DiagnosticStatus.OK if reading.is_known else DiagnosticStatus.WARN
        values = {
            'value': f'{reading.value:.6g}' if reading.is_known else 'unknown',
            'spread': f'{reading.spread:.4f}',
            'source': reading.source,
            'age_s': f'{reading.age_s:.1f}',
            'frames': str(reading.frames),
            'frozen': reading.frozen,
        }
        status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
        message = DiagnosticArray(status=[status])
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.header.frame_id = self._camera_frame
        self._publisher.publish(message)

    def close(self) -> None:
        """Withdraw the topics."""
        self.follow_odometry(False)
        if self._transforms is not None:
            self._node.destroy_subscription(self._transforms)
            self._transforms = None
        self._node.destroy_publisher(self._publisher)

    def _on_odometry(self, message: Odometry) -> None:
        stamp, place = message.header.stamp, message.pose.pose.position
        stamp_ns = stamp.sec * 10**9 + stamp.nanosec
        self._keeper().way.add(stamp_ns, (place.x, place.y, place.z))

    def _on_transforms(self, message: Any) -> None:
        for item in message.transforms:
            place, turn = item.transform.translation, item.transform.rotation
            row = np.array([place.x, place.y, place.z, turn.x, turn.y, turn.z, turn.w])
            T_child_to_parent = pose_matrix(row)
            if T_child_to_parent is not None:
                self._frames.add(item.child_frame_id, item.header.frame_id, T_child_to_parent)
        self._mount()

    def _mount(self) -> None:
        self._keeper().mount(self._frames.mounted(self._camera_frame))
