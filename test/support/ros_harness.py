# SPDX-License-Identifier: Apache-2.0
"""Nodes that spin in threads, listeners that keep what they heard, and waits with a deadline."""

from __future__ import annotations

import contextlib
import gc
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

import rclpy
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar('Result')

DEADLINE_S = 30.0
_heard = threading.Condition()


def wait_until(condition: Callable[[], Any], *, deadline_s: float = DEADLINE_S) -> Any:
    """Wait until ``condition`` gives something true, and return it; it is asked on every event."""
    end_s = time.monotonic() + deadline_s
    with _heard:
        while not (result := condition()):
            assert time.monotonic() < end_s, f'nothing within {deadline_s} s: {condition}'
            _heard.wait(0.01)
    return result


def notify() -> None:
    """Let all waits ask their condition again."""
    with _heard:
        _heard.notify_all()


def has_publisher(subscription: Any, node: Node) -> bool:
    """Whether a subscription of ``node`` knows a publisher: from then on nothing is out of order.

    What is sent before, is sent again later where it is reliable, and lost where it is not.
    """
    if not hasattr(subscription, 'get_publisher_count'):  # Humble
        return node.count_publishers(subscription.topic_name) > 0
    return subscription.get_publisher_count() > 0


class Spinner:
    """A node on an executor in a thread of its own."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.executor = SingleThreadedExecutor(context=node.context)
        self.executor.add_node(node)
        self._stopping = False
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            while not self._stopping:
                self.executor.spin_once(timeout_sec=0.1)

    def run(self, function: Callable[[], Result]) -> Result:
        """Run ``function`` on the executor's thread, between callbacks, and return its result."""
        done = threading.Event()
        future = self.executor.create_task(function)
        future.add_done_callback(lambda _: done.set())
        assert done.wait(DEADLINE_S), f'{function} did not end within {DEADLINE_S} s'
        return future.result()

    def close(self) -> None:
        """Stop spinning and destroy the node."""
        self._stopping = True
        self._thread.join(DEADLINE_S)
        self.executor.shutdown()
        self.node.destroy_node()


class Listener:
    """A subscription of a test that keeps every message."""

    def __init__(self, node: Node, kind: type, topic: str, qos: Any = 10) -> None:
        self.node = node
        self.messages: list[Any] = []
        self.subscription = node.create_subscription(kind, topic, self._hear, qos)

    def _hear(self, message: Any) -> None:
        self.messages.append(message)
        notify()

    def wait(self, accept: Callable[[Any], bool] = lambda _: True, **limits: float) -> Any:
        """The first message, heard already or to come, that ``accept`` accepts."""
        return wait_until(lambda: next(filter(accept, list(self.messages)), None), **limits)

    def wait_count(self, count: int) -> list[Any]:
        """The messages, once there are ``count``."""
        wait_until(lambda: len(self.messages) >= count)
        return self.messages

    def close(self) -> None:
        """Stop listening."""
        self.node.destroy_subscription(self.subscription)


class RosWorld:
    """A ROS context for one test, with a node for its publishers and subscriptions."""

    def __init__(self) -> None:
        self.context = Context()
        rclpy.init(context=self.context)
        self._spinners: list[Spinner] = []
        self.node = self.spin(Node('test_node', context=self.context)).node

    def spin(self, node: Node) -> Spinner:
        """Spin ``node`` until the world ends."""
        spinner = Spinner(node)
        self._spinners.append(spinner)
        return spinner

    def listen(self, kind: type, topic: str, qos: Any = 10) -> Listener:
        """Subscribe; messages are kept from now on."""
        return Listener(self.node, kind, topic, qos)

    def call(self, kind: type, service: str, request: Any) -> Any:
        """Call a service and return its response."""
        client = self.node.create_client(kind, service)
        try:
            assert client.wait_for_service(DEADLINE_S), f'no service {service}'
            future = client.call_async(request)
            future.add_done_callback(lambda _: notify())
            wait_until(future.done)
            return future.result()
        finally:
            self.node.destroy_client(client)

    def close(self) -> None:
        """Stop everything; a node that lingered would keep the /rosout of its namesake."""
        while self._spinners:
            self._spinners.pop().close()
        self.context.try_shutdown()
        vars(self).clear()
        gc.unfreeze()
        gc.collect()
