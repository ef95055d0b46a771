# SPDX-License-Identifier: Apache-2.0
"""A bad start fails with its reason and can be mended; silence is told; nothing leaks."""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path

import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParameters
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import Image
from support.depth_world import SUCCESS, figures, held
from support.ros_camera import Camera, camera_info, image
from support.ros_harness import wait_until

FAILURE = TransitionCallbackReturn.FAILURE
OK, WARN, ERROR = b'\x00', b'\x01', b'\x02'


def change_state(world, transition):
    request = ChangeState.Request(transition=Transition(id=transition))
    return world.call(ChangeState, '/depth_node/change_state', request).success


def state(world):
    return world.call(GetState, '/depth_node/get_state', GetState.Request()).current_state.label


def set_parameter(world, name, value):
    message = Parameter(name, value=value).to_parameter_msg()
    request = SetParameters.Request(parameters=[message])
    return world.call(SetParameters, '/depth_node/set_parameters', request).results[0]


def test_an_empty_model_fails_to_configure_and_a_set_one_mends_it(depth_world, tiny_model):
    depth_world.start(active=False)
    assert not change_state(depth_world, Transition.TRANSITION_CONFIGURE)
    assert state(depth_world) == 'unconfigured'
    status = depth_world.status(lambda status: status.level == ERROR)
    assert status.message.startswith(
        'configure failed: parameter model is empty: give the path of a model file '
        '(.safetensors), for example one made by `monodepth2 import`'
    )
    assert set_parameter(depth_world, 'model', tiny_model).successful
    assert change_state(depth_world, Transition.TRANSITION_CONFIGURE)
    assert change_state(depth_world, Transition.TRANSITION_ACTIVATE)
    assert state(depth_world) == 'active'
    depth_world.status(lambda status: status.level == OK)


