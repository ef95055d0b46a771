# SPDX-License-Identifier: Apache-2.0
"""The scale on ROS topics, through real DDS."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TransformStamped
from rclpy.parameter import Parameter
from support.ros_camera import camera_info, image

from monodepth2_ros.nodes import scale_topics
from monodepth2_ros.nodes.diagnostics import UNKNOWN_SCALE
from monodepth2_ros.nodes.message_types import playing_qos


def values(message: DiagnosticArray) -> dict[str, str]:
    return {item.key: item.value for item in message.status[0].values}


def test_a_model_without_scale_says_unknown_and_a_parameter_changes_that(depth_world, tiny_model):
    depth_world.start(model=tiny_model)
    scale = depth_world.listen(DiagnosticArray, 'depth/scale')
    depth_world.output('depth/image')
    depth_world.camera().send(image(), camera_info())
    first = scale.wait()
    assert values(first)['value'] == 'unknown'
    assert UNKNOWN_SCALE.startswith('relative depth')
    assert 'relative depth' in first.status[0].message
    change = [Parameter('scale', value=2.5)]
    depth_world.spinner.run(lambda: depth_world.depth_node.set_parameters(change))
    known = scale.wait(lambda message: values(message)['value'] == '2.5')
    assert values(known)['source'] == 'parameter'
    assert known.status[0].message == '2.5 by parameter'


def test_ground_plane_without_a_height_is_frozen_with_the_reason(depth_world, tiny_model):
    depth_world.start(model=tiny_model, scale_source='ground_plane')
    scale = depth_world.listen(DiagnosticArray, 'depth/scale')
    depth_world.output('depth/image')
    depth_world.camera().send(image(), camera_info())
    message = scale.wait(lambda m: 'set camera_height_m' in values(m)['frozen'])
    assert values(message)['value'] == 'unknown'


def _mounting() -> TransformStamped:
    """A camera 1.5 m above the ground that looks ahead."""
    message = TransformStamped(child_frame_id='camera_optical')
    message.header.frame_id = 'base_footprint'
    message.transform.translation.z = 1.5
    turn = message.transform.rotation
    turn.x, turn.y, turn.z, turn.w = -0.5, 0.5, -0.5, 0.5
    return message


def _wait_for_the_height(depth_world, tiny_model) -> None:
    """Images come until one is judged with the height: the first may overtake the transform."""
    depth_world.start(model=tiny_model, scale_source='ground_plane')
    scale = depth_world.listen(DiagnosticArray, 'depth/scale')
    depth_world.output('depth/image')
    camera = depth_world.camera()
    depth_world.node.create_timer(0.1, lambda: camera.send(image(), camera_info()))
    scale.wait(lambda m: m.status[0].hardware_id and 'camera_height_m' not in values(m)['frozen'])


def test_camera_height_comes_from_tf_static(depth_world, tiny_model):
    tf2_msgs = pytest.importorskip('tf2_msgs.msg', reason='tf2_msgs is not installed')
    qos = playing_qos(latched=True)
    publisher = depth_world.node.create_publisher(tf2_msgs.TFMessage, '/tf_static', qos)
    publisher.publish(tf2_msgs.TFMessage(transforms=[_mounting()]))
    _wait_for_the_height(depth_world, tiny_model)


def test_odometry_is_listened_to_only_where_the_scale_is_measured_by_it(depth_world, tiny_model):
    node = depth_world.start(model=tiny_model)

    def listens() -> bool:
        return any(s.topic_name == '/odom' for s in node.subscriptions)

    assert not listens()
    change = [Parameter('scale_source', value='odometry')]
    depth_world.spinner.run(lambda: node.set_parameters(change))
    assert listens()
    depth_world.spinner.run(node.trigger_deactivate)
    assert not listens()
    depth_world.spinner.run(node.trigger_activate)
    assert listens()
    change = [Parameter('scale_source', value='model')]
    depth_world.spinner.run(lambda: node.set_parameters(change))
    assert not listens()


@pytest.fixture
def single_transforms(monkeypatch) -> None:
    """A single transform is the message on /tf_static: tf2_msgs is not everywhere."""
    take = scale_topics.ScaleTopics._on_transforms

    def take_one(topics: scale_topics.ScaleTopics, message: TransformStamped) -> None:
        take(topics, SimpleNamespace(transforms=[message]))

    monkeypatch.setattr(scale_topics, '_TF', 'geometry_msgs/msg/TransformStamped')
    monkeypatch.setattr(scale_topics.ScaleTopics, '_on_transforms', take_one)


@pytest.mark.usefixtures('single_transforms')
def test_of_many_latched_transforms_none_is_lost(depth_world, tiny_model):
    for number in range(40):
        publisher = depth_world.node.create_publisher(
            TransformStamped, '/tf_static', playing_qos(latched=True)
        )
        link = _mounting()
        if number:
            link.child_frame_id = f'wheel_{number}'
        publisher.publish(link)
    depth_world.start(model=tiny_model, scale_source='ground_plane')
    depth_world.output('depth/image')
    camera = depth_world.camera()
    timer = depth_world.node.create_timer(0.1, lambda: camera.send(image(), camera_info()))
    depth_world.wait_figure('camera mounting', '1.500 m above base_footprint')
    timer.cancel()


@pytest.mark.usefixtures('single_transforms')
def test_camera_height_comes_from_a_latched_transform(depth_world, tiny_model):
    qos = playing_qos(latched=True)
    publisher = depth_world.node.create_publisher(TransformStamped, '/tf_static', qos)
    publisher.publish(_mounting())
    _wait_for_the_height(depth_world, tiny_model)
