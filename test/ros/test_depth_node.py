# SPDX-License-Identifier: Apache-2.0
"""The depth node answers every kind of image with consistent outputs, through real DDS."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage
from std_srvs.srv import SetBool
from support.depth_world import KINDS, answer, figures
from support.ros_camera import camera_info, image


def depth_of(message):
    kind = {'32FC1': np.float32, '16UC1': np.uint16}[message.encoding]
    return np.frombuffer(message.data, kind).reshape(message.height, message.width)


def cloud_of(message):
    offsets = {field.name: field.offset for field in message.fields}
    layout = np.dtype(
        {
            'names': ['x', 'y', 'z', 'bgr'],
            'formats': ['<f4', '<f4', '<f4', '(3,)u1'],
            'offsets': [offsets['x'], offsets['y'], offsets['z'], offsets['rgb']],
            'itemsize': message.point_step,
        }
    )
    return np.frombuffer(message.data, layout).reshape(message.height, message.width)


def test_all_outputs_carry_the_stamp_and_frame_of_the_image(depth_world, tiny_model):
    depth_world.start(model=tiny_model)
    outputs = {topic: depth_world.output(topic) for topic in KINDS}
    camera = depth_world.camera()
    stamp = camera.send(image(), camera_info())
    for topic, listener in outputs.items():
        assert answer(listener, stamp).header.frame_id == 'camera_optical', topic


def test_the_outputs_of_one_frame_agree_with_each_other(depth_world, tiny_model):
    depth_world.start(model=tiny_model)
    outputs = [depth_world.output(topic) for topic in KINDS]
    camera = depth_world.camera()
    message = image()
    stamp = camera.send(message, camera_info())
    depth_message, info, cloud_message, color = (answer(each, stamp) for each in outputs)

    depth = depth_of(depth_message)
    assert (depth_message.encoding, depth_message.step) == ('32FC1', 4 * 80)
    assert depth.shape == (60, 80)
    assert np.isfinite(depth).any()
    assert (color.encoding, color.width, color.height, color.step) == ('bgr8', 80, 60, 240)
    assert (info.width, info.height, info.distortion_model) == (80, 60, 'plumb_bob')
    assert list(info.k) == list(camera_info().k)
    assert list(info.p) == list(camera_info().p)

    cloud = cloud_of(cloud_message)
    assert cloud.shape == (60, 80)
    assert (cloud_message.point_step, cloud_message.is_dense) == (32, False)
    good = np.isfinite(depth)
    np.testing.assert_array_equal(cloud['z'][good], depth[good])
    assert np.isnan(cloud['z'][~good]).all()
    row, column = 17, 53
    ray_x = (column - info.k[2]) / info.k[0]
    assert cloud['x'][row, column] == pytest.approx(ray_x * depth[row, column], rel=1e-5)
    rgb = np.frombuffer(message.data, np.uint8).reshape(60, 80, 3)
    np.testing.assert_array_equal(cloud['bgr'][..., ::-1][good], rgb[good])


def test_sensor_msgs_py_reads_the_cloud(depth_world, tiny_model):
    point_cloud2 = pytest.importorskip(
        'sensor_msgs_py.point_cloud2', reason='sensor_msgs_py is not on PyPI; needs a full ROS 2'
    )
    depth_world.start(model=tiny_model)
    points = depth_world.output('depth/points')
    stamp = depth_world.camera().send(image(), camera_info())
    cloud = answer(points, stamp)
    read = point_cloud2.read_points(cloud, field_names=('x', 'y', 'z', 'rgb'))
    assert len(read) == 60 * 80


def test_every_layout_of_pixels_is_answered(depth_world, tiny_model):
    depth_world.start(model=tiny_model)
    depth = depth_world.output('depth/image')
    camera = depth_world.camera()
    bytes_of = {'bgr8': 3, 'rgba8': 4, 'mono8': 1, 'mono16': 2, 'bayer_rggb8': 1, 'yuv422': 2}
    for encoding, pixel_bytes in bytes_of.items():
        stamp = camera.send(image(encoding=encoding, pixel_bytes=pixel_bytes))
        assert depth_of(answer(depth, stamp)).shape == (60, 80), encoding


def test_a_compressed_image_is_answered(depth_world, tiny_model):
    depth_world.start(model=tiny_model, image_transport='compressed')
    depth = depth_world.output('depth/image')
    camera = depth_world.camera(kind=CompressedImage, topic='image/compressed')
    pixels = np.random.default_rng(3).integers(0, 256, (60, 80, 3), np.uint8)
    jpeg = cv2.imencode('.jpg', pixels)[1].tobytes()
    stamp = camera.send(CompressedImage(format='bgr8; jpeg compressed bgr8', data=jpeg))
    assert depth_of(answer(depth, stamp)).shape == (60, 80)


def test_a_distorted_image_is_rectified_and_its_edges_are_unknown(depth_world, tiny_model):
    depth_world.start(model=tiny_model)
    depth = depth_world.output('depth/image')
    infos = depth_world.output('depth/camera_info')
    stamp = depth_world.camera().send(image(), camera_info(d=[0.3, 0.1, 0.0, 0.0, 0.0]))
    info = answer(infos, stamp)
    assert list(info.d) == [0.0] * 5
    assert list(info.r) == [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    assert np.isnan(depth_of(answer(depth, stamp))[0, 0])


def test_without_calibration_there_is_depth_but_no_cloud(depth_world, tiny_model):
    depth_world.start(model=tiny_model)
    depth, points, info = (
        depth_world.output(t) for t in ('depth/image', 'depth/points', 'depth/camera_info')
    )
    camera = depth_world.camera()
    first = camera.send(image())
    answer(depth, first)
    assert 'no calibration' in depth_world.status(lambda s: s.level == b'\x01').message
    second = camera.send(image(), camera_info())
    answer(points, second)
    answer(info, second)
    assert len(points.messages) == len(info.messages) == 1


def test_live_parameters_change_the_next_frame(depth_world, tiny_model):
    depth_world.start(model=tiny_model)
    depth = depth_world.output('depth/image')
    points = depth_world.output('depth/points')
    camera = depth_world.camera()
    before = depth_of(answer(depth, camera.send(image(), camera_info())))
    changes = [
        Parameter('depth_encoding', value='16UC1'),
        Parameter('scale', value=2.0),
        Parameter('cloud_stride', value=4),
    ]
    request = SetParametersAtomically.Request(parameters=[c.to_parameter_msg() for c in changes])
    response = depth_world.call(
        SetParametersAtomically, '/depth_node/set_parameters_atomically', request
    )
    assert response.result.successful, response.result.reason
    stamp = camera.send(image(), camera_info())
    after = answer(depth, stamp)
    assert after.encoding == '16UC1'
    finite = np.isfinite(before) & (before < 40)
    np.testing.assert_allclose(depth_of(after)[finite], 2000 * before[finite], atol=1)
    cloud = answer(points, stamp)
    assert (cloud.width, cloud.height) == (20, 15)


def test_the_enable_service_pauses_and_resumes(depth_world, tiny_model):
    depth_world.start(model=tiny_model)
    depth = depth_world.output('depth/image')
    camera = depth_world.camera()
    answer(depth, camera.send(image()))
    paused = depth_world.call(SetBool, '/depth_node/enable', SetBool.Request(data=False))
    assert (paused.success, paused.message) == (True, 'paused: frames are dropped')
    camera.send(image())
    depth_world.wait_figure('dropped: disabled by service', '1')
    assert len(depth.messages) == 1
    depth_world.call(SetBool, '/depth_node/enable', SetBool.Request(data=True))
    answer(depth, camera.send(image()))


def test_nothing_is_computed_while_nobody_listens(depth_world, tiny_model):
    depth_world.start(model=tiny_model)
    camera = depth_world.camera()
    for count in ('1', '2', '3'):
        camera.send(image())
        status = depth_world.wait_figure('dropped: nobody listens', count)
    assert figures(status)['frames published'] == '0'
    assert not any(key.startswith('stage') for key in figures(status))


def test_diagnostics_name_the_model_the_device_and_the_unknown_scale(depth_world, tiny_model):
    depth_world.start(model=tiny_model)
    status = depth_world.status()
    assert status.name == 'depth_node: depth'
    values = figures(status)
    assert values['model'] == tiny_model
    assert len(values['model sha256']) == 64
    assert values['scale'] == 'relative depth: scale unknown'
    assert 'scale unknown' in status.message
    assert values['device'].startswith(('cpu', 'cuda'))
    assert values['device reason']