@pytest.mark.parametrize(
    ('parameters', 'part'),
    [
        ({'model': '/no/such/model.safetensors'}, '/no/such/model.safetensors'),
        ({'model': __file__}, 'test_depth_node_lifecycle.py'),
        ({'device': 'cuda:99'}, 'cuda:99'),
        ({'device': 'gpu'}, 'gpu'),
        ({'calibration_url': 'package://no_such_package/a.yaml'}, 'no_such_package'),
        ({'calibration_url': '/no/such.yaml'}, '/no/such.yaml'),
        ({'max_dept_m': 50.0}, "unknown parameter 'max_dept_m': did you mean 'max_depth_m'?"),
        ({'min_depth_m': 200.0}, 'min_depth_m 200.0 is not below max_depth_m 100.0'),
        ({'cloud_stride': 0}, 'cloud_stride is 0: expected 1 to 64'),
        ({'rectify': 'sometimes'}, "rectify is 'sometimes'"),
        ({'flip': 'yes'}, "flip is 'yes' (str): expected true or false"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else '',
)
def test_a_bad_start_fails_to_configure_with_its_reason(depth_world, tiny_model, parameters, part):
    node = depth_world.start(active=False, **({'model': tiny_model} | parameters))
    assert depth_world.spinner.run(node.trigger_configure) == FAILURE
    assert part in depth_world.status(lambda status: status.level == ERROR).message
    assert node.session is None
    wait_until(lambda: 'depth' not in {thread.name for thread in threading.enumerate()})


def test_a_damaged_model_fails_to_configure(depth_world, tiny_model, tmp_path):
    cut = tmp_path / 'cut.safetensors'
    cut.write_bytes(Path(tiny_model).read_bytes()[:100_000])
    node = depth_world.start(active=False, model=str(cut))
    assert depth_world.spinner.run(node.trigger_configure) == FAILURE
    assert str(cut) in depth_world.status(lambda status: status.level == ERROR).message


def test_a_value_that_failed_at_start_can_be_mended(depth_world, tiny_model):
    node = depth_world.start(active=False, model=tiny_model, cloud_stride=0)
    assert depth_world.spinner.run(node.trigger_configure) == FAILURE
    assert set_parameter(depth_world, 'cloud_stride', 2).successful
    assert depth_world.spinner.run(node.trigger_configure) == SUCCESS


def test_values_that_contradict_each_other_at_start_are_mended_by_one_of_them(
    depth_world, tiny_model
):
    given = {'model': tiny_model, 'cloud_stride': 4, 'min_depth_m': 50.0, 'max_depth_m': 10.0}
    node = depth_world.start(active=False, **given)
    assert depth_world.spinner.run(node.trigger_configure) == FAILURE
    assert 'max_depth_m' in depth_world.status(lambda status: status.level == ERROR).message
    refused = set_parameter(depth_world, 'cloud_stride', 3)
    assert not refused.successful
    assert 'max_depth_m' in refused.reason
    assert set_parameter(depth_world, 'max_depth_m', 100.0).successful
    assert depth_world.spinner.run(node.trigger_configure) == SUCCESS
    parameters = node.parameters
    found = parameters.model, parameters.cloud_stride, parameters.min_depth_m
    assert found == (tiny_model, 4, 50.0)


def test_values_that_contradict_each_other_leave_those_of_the_start_in_force(
    depth_world, tiny_model
):
    limits = {'min_depth_m': 50.0, 'max_depth_m': 20.0}
    of_the_start = {'autostart': False, 'diagnostics_period_s': 0.05}
    node = depth_world.start(active=False, model=tiny_model, **limits, **of_the_start)
    for name, value in of_the_start.items():
        assert getattr(node.parameters, name) == node.get_parameter(name).value == value
    assert 50_000_000 in {timer.timer_period_ns for timer in node.timers}
    depth_world.spinner.run(node.autostart)
    assert depth_world.status().message == 'unconfigured'


def test_a_cleanup_that_fails_leaves_nothing_behind(depth_world, tiny_model, monkeypatch):
    node = depth_world.start(model=tiny_model)

    def broken():
        raise RuntimeError('CUDA error: unknown error')

    monkeypatch.setattr(node.session.processor, 'close', broken)
    run = depth_world.spinner.run
    assert run(node.trigger_deactivate) == SUCCESS
    assert run(node.trigger_cleanup) == SUCCESS
    threads = [thread for thread in threading.enumerate() if thread.name == 'depth']
    assert not threads
    assert not [p for p in node.publishers if p.topic_name == '/depth/image']
    assert run(node.trigger_configure) == SUCCESS


def test_whole_numbers_are_taken_for_real_ones_at_start(depth_world, tiny_model):
    node = depth_world.start(model=tiny_model, max_depth_m=80)
    assert node.get_parameter('max_depth_m').value == 80.0


def test_a_qos_override_of_the_user_is_no_unknown_parameter(depth_world, tiny_model):
    node = depth_world.start(
        model=tiny_model, **{'qos_overrides./depth/image.publisher.reliability': 'best_effort'}
    )
    profiles = node.get_publishers_info_by_topic('/depth/image')
    assert profiles[0].qos_profile.reliability == QoSReliabilityPolicy.BEST_EFFORT


def test_another_quality_of_service_takes_effect_with_the_next_configuration(
    depth_world, tiny_model
):
    override = {'qos_overrides./depth/image.publisher.reliability': 'reliable'}
    node = depth_world.start(model=tiny_model, image_qos='sensor_data', **override)
    run = depth_world.spinner.run
    assert run(node.trigger_deactivate) == SUCCESS
    assert run(node.trigger_cleanup) == SUCCESS
    assert set_parameter(depth_world, 'image_qos', 'reliable').successful
    assert set_parameter(depth_world, 'output_qos', 'best_effort').successful
    assert run(node.trigger_configure) == SUCCESS
    assert run(node.trigger_activate) == SUCCESS
    found = {
        each.topic_name: (each.qos_profile.reliability.name, each.qos_profile.depth)
        for each in (*node.subscriptions, *node.publishers)
    }
    assert found['/image'] == found['/camera_info'] == ('RELIABLE', 1)
    assert found['/depth/points'] == ('BEST_EFFORT', 1)
    assert found['/depth/image'] == ('RELIABLE', 1)


def test_an_activation_that_fails_leaves_no_subscription_behind(depth_world, tiny_model):
    overrides = {'qos_overrides./image.subscription.reliability': 'sometimes'}
    node = depth_world.start(active=False, model=tiny_model, **overrides)
    assert depth_world.spinner.run(node.trigger_configure) == SUCCESS
    assert depth_world.spinner.run(node.trigger_activate) == FAILURE
    assert 'sometimes' in depth_world.status(lambda status: status.level == ERROR).message
    assert '/camera_info' not in {each.topic_name for each in node.subscriptions}


def test_a_configuration_that_fails_leaves_no_publisher_behind(depth_world, tiny_model):
    overrides = {'qos_overrides./depth/image_color.publisher.reliability': 'sometimes'}
    node = depth_world.start(active=False, model=tiny_model, **overrides)
    assert depth_world.spinner.run(node.trigger_configure) == FAILURE
    assert 'sometimes' in depth_world.status(lambda status: status.level == ERROR).message
    assert '/depth/image' not in {each.topic_name for each in node.publishers}


@pytest.mark.parametrize(
    ('name', 'value', 'reason'),
    [
        ('model', '/other.safetensors', 'model can change only while the node is unconfigured'),
        ('min_depth_m', 500.0, 'min_depth_m 500.0 is not below max_depth_m 100.0'),
        ('colormap', 'rainbow', "colormap is 'rainbow'"),
        ('max_depth_m', float('nan'), 'max_depth_m'),
        ('cloud_stride', 65, 'cloud_stride'),
        ('scale', 'big', 'type'),
        ('autostart', False, 'read-only'),
        ('speed', 1.0, 'declared'),
    ],
)
def test_a_parameter_change_is_refused_with_its_reason(
    depth_world, tiny_model, name, value, reason
):
    node = depth_world.start(model=tiny_model)
    before = node.parameters
    result = set_parameter(depth_world, name, value)
    assert not result.successful
    assert reason in result.reason
    assert node.parameters == before


def test_subscriptions_exist_only_while_active(depth_world, tiny_model):
    node = depth_world.start(active=False, model=tiny_model)
    run = depth_world.spinner.run
    topics = lambda: {s.topic_name for s in node.subscriptions}  # noqa: E731
    assert not topics() & {'/image', '/camera_info'}
    run(node.trigger_configure)
    assert not topics() & {'/image', '/camera_info'}
    run(node.trigger_activate)
    assert topics() >= {'/image', '/camera_info'}
    run(node.trigger_deactivate)
    assert not topics() & {'/image', '/camera_info'}


def test_a_remapped_image_is_followed_by_its_compressed_topic(depth_world, tiny_model):
    from monodepth2_ros.nodes.depth_node import DepthNode

    node = DepthNode(
        context=depth_world.context, cli_args=['--ros-args', '-r', 'image:=/cam/image_raw']
    )
    from monodepth2_ros.nodes.inputs import compressed_topic

    assert compressed_topic(node) == '/cam/image_raw/compressed'
    node.destroy_node()


def test_twenty_cycles_leak_nothing(depth_world, tiny_model):
    node = depth_world.start(active=False, model=tiny_model)
    depth_world.listen(Image, 'depth/image')
    camera = Camera(depth_world.node)

    def cycle():
        run = depth_world.spinner.run
        assert run(node.trigger_configure) == SUCCESS
        assert run(node.trigger_activate) == SUCCESS
        camera.wait_for_node()
        published = node.monitor.report(0.0).counts.published
        wait_until(lambda: node.monitor.report(0.0).counts.published > published or resend())
        assert run(node.trigger_deactivate) == SUCCESS
        assert run(node.trigger_cleanup) == SUCCESS

    def resend():
        camera.send(image(), camera_info())

    def usage():
        gc.collect()
        pages = int(Path('/proc/self/statm').read_text().split()[1])
        return pages * os.sysconf('SC_PAGESIZE') / 2**20, threading.active_count(), open_files()

    for _ in range(4):
        cycle()
    memory_mib, threads, files = usage()
    for _ in range(16):
        cycle()
    memory_after_mib, threads_after, files_after = usage()
    assert threads_after == threads
    assert files_after <= files
    assert memory_after_mib - memory_mib < 100.0


def open_files():
    return len(list(Path('/proc/self/fd').iterdir()))


def test_a_silent_camera_is_an_error_until_it_returns(depth_world, tiny_model):
    depth_world.start(model=tiny_model, camera_timeout_s=0.3)
    status = depth_world.status(lambda status: status.level == ERROR)
    assert 'camera silent' in status.message
    assert 'since activation without any image' in status.message
    assert 'nobody publishes /image' in status.message
    depth_world.output('depth/image')
    camera = depth_world.camera()
    timer = depth_world.node.create_timer(0.05, lambda: camera.send(image(), camera_info()))
    depth_world.status(lambda status: status.level == OK)
    timer.cancel()
    silent = depth_world.status(lambda status: status.level == ERROR)
    assert 'since the last image' in silent.message
    timer.reset()
    depth_world.status(lambda status: status.level == OK)


def test_a_publisher_that_cannot_match_is_named_with_the_policy(depth_world, tiny_model):
    depth_world.start(model=tiny_model, image_qos='reliable')
    best_effort = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT)
    Camera(depth_world.node, qos=best_effort)
    status = depth_world.status(lambda status: status.level >= WARN and '/image' in status.message)
    assert 'RELIABILITY' in status.message
    assert 'image_qos' in status.message


def test_a_mismatch_is_over_when_the_partner_is_gone(depth_world, tiny_model):
    depth_world.start(model=tiny_model, output_qos='best_effort', camera_timeout_s=60.0)
    reliable = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.RELIABLE)
    listener = depth_world.listen(Image, 'depth/image', reliable)
    depth_world.status(lambda status: '/depth/image' in status.message)
    listener.close()
    depth_world.status(lambda status: status.level == OK)


