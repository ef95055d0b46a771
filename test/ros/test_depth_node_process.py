# SPDX-License-Identifier: Apache-2.0
"""The true executable: large images cross processes, signals end it, a kill is survived."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import pytest
from rclpy.utilities import get_rmw_implementation_identifier
from sensor_msgs.msg import Image, PointCloud2
from support.node_process import NodeProcess
from support.ros_camera import Camera, camera_info, image, stamp_of
from support.ros_harness import wait_until


@pytest.fixture
def start(tiny_model):
    processes = []

    def start_node(*arguments, **parameters):
        process = NodeProcess('depth_node', *arguments, **({'model': tiny_model} | parameters))
        processes.append(process)
        return process

    yield start_node
    for process in processes:
        process.close()


def answered(camera, listener, message, info=None):
    """Send until an answer comes, as a new process may still be finding its partners."""
    stamps = set()

    def heard():
        stamps.add(camera.send(message, info))
        time.sleep(0.02)
        return next((m for m in list(listener.messages) if stamp_of(m) in stamps), None)

    return wait_until(heard)


def shared_memory(pid):
    """Files of shared memory that Fast DDS has mapped into a process for messages."""
    maps = Path(f'/proc/{pid}/maps').read_text()
    return set(re.findall(r'/dev/shm/fastrtps_[0-9a-f]{16}(?=\n| )', maps))


def assert_ends_cleanly(process, number, *, times=1):
    """The signal ends the process within two seconds, with code 0, no traceback, nothing left."""
    own = shared_memory(process.process.pid) - shared_memory('self')
    begin_s = time.monotonic()
    for _ in range(times - 1):
        process.process.send_signal(number)
        time.sleep(0.001)
    assert process.end(number, deadline_s=10) == 0
    assert time.monotonic() - begin_s < 2.0
    assert 'Traceback' not in ''.join(process.lines)
    assert [name for name in own if Path(name).exists()] == []
    if get_rmw_implementation_identifier() == 'rmw_fastrtps_cpp':
        assert own


def threads_that_keep_their_turns(pid):
    """Numbers of the threads in which ``sched_yield`` does nothing."""
    statuses = Path(f'/proc/{pid}/task').glob('*/status')
    return {int(path.parent.name) for path in statuses if 'Seccomp:\t2' in path.read_text()}


def test_full_hd_images_and_clouds_cross_processes_until_sigint(ros_world, start):
    process = start()
    cloud = ros_world.listen(PointCloud2, 'depth/points')
    camera = Camera(ros_world.node)
    camera.wait_for_node()
    message = answered(camera, cloud, image(1920, 1080), camera_info(1920, 1080))
    assert (message.width, message.height) == (1920, 1080)
    assert len(message.data) == 1920 * 1080 * 32
    pid = process.process.pid
    assert threads_that_keep_their_turns(pid)
    assert pid not in threads_that_keep_their_turns(pid)
    assert_ends_cleanly(process, signal.SIGINT)


def test_a_signal_during_the_start_ends_it_cleanly(start):
    process = start('--log-level', 'rcl:=debug')
    process.wait_line('Initializing node')
    assert process.end(signal.SIGTERM, deadline_s=10) == 0
    assert 'Traceback' not in ''.join(process.lines)


def test_interrupts_that_follow_each_other_end_it_cleanly(start):
    process = start()
    process.wait_line('scale: ')
    assert_ends_cleanly(process, signal.SIGINT, times=16)


def test_a_killed_node_is_replaced_by_a_new_one_until_sigterm(ros_world, start):
    depth = ros_world.listen(Image, 'depth/image')
    camera = Camera(ros_world.node)
    others = shared_memory('self')
    first = start()
    camera.wait_for_node()
    answered(camera, depth, image())
    left = shared_memory(first.process.pid) - others
    first.end(signal.SIGKILL, deadline_s=10)
    for name in left:
        Path(name).unlink()
    second = start()
    depth.messages.clear()
    answered(camera, depth, image())
    assert_ends_cleanly(second, signal.SIGTERM)


def test_a_bad_model_leaves_a_living_unconfigured_node_that_says_why(start):
    process = start(model='/no/such.safetensors')
    assert '/no/such.safetensors' in process.wait_line('configure failed')
    assert process.process.poll() is None
    assert process.end(signal.SIGINT, deadline_s=10) == 0


def test_a_namespace_moves_topics_and_the_name_in_diagnostics(ros_world, start):
    from diagnostic_msgs.msg import DiagnosticArray

    diagnostics = ros_world.listen(DiagnosticArray, '/diagnostics')
    start('-r', '__ns:=/front')
    status = diagnostics.wait().status[0]
    assert status.name == 'front/depth_node: depth'
    topics = lambda: dict(ros_world.node.get_topic_names_and_types())  # noqa: E731
    wait_until(lambda: {'/front/depth/image', '/front/image'} <= set(topics()))
