# SPDX-License-Identifier: Apache-2.0
"""Two real processes and the real middleware; and the node that runs the same test."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from rclpy.utilities import get_rmw_implementation_identifier
from support.depth_world import answer, figures
from support.ros_camera import camera_info, image
from support.ros_harness import wait_until

from monodepth2_ros.delivery import from_line
from monodepth2_ros.nodes.middleware_check import MESSAGES, command
from monodepth2_ros.nodes.self_check import SelfCheck

FULL_HD_BYTES = 1920 * 1080 * 3
PROFILES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')


def _outcome(message_bytes, environment):
    done = subprocess.run(
        command(message_bytes), env=environment, capture_output=True, text=True, timeout=60
    )
    return from_line(done.stdout), done.returncode


def test_with_the_profile_full_hd_images_arrive():
    delivery, code = _outcome(FULL_HD_BYTES, os.environ)
    assert (delivery.sent, delivery.message_bytes, code) == (MESSAGES, FULL_HD_BYTES, 0)
    assert delivery.arrives
    assert 0.0 < delivery.median_ms < 1000.0


@pytest.mark.skipif(
    get_rmw_implementation_identifier() != 'rmw_fastrtps_cpp',
    reason='the small default segment is that of Fast DDS',
)
def test_without_the_profile_full_hd_images_get_lost_and_the_remedy_is_named():
    bare = {name: value for name, value in os.environ.items() if name not in PROFILES}
    delivery, code = _outcome(FULL_HD_BYTES, bare)
    assert (delivery.sent, delivery.arrives, code) == (MESSAGES, False, 1)
    assert 'fastdds_large_messages.xml' in delivery.finding().text


def test_the_node_tests_the_middleware_once_its_first_depth_is_out(depth_world, tiny_model):
    depth_world.start(model=tiny_model, middleware_check=True)
    listener = depth_world.output('depth/image')
    assert depth_world.figure('middleware check') == 'not run'
    camera = depth_world.camera()
    answer(listener, camera.send(image(), camera_info()))
    status = depth_world.status(lambda s: 'arrived' in figures(s)['middleware check'])
    found = re.match(rf'(\d+) of {MESSAGES} messages', figures(status)['middleware check'])
    # Best effort, on a machine that other tests keep busy.
    assert found and int(found[1]) > MESSAGES // 2


def _children(pid):
    """Processes that the main thread of a process has started."""
    return set(Path(f'/proc/{pid}/task/{pid}/children').read_text().split())


def _running(pid):
    """Whether the process is there and no zombie."""
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except FileNotFoundError:
        return False


def test_a_check_that_is_broken_off_leaves_no_sender_behind():
    before = _children(os.getpid())
    check = SelfCheck()
    check.begin(FULL_HD_BYTES)
    (receiver,) = _children(os.getpid()) - before
    (sender,) = wait_until(lambda: _children(receiver))
    check.close()
    wait_until(lambda: not _running(sender))
