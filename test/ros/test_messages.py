# SPDX-License-Identifier: Apache-2.0
"""Messages carry the core's values exactly, by hand values and round trips."""

from __future__ import annotations

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, PointField, RegionOfInterest
from std_msgs.msg import Header
from support.ros_camera import image

from monodepth2_ros.geometry.camera import PinholeCamera, Window
from monodepth2_ros.inference.point_cloud import LAYOUTS, PackedCloud
from monodepth2_ros.nodes import messages


@pytest.fixture
def header():
    header = Header(frame_id='camera')
    header.stamp.sec, header.stamp.nanosec = 12, 34
    return header


def test_the_stamp_in_nanoseconds(header):
    assert messages.stamp_ns(header) == 12_000_000_034


def test_a_raw_image_shares_the_bytes_of_its_message():
    message = image()
    raw = messages.raw_image(message)
    pixels = np.frombuffer(raw.data, np.uint8)
    message.data[5] = 77
    assert pixels[5] == 77
    assert (raw.width, raw.height, raw.encoding, raw.step) == (80, 60, 'rgb8', 240)


def test_an_image_survives_the_way_to_a_message_and_back():
    raw = messages.raw_image(image())
    again = messages.raw_image(messages.image_message(raw))
    assert again == raw


def test_a_camera_info_becomes_a_calibration_of_the_same_values():
    message = CameraInfo(width=8, height=6, distortion_model='rational_polynomial')
    message.d = [0.1] * 8
    message.k = [float(v) for v in range(9)]
    message.r = [float(v) for v in range(10, 19)]
    message.p = [float(v) for v in range(20, 32)]
    message.binning_x, message.binning_y = 2, 3
    message.roi = RegionOfInterest(x_offset=1, y_offset=2, width=3, height=4)
    found = messages.calibration(message)
    assert (found.width, found.height, found.distortion_model) == (8, 6, 'rational_polynomial')
    assert found.D == (0.1,) * 8
    assert tuple(range(9)) == found.K
    assert tuple(range(10, 19)) == found.R
    assert tuple(range(20, 32)) == found.P
    assert (found.binning_x, found.binning_y) == (2, 3)
    assert found.roi == Window(x=1, y=2, width=3, height=4)


def test_a_camera_becomes_the_camera_info_of_an_image_without_distortion(header):
    camera = PinholeCamera(
        width=8, height=6, fx_px=5.0, fy_px=6.0, cx_px=3.5, cy_px=2.5, tx_px_m=-0.7
    )
    message = messages.camera_info_message(camera, header)
    assert message.header == header
    assert list(message.k) == [5.0, 0.0, 3.5, 0.0, 6.0, 2.5, 0.0, 0.0, 1.0]
    assert list(message.p) == [5.0, 0.0, 3.5, -0.7, 0.0, 6.0, 2.5, 0.0, 0.0, 0.0, 1.0, 0.0]
    assert (list(message.d), message.distortion_model) == ([0.0] * 5, 'plumb_bob')
    assert (message.binning_x, message.roi.width) == (0, 0)
    assert messages.calibration(message).checked().rectified_camera() == camera


def test_depth_in_metres_keeps_its_marks(header):
    depth = np.array([[1.5, np.nan], [np.inf, -np.inf]], np.float32)
    message = messages.depth_message(depth, header)
    assert (message.encoding, message.step, message.width, message.height) == ('32FC1', 8, 2, 2)
    np.testing.assert_array_equal(np.frombuffer(message.data, np.float32).reshape(2, 2), depth)
    assert message.header == header


def test_depth_in_millimetres_has_two_bytes_a_pixel(header):
    message = messages.depth_message(np.array([[1, 2, 65535]], np.uint16), header)
    assert (message.encoding, message.step, len(message.data)) == ('16UC1', 6, 6)


def test_a_strided_picture_is_packed(header):
    color = np.arange(2 * 8 * 3, dtype=np.uint8).reshape(2, 8, 3)[:, ::2]
    message = messages.color_message(color, header)
    assert (message.encoding, message.step, message.width) == ('bgr8', 12, 4)
    np.testing.assert_array_equal(np.frombuffer(message.data, np.uint8).reshape(2, 4, 3), color)


def test_the_cloud_has_the_layout_of_depth_image_proc(header):
    points = np.arange(2 * 3 * 32, dtype=np.uint8).reshape(2, 96)
    message = messages.cloud_message(PackedCloud(data=points, layout=LAYOUTS['xyzrgb']), header)
    layout = [(f.name, f.offset, f.datatype, f.count) for f in message.fields]
    assert layout == [
        ('x', 0, PointField.FLOAT32, 1),
        ('y', 4, PointField.FLOAT32, 1),
        ('z', 8, PointField.FLOAT32, 1),
        ('rgb', 16, PointField.FLOAT32, 1),
    ]
    assert (message.width, message.height) == (3, 2)
    assert (message.point_step, message.row_step) == (32, 96)
    assert not message.is_dense
    assert bytes(message.data) == points.tobytes()


def test_a_cloud_without_colour_has_three_fields_in_twelve_bytes(header):
    points = PackedCloud(data=np.zeros((2, 36), np.uint8), layout=LAYOUTS['xyz'])
    message = messages.cloud_message(points, header)
    assert [(f.name, f.offset) for f in message.fields] == [('x', 0), ('y', 4), ('z', 8)]
    assert (message.width, message.point_step, message.row_step) == (3, 12, 36)


def test_a_message_that_was_sent_is_filled_anew_in_its_own_memory(header):
    used = messages.depth_message(np.ones((2, 3), np.float32), header)
    memory = used.data
    again = messages.depth_message(np.full((3, 2), 7.0, np.float32), header, used)
    assert again is used
    assert again.data is memory
    assert (again.width, again.height, again.step) == (2, 3, 8)
    assert np.frombuffer(again.data, np.float32).tolist() == [7.0] * 6


def test_a_message_of_another_size_gets_new_memory(header):
    used = messages.depth_message(np.ones((2, 3), np.float32), header)
    again = messages.depth_message(np.array([[1, 2]], np.uint16), header, used)
    assert (again.encoding, bytes(again.data)) == ('16UC1', b'\1\0\2\0')
