# SPDX-License-Identifier: Apache-2.0
"""Sends large messages to itself through the real middleware, from one process to another.

Within one process the middleware may take a short cut, so the sender is a process of its own. As a
program, ``python -m monodepth2_ros.nodes.middleware_check --bytes 2764800``, it prints the outcome
as a line of JSON and ends with code 0 if the messages arrived, else 1.
"""

from __future__ import annotations

import argparse
import array
import os
import signal
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NoReturn

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import get_rmw_implementation_identifier
from sensor_msgs.msg import Image

from monodepth2_ros.delivery import FIND_S, Delivery, to_line
from monodepth2_ros.nodes.message_types import listening_qos
from monodepth2_ros.nodes.quality_of_service import profile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rclpy.node import Node

MESSAGES = 20
"""How many are sent; three get lost by no chance on a computer that merely is busy."""

_MODULE = 'monodepth2_ros.nodes.middleware_check'
_PERIOD_S = 0.04
_DRAIN_S = 0.5
_END_S = 5.0


def command(message_bytes: int, *options: str) -> list[str]:
    """The command line of a check with messages of that size."""
    return [sys.executable, '-m', _MODULE, '--bytes', str(message_bytes), *options]


def check(message_bytes: int) -> Delivery:
    """Receive what a process of our own, with our own environment, sends.

    Args:
        message_bytes: size of the payload of one message.
    """
    topic = f'/monodepth2_middleware_check_{os.getpid()}'
    sender = subprocess.Popen(
        command(message_bytes, '--send', topic), stdout=subprocess.PIPE, text=True
    )
    try:
        delays_s = _listen(topic, sender)
    finally:
        sent = _ended(sender).strip()
    return Delivery(
        middleware=get_rmw_implementation_identifier(),
        message_bytes=message_bytes,
        sent=int(sent) if sent.isdigit() else 0,
        received=len(delays_s),
        median_ms=1e3 * statistics.median(delays_s or [0.0]),
    )


def _ended(sender: subprocess.Popen[str]) -> str:
    """What the sender printed; killed, it would leave its shared memory behind."""
    sender.terminate()
    try:
        return sender.communicate(timeout=_END_S)[0]
    except subprocess.TimeoutExpired:
        sender.kill()
        return sender.communicate()[0]


def _listen(topic: str, sender: subprocess.Popen[str]) -> list[float]:
    """Receive with a node and a context made for it."""
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node('middleware_check', context=context)
    try:
        return _receive(node, topic, sender)
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)


def _receive(node: Node, topic: str, sender: subprocess.Popen[str]) -> list[float]:
    """Delays in seconds of the messages that arrive until the sender is done."""
    delays_s: list[float] = []

    def heard(message: Image) -> None:
        stamp = message.header.stamp
        delays_s.append(time.time() - stamp.sec - stamp.nanosec / 1e9)

    # Room for all of them: what a busy processor delays is not lost.
    qos = listening_qos(reliable=False, depth=MESSAGES)
    node.create_subscription(Image, topic, heard, qos)
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    end_s = time.monotonic() + FIND_S + MESSAGES * _PERIOD_S
    while time.monotonic() < end_s and len(delays_s) < MESSAGES:
        if sender.poll() is not None:
            end_s = min(end_s, time.monotonic() + _DRAIN_S)
        executor.spin_once(timeout_sec=_PERIOD_S)
    return delays_s


def _send(topic: str, message_bytes: int) -> None:
    """Send as soon as somebody listens; prints how many messages that will be."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node('middleware_check_sender')
    try:
        _publish(node, topic, message_bytes)
    finally:
        # Asked to end a second time, it would end half way.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        node.destroy_node()


def _publish(node: Node, topic: str, message_bytes: int) -> None:
    publisher = node.create_publisher(Image, topic, profile('best_effort'))
    message = Image(height=1, width=message_bytes, step=message_bytes, encoding='mono8')
    message.data = array.array('B', bytes(message_bytes))
    end_s = time.monotonic() + FIND_S
    while not publisher.get_subscription_count():
        if time.monotonic() > end_s:
            return
        time.sleep(0.01)
    print(MESSAGES, flush=True)
    time.sleep(_PERIOD_S)
    for _ in range(MESSAGES):
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(time.time_ns(), 10**9)
        publisher.publish(message)
        time.sleep(_PERIOD_S)
    time.sleep(_DRAIN_S)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Print the outcome of a check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else '')
    parser.add_argument('--bytes', type=int, default=640 * 480 * 3, help='size of one message')
    parser.add_argument('--send', metavar='TOPIC', default='', help='be the sender')
    parser.add_argument('--nice', type=int, default=0, help='give way to other processes')
    args = parser.parse_args(argv)
    os.nice(args.nice)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    if args.send:
        _send(args.send, args.bytes)
        os._exit(0)
    delivery = check(args.bytes)
    print(to_line(delivery), flush=True)
    os._exit(0 if delivery.arrives else 1)


if __name__ == '__main__':
    main()