def test_a_subscriber_that_cannot_match_is_named_with_the_policy(depth_world, tiny_model):
    depth_world.start(model=tiny_model, output_qos='best_effort')
    reliable = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.RELIABLE)
    depth_world.listen(Image, 'depth/image', reliable)
    status = depth_world.status(lambda status: '/depth/image' in status.message)
    assert 'a subscriber asks for another RELIABILITY' in status.message


def test_deactivation_counts_the_frame_it_throws_away(depth_world, tiny_model):
    node = depth_world.start(model=tiny_model)
    depth_world.output('depth/image')
    camera = depth_world.camera()
    gate, entered = held(node)
    camera.send(image())
    assert entered.wait(30)
    camera.send(image())
    wait_until(lambda: node.monitor.report(0.0).counts.received == 2)
    threading.Timer(0.2, gate.set).start()
    depth_world.spinner.run(node.trigger_deactivate)
    status = depth_world.wait_figure('dropped: node deactivated', '1')
    assert figures(status)['frames in flight'] == '0'
    assert figures(status)['frames published'] == '1'


def test_a_release_while_ros_is_shut_down_leaves_a_busy_worker_behind(depth_world, tiny_model):
    node = depth_world.start(model=tiny_model)
    depth_world.output('depth/image')
    camera = depth_world.camera()
    gate, entered = threading.Event(), threading.Event()

    def stuck(frame):
        entered.set()
        assert gate.wait(30)

    node.session.processor.answer = stuck
    camera.send(image())
    assert entered.wait(30)
    threading.Timer(0.2, depth_world.context.try_shutdown).start()
    assert not node.release()
    gate.set()
