# SPDX-License-Identifier: Apache-2.0
"""Once frames fail in a row the model is loaded afresh, or the process ends for a restart."""

from __future__ import annotations

import threading

import pytest
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from support.depth_world import SUCCESS, answer
from support.ros_camera import camera_info, image
from support.ros_harness import wait_until
from support.tiny_model import write_tiny_model

from monodepth2_ros.errors import DeviceError, ModelFileError
from monodepth2_ros.monitoring import Drop
from monodepth2_ros.nodes import depth_session

FAILURE = TransitionCallbackReturn.FAILURE


def send_one_by_one(camera, node, cause, count):
    """Send that many images, each once the one before has been dropped for ``cause``."""
    for number in range(1, count + 1):
        camera.send(image())
        wait_until(lambda n=number: node.monitor.report(0.0).counts.dropped.get(cause) == n)


def test_ten_internal_errors_in_a_row_reload_the_model(depth_world, tiny_model, logged):
    node = depth_world.start(model=tiny_model)
    depth = depth_world.output('depth/image')
    camera = depth_world.camera()
    answer(depth, camera.send(image()))
    broken = node.session.processor.estimator
    broken.close()
    send_one_by_one(camera, node, Drop.FAILED, 10)
    assert 'reloading the model' in logged('10 frames in a row failed')
    answer(depth, camera.send(image()))
    assert node.session.processor.estimator is not broken
    assert not node.finished.is_set()


def test_a_model_that_fails_for_ever_ends_the_process_for_a_restart(depth_world, tiny_model):
    node = depth_world.start(model=tiny_model)
    depth_world.output('depth/image')
    camera = depth_world.camera()
    processor = node.session.processor

    def broken(frame):
        raise ZeroDivisionError('broken')

    processor.answer = broken
    send_one_by_one(camera, node, Drop.FAILED, 40)
    wait_until(node.finished.is_set)
    assert node.exit_code == 1


def test_a_lost_gpu_ends_the_process_at_once(depth_world, tiny_model):
    node = depth_world.start(model=tiny_model)
    depth_world.output('depth/image')
    camera = depth_world.camera()

    def lost(frame):
        raise DeviceError('cuda:0 failed while inference: CUDA error: device-side assert')

    node.session.processor.answer = lost
    camera.send(image())
    wait_until(node.finished.is_set)
    assert node.exit_code == 1


@pytest.fixture
def failing_loads(monkeypatch):
    """Lets loading fail that many times, once the list has a number."""
    load, left = depth_session.load, [0]

    def load_or_fail(*arguments):
        if left[0] > 0:
            left[0] -= 1
            raise ModelFileError('the disk is gone')
        return load(*arguments)

    monkeypatch.setattr(depth_session, 'load', load_or_fail)
    return left


def test_a_reload_that_fails_is_tried_again(depth_world, tiny_model, logged, failing_loads):
    node = depth_world.start(model=tiny_model)
    depth = depth_world.output('depth/image')
    camera = depth_world.camera()
    failing_loads[0] = 1
    node.session.processor.estimator.close()
    send_one_by_one(camera, node, Drop.FAILED, 20)
    assert 'the disk is gone' in logged('the model cannot be loaded')
    answer(depth, camera.send(image()))


def test_a_model_that_cannot_be_loaded_again_ends_the_process(
    depth_world, tiny_model, failing_loads
):
    node = depth_world.start(model=tiny_model)
    depth_world.output('depth/image')
    camera = depth_world.camera()
    failing_loads[0] = 99
    node.session.processor.estimator.close()
    send_one_by_one(camera, node, Drop.FAILED, 40)
    wait_until(node.finished.is_set)
    assert node.exit_code == 1


@pytest.mark.parametrize('broken', ['load', 'ScaleTopics'])
def test_an_error_that_nobody_expected_fails_the_configuration_with_its_name(
    depth_world, tiny_model, monkeypatch, broken
):
    def fail(*arguments):
        raise ValueError('odd')

    node = depth_world.start(active=False, model=tiny_model)
    with monkeypatch.context() as patch:
        patch.setattr(depth_session, broken, fail)
        assert depth_world.spinner.run(node.trigger_configure) == FAILURE
    status = depth_world.status(lambda status: status.level == b'\x02')
    assert 'configure failed: ValueError: odd' in status.message
    assert 'depth' not in {thread.name for thread in threading.enumerate()}
    assert '/depth/image' not in {each.topic_name for each in node.publishers}
    assert depth_world.spinner.run(node.trigger_configure) == SUCCESS


def test_what_is_set_while_the_model_is_reloaded_holds(depth_world, tiny_model, monkeypatch):
    node = depth_world.start(model=tiny_model)
    points = depth_world.output('depth/points')
    camera = depth_world.camera()
    load = depth_session.load

    def load_beside_a_change(*arguments):
        loaded = load(*arguments)
        node.set_parameters([Parameter('cloud_stride', value=4), Parameter('scale', value=3.0)])
        return loaded

    monkeypatch.setattr(depth_session, 'load', load_beside_a_change)
    node.session.processor.estimator.close()
    send_one_by_one(camera, node, Drop.FAILED, 10)
    assert answer(points, camera.send(image(), camera_info())).width == 20
    assert node.session.processor.keeper.scale == 3.0


def test_a_reload_keeps_what_was_learnt_about_the_scale(depth_world, tiny_model):
    node = depth_world.start(model=tiny_model)
    depth = depth_world.output('depth/image')
    camera = depth_world.camera()
    keeper = node.session.processor.keeper
    node.session.processor.estimator.close()
    send_one_by_one(camera, node, Drop.FAILED, 10)
    answer(depth, camera.send(image()))
    assert node.session.processor.keeper is keeper


def configure_anew(depth_world, **parameters):
    node, run = depth_world.depth_node, depth_world.spinner.run
    for transition in (node.trigger_deactivate, node.trigger_cleanup):
        assert run(transition) == SUCCESS
    values = [Parameter(name, value=value) for name, value in parameters.items()]
    assert all(result.successful for result in run(lambda: node.set_parameters(values)))
    for transition in (node.trigger_configure, node.trigger_activate):
        assert run(transition) == SUCCESS
    return node.session.processor.keeper


def test_the_same_model_configured_anew_keeps_what_was_learnt_about_the_scale(
    depth_world, tiny_model
):
    node = depth_world.start(model=tiny_model)
    keeper = node.session.processor.keeper
    assert configure_anew(depth_world, scale=2.0) is keeper
    assert keeper.scale == 2.0


def test_another_model_learns_its_scale_afresh(depth_world, tiny_model, tmp_path):
    node = depth_world.start(model=tiny_model)
    keeper = node.session.processor.keeper
    other = write_tiny_model(tmp_path / 'other.safetensors', width=128)
    assert configure_anew(depth_world, model=str(other)) is not keeper


def test_failures_of_an_earlier_activation_are_no_fault_of_this_one(depth_world, tiny_model):
    node = depth_world.start(model=tiny_model)
    depth_world.output('depth/image')
    camera = depth_world.camera()
    node.session.processor.estimator.close()
    send_one_by_one(camera, node, Drop.FAILED, 10)
    depth_world.status(lambda status: 'frames in a row failed' in status.message)
    configure_anew(depth_world)
    assert 'failed' not in depth_world.status().message
