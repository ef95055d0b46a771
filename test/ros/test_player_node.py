# SPDX-License-Identifier: Apache-2.0
"""The player publishes what was recorded, when it was recorded, and ends cleanly."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import rclpy
from rclpy.context import Context
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String
from support.make_bag import CALIBRATION, START_NS, image, write_camera_bag
from support.ros_harness import has_publisher, wait_until

from monodepth2_ros.errors import ConfigError, RecordingError
from monodepth2_ros.geometry.calibration_file import save_calibration
from monodepth2_ros.geometry.camera import CameraCalibration
from monodepth2_ros.nodes.message_types import playing_qos
from monodepth2_ros.nodes.player_node import PlayerNode
from monodepth2_ros.recordings import RecordingWriter, cdr
from monodepth2_ros.recordings.messages import IMAGE_TYPE

STRING_TYPE = 'std_msgs/msg/String'
LATCHED_QOS = playing_qos(latched=True, depth=100)


@pytest.fixture
def bag(tmp_path):
    return write_camera_bag(tmp_path / 'bag')


@pytest.fixture
def player():
    """Makes players in a context of their own."""
    context = Context()
    rclpy.init(context=context)
    made = []

    def make(recording, **parameters):
        values = {'recording': str(recording), 'progress_period_s': 0.0, **parameters}
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        made.append(PlayerNode(context=context, parameter_overrides=overrides))
        return made[-1]

    yield make
    for node in made:
        node.destroy_node()
    context.try_shutdown()


def stamp_ns(message):
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def stamps(listener):
    return [stamp_ns(message) for message in listener.messages]


def test_every_message_arrives_as_recorded(ros_world, player, bag):
    images = ros_world.listen(Image, '/camera/image_raw')
    infos = ros_world.listen(CameraInfo, '/camera/camera_info')
    player(bag, rate=4.0, wait_for_subscribers=1).run()
    images.wait_count(10)
    infos.wait_count(10)
    assert stamps(images) == [START_NS + index * 50_000_000 for index in range(10)]
    first = images.messages[0]
    assert (first.encoding, first.width, first.step) == ('rgb8', 64, 192)
    assert first.header.frame_id == 'camera'
    assert [message.data[0] for message in images.messages] == list(range(10))
    assert list(infos.messages[0].k) == list(CALIBRATION.K)


def test_a_chosen_camera_plays_under_the_names_that_the_depth_node_hears(ros_world, player, bag):
    images = ros_world.listen(Image, 'image')
    infos = ros_world.listen(CameraInfo, 'camera_info')
    node = player(bag, rate=10.0, camera='auto', wait_for_subscribers=1)
    node.run()
    images.wait_count(10)
    infos.wait_count(10)
    assert node.tally.frames == 10
    assert node.tally.messages == 20


@pytest.mark.parametrize('rate', [1.0, 2.5])
def test_the_pace_is_the_recorded_one_times_the_rate(ros_world, player, bag, rate):
    images = ros_world.listen(Image, 'image')
    node = player(bag, rate=rate, camera='auto', wait_for_subscribers=1)
    node.run()
    images.wait_count(10)
    elapsed_s = node.tally.last_clock_s - node.tally.started_clock_s
    assert elapsed_s == pytest.approx(0.45 / rate, abs=0.1)


def test_stamps_of_now_keep_their_intervals(ros_world, player, bag):
    images = ros_world.listen(Image, 'image')
    before_ns = time.time_ns()
    player(bag, rate=2.0, camera='auto', stamps='now', wait_for_subscribers=1).run()
    images.wait_count(10)
    played = stamps(images)
    assert before_ns <= played[0] <= time.time_ns()
    assert np.diff(played).tolist() == [25_000_000] * 9


def test_a_part_can_be_played(ros_world, player, bag):
    images = ros_world.listen(Image, 'image')
    player(bag, camera='auto', start_s=0.2, duration_s=0.15, wait_for_subscribers=1).run()
    images.wait_count(3)
    assert stamps(images) == [START_NS + index * 50_000_000 for index in (4, 5, 6)]


def test_a_loop_starts_over_until_ros_shuts_down(ros_world, player, bag):
    images = ros_world.listen(Image, 'image')
    node = player(bag, rate=3.0, camera='auto', loop=True, wait_for_subscribers=1)
    thread = threading.Thread(target=node.run)
    thread.start()
    images.wait_count(25)
    node.context.try_shutdown()
    thread.join(10.0)
    assert not thread.is_alive()
    assert stamps(images).count(START_NS) >= 2


def test_a_loop_over_a_single_frame_is_no_flood(ros_world, player, tmp_path):
    with RecordingWriter(tmp_path / 'bag') as writer:
        writer.add_topic('/camera/image_raw', IMAGE_TYPE)
        writer.write('/camera/image_raw', START_NS, image(0, START_NS))
    images = ros_world.listen(Image, 'image')
    node = player(tmp_path / 'bag', camera='auto', loop=True, wait_for_subscribers=1)
    thread = threading.Thread(target=node.run)
    thread.start()
    images.wait_count(4)
    node.context.try_shutdown()
    thread.join(10.0)
    elapsed_s = node.tally.last_clock_s - node.tally.started_clock_s
    assert node.tally.frames <= 1 + elapsed_s / 0.1


def test_only_the_listed_topics_are_played(ros_world, player, bag):
    node = player(bag, rate=50.0, topics=['/camera/camera_info'])
    node.run()
    assert dict(node.tally.counts) == {'/camera/camera_info': 10}


def test_a_given_calibration_replaces_the_recorded_one(ros_world, player, bag, tmp_path):
    other = CameraCalibration(width=64, height=48, K=(60.0, 0, 31, 0, 60, 23, 0, 0, 1))
    save_calibration(tmp_path / 'other.yaml', other)
    ros_world.listen(Image, 'image')
    infos = ros_world.listen(CameraInfo, 'camera_info')
    options = {'calibration_url': str(tmp_path / 'other.yaml'), 'camera': 'auto', 'rate': 10.0}
    player(bag, wait_for_subscribers=1, **options).run()
    infos.wait_count(10)
    assert [info.k[0] for info in infos.messages] == [60.0] * 10
    assert stamps(infos)[3] == START_NS + 150_000_000
    assert infos.messages[0].header.frame_id == 'camera'


def test_the_clock_runs_with_the_recording(ros_world, player, bag):
    clocks = ros_world.listen(Clock, '/clock', 100)
    images = ros_world.listen(Image, 'image')
    player(bag, camera='auto', clock=True, wait_for_subscribers=1).run()
    images.wait_count(10)
    clocks.wait(lambda clock: clock.clock.nanosec == (START_NS + 450_000_000) % 10**9)
    times = [clock.clock.sec * 10**9 + clock.clock.nanosec for clock in clocks.messages]
    assert times == sorted(times)
    assert len(times) > 20
    assert times[-1] == START_NS + 450_000_000


def test_a_recorded_clock_gives_way_to_the_one_that_is_published(ros_world, player, tmp_path):
    kind = 'rosgraph_msgs/msg/Clock'
    with RecordingWriter(tmp_path / 'bag') as writer:
        writer.add_topic('/clock', kind)
        writer.add_topic('/others', STRING_TYPE)
        for index in range(10):
            writer.write('/others', START_NS + index * 50_000_000, text('other'))
            writer.write('/clock', START_NS + index * 50_000_000, b'\0\1\0\0' + bytes(8))
    clocks = ros_world.listen(Clock, '/clock', 100)
    node = player(tmp_path / 'bag', clock=True)
    assert set(node.clip.routes) == {'/others'}
    wait_until(lambda: has_publisher(clocks.subscription, ros_world.node))
    node.run()
    clocks.wait(lambda clock: clock.clock.nanosec == (START_NS + 450_000_000) % 10**9)
    assert min(clock.clock.sec for clock in clocks.messages) == START_NS // 10**9
    assert player(tmp_path / 'bag').clip.routes['/clock'].type == kind


@pytest.fixture
def latched_bag(tmp_path):
    """15 latched texts at once, then a second of others at 10 Hz."""
    with RecordingWriter(tmp_path / 'latched') as writer:
        writer.add_topic('/latched', STRING_TYPE, latched=True)
        writer.add_topic('/others', STRING_TYPE)
        for index in range(15):
            writer.write('/latched', START_NS + index, text(f'latched {index}'))
        for index in range(1, 11):
            writer.write('/others', START_NS + index * 10**8, text(f'other {index}'))
    return tmp_path / 'latched'


def text(content):
    return cdr.serialize(cdr.typestore().types[STRING_TYPE](data=content), STRING_TYPE)


@pytest.mark.parametrize('start_s', [0.0, 0.5])
def test_late_subscribers_get_all_that_is_latched_wherever_it_starts(
    ros_world, player, latched_bag, start_s
):
    node = player(latched_bag, rate=10.0, start_s=start_s)
    node.run()
    assert node.tally.latest_s < 0.4
    heard = ros_world.listen(String, '/latched', LATCHED_QOS)
    heard.wait_count(15)
    assert [message.data for message in heard.messages] == [f'latched {i}' for i in range(15)]


def test_types_that_are_not_installed_are_left_out(ros_world, player, tmp_path):
    with RecordingWriter(tmp_path / 'bag') as writer:
        writer.add_topic('/camera/image_raw', IMAGE_TYPE)
        writer.add_topic('/joints', 'trajectory_msgs/msg/JointTrajectory')
        writer.write('/camera/image_raw', START_NS, image(0, START_NS))
        writer.write('/joints', START_NS, b'\x00\x01\x00\x00' + bytes(24))
    node = player(tmp_path / 'bag')
    node.run()
    assert node.tally.counts['/camera/image_raw'] == 1
    try:
        import trajectory_msgs.msg  # noqa: F401
    except ImportError:
        assert '/joints' not in node.tally.counts


@pytest.mark.parametrize(
    ('parameters', 'reason'),
    [
        ({'stamps': 'later'}, r"stamps is 'later': known are now, recorded \(one of"),
        ({'rate': 0.0}, 'rate'),
        ({'rate': 'fast'}, r"rate is 'fast' \(str\): expected a real number"),
        ({'recordings': 'x'}, r"unknown parameter 'recordings': did you mean 'recording'\?"),
    ],
)
def test_bad_parameters_are_refused_by_name(player, bag, parameters, reason):
    with pytest.raises(ConfigError, match=reason):
        player(bag, **parameters)


def test_a_player_without_a_recording_says_so(player):
    with pytest.raises(ConfigError, match='recording is empty: give the path'):
        player('')


def test_a_whole_number_stands_for_a_real_one(player, bag):
    assert player(bag, rate=3).parameters.rate == 3.0


def test_a_stretch_without_messages_is_refused(player, bag):
    with pytest.raises(RecordingError, match=r'lasts 0.45 s: nothing to play from 9 s'):
        player(bag, start_s=9.0)


def run_player(*parameters):
    arguments = ['--ros-args']
    for each in parameters:
        arguments += ['-p', each]
    return run_player_with(*arguments)


def run_player_with(*arguments):
    command = [sys.executable, '-m', 'monodepth2_ros.nodes.player_node', *arguments]
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_a_bad_recording_ends_the_process_with_one_line(tmp_path):
    process = run_player(f'recording:={tmp_path / "nothing"}')
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert output.strip().startswith(f'player_node: {tmp_path}/nothing does not exist')
    assert len(output.strip().splitlines()) == 1


def test_the_process_says_which_camera_it_would_play(bag):
    output, _ = run_player_with('--camera-of', str(bag)).communicate(timeout=60)
    assert json.loads(output) == {
        'image': '/camera/image_raw',
        'image_transport': 'raw',
        'frame_id': 'camera',
    }
    process = run_player_with('--camera-of', str(bag), '/rear')
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    reason = f"{bag} has no camera '/rear'; its cameras are: /camera/image_raw"
    assert output == f'player_node: {reason}\n'


def test_interrupts_end_the_process_cleanly(ros_world, bag):
    images = ros_world.listen(Image, 'image')
    process = run_player(f'recording:={bag}', 'camera:=auto', 'loop:=true')
    try:
        wait_until(lambda: len(images.messages) > 5)
        # A launch file passes on what the terminal has sent already, and people press it again.
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            time.sleep(0.02)
        output, _ = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0
    assert 'Traceback' not in output
    assert ' frames, ' in output.splitlines()[-1]
