# SPDX-License-Identifier: Apache-2.0
"""A depth node in this process with a camera before it and listeners behind it."""

from __future__ import annotations

import threading
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from support.ros_camera import Camera, stamp_of
from support.ros_harness import Listener, RosWorld, has_publisher, wait_until

from monodepth2_ros.nodes.depth_node import DepthNode

SUCCESS = TransitionCallbackReturn.SUCCESS
KINDS = {
    'depth/image': Image,
    'depth/camera_info': CameraInfo,
    'depth/points': PointCloud2,
    'depth/image_color': Image,
}


class DepthWorld(RosWorld):
    """One depth node and everything around it."""

    def start(self, *, active: bool = True, **parameters: Any) -> DepthNode:
        """Make the node with ``parameters``; configure and activate it unless told not to.

        Images travel reliably, as a test sends each only once.
        """
        defaults = {'diagnostics_period_s': 0.1, 'threads': 1, 'image_qos': 'reliable'}
        defaults |= {'middleware_check': False}
        overrides = [
            Parameter(name.replace('__', '.'), value=value)
            for name, value in (defaults | parameters).items()
        ]
        self.depth_node = DepthNode(context=self.context, parameter_overrides=overrides)
        self.spinner = self.spin(self.depth_node)
        self.diagnostics = self.listen(DiagnosticArray, '/diagnostics')
        if active:
            assert self.spinner.run(self.depth_node.trigger_configure) == SUCCESS
            assert self.spinner.run(self.depth_node.trigger_activate) == SUCCESS
        return self.depth_node

    def camera(self, **options: Any) -> Camera:
        """A camera that the node has found, so that images find the camera_info sent before."""
        camera = Camera(self.node, **options)
        camera.wait_for_node()
        topics = {publisher.topic_name for publisher in camera.publishers}
        inputs = [s for s in self.depth_node.subscriptions if s.topic_name in topics]
        wait_until(lambda: all(has_publisher(each, self.depth_node) for each in inputs))
        return camera

    def output(self, topic: str) -> Listener:
        """A listener to an output; it and the node have found each other."""
        listener = self.listen(KINDS[topic], topic)
        publishers = [p for p in self.depth_node.publishers if p.topic_name == f'/{topic}']
        wait_until(lambda: publishers[0].get_subscription_count())
        wait_until(lambda: has_publisher(listener.subscription, self.node))
        return listener

    def status(self, accept: Any = lambda _: True) -> DiagnosticStatus:
        """The next diagnostic status, from now on, that ``accept`` accepts."""
        self.diagnostics.messages.clear()
        return self.diagnostics.wait(lambda array: accept(array.status[0])).status[0]

    def figure(self, name: str) -> str:
        """A value of the next diagnostic status."""
        return figures(self.status())[name]

    def wait_figure(self, name: str, value: str) -> DiagnosticStatus:
        """The next diagnostic status in which ``name`` has ``value``."""
        return self.status(lambda status: figures(status).get(name) == value)


def figures(status: DiagnosticStatus) -> dict[str, str]:
    """The values of a status by name."""
    return {each.key: each.value for each in status.values}


def held(node: DepthNode) -> tuple[threading.Event, threading.Event]:
    """Hold the worker at its next frame: an event that lets go, and one that tells it is held."""
    gate, entered = threading.Event(), threading.Event()
    process = node.session.processor.answer

    def slow(frame: Any) -> None:
        entered.set()
        assert gate.wait(30)
        process(frame)

    node.session.processor.answer = slow
    return gate, entered


def answer(listener: Listener, stamp: tuple[int, int]) -> Any:
    """The message with that stamp."""
    return listener.wait(lambda message: stamp_of(message) == stamp)
