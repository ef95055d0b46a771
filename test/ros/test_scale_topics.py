# SPDX-License-Identifier: Apache-2.0
"""The scale on ROS topics, through real DDS."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.parameter import Parameter
from support.ros_camera import camera_info, image

from monodepth2_ros.nodes.diagnostics import UNKNOWN_SCALE


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
