# SPDX-License-Identifier: Apache-2.0
"""Real rclpy over real DDS, in a domain of this test process alone."""

from __future__ import annotations

import pytest
from support.ros_domain import claim_domain

_DOMAIN_LOCK = claim_domain()

pytest.importorskip('rclpy', reason='ROS 2 (rclpy) is not installed or not sourced')


@pytest.fixture(scope='session')
def tiny_model(tmp_path_factory):
    """Path of a model that answers in milliseconds."""
    from support.tiny_model import write_tiny_model

    return str(write_tiny_model(tmp_path_factory.mktemp('model') / 'tiny.safetensors'))


@pytest.fixture
def ros_world():
    """A ROS context with a spinning node for publishers and subscriptions."""
    from support.ros_harness import RosWorld

    world = RosWorld()
    yield world
    world.close()


@pytest.fixture
def depth_world():
    """A ROS context in which a depth node can be started."""
    from support.depth_world import DepthWorld

    world = DepthWorld()
    yield world
    world.close()


@pytest.fixture
def logged(depth_world):
    """The lines that the node has logged, through /rosout."""
    from rcl_interfaces.msg import Log
    from rclpy.qos import DurabilityPolicy, QoSProfile

    # Also what was logged before the two had found each other.
    kept = QoSProfile(depth=1000, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    rosout = depth_world.listen(Log, '/rosout', kept)

    def wait_for(part):
        return rosout.wait(lambda line: part in line.msg).msg

    return wait_for
