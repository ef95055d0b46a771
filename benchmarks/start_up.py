# SPDX-License-Identifier: Apache-2.0
"""The depth node's start, part by part; runs as ``python benchmarks/start_up.py --ros-args ...``.

Each part is logged as ``part: seconds`` before the node goes on as it always does.
"""

from __future__ import annotations

import contextlib
import time
from importlib import import_module

_BEGIN_S = time.monotonic()


def _part(name: str, since_s: float) -> float:
    now_s = time.monotonic()
    print(f'start-up {name}: {now_s - since_s:.3f}', flush=True)
    return now_s


def main() -> None:
    """Import, configure and activate with a watch in hand, then spin."""
    since_s = _BEGIN_S
    import_module('torch')

    since_s = _part('import torch', since_s)
    import rclpy

    import_module('sensor_msgs.msg')

    since_s = _part('import ROS', since_s)
    from monodepth2_ros.nodes import depth_node

    since_s = _part('import the node', since_s)
    rclpy.init()
    node = depth_node.DepthNode()
    since_s = _part('make the node', since_s)
    node.trigger_configure()
    since_s = _part('configure: model and engine', since_s)
    node.trigger_activate()
    _part('activate', since_s)
    executor = rclpy.executors.SingleThreadedExecutor()
    executor.add_node(node)
    with contextlib.suppress(rclpy.executors.ExternalShutdownException):
        executor.spin()
    node.destroy_node()


if __name__ == '__main__':
    main()
