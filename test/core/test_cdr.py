# SPDX-License-Identifier: Apache-2.0
"""Camera messages in CDR: what is written is read back, and damage is an error of its own."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.make_bag import CALIBRATION, camera_info, image

from monodepth2_ros.errors import RecordingError
from monodepth2_ros.geometry.camera import CameraCalibration, Window
from monodepth2_ros.images import RawImage
from monodepth2_ros.recordings import Message, cdr
from monodepth2_ros.recordings.messages import (
    CAMERA_INFO_TYPE,
    COMPRESSED_IMAGE_TYPE,
    IMAGE_TYPE,
    normal_type,
)

STAMP_NS = 1_600_000_000_123_456_789
STAMPS = st.integers(0, 2**31 * 10**9 - 1)


def message(data: bytes, kind: str = IMAGE_TYPE) -> Message:
    return Message(topic='/a', type=kind, stamp_ns=7, data=data)


def big_endian_header(stamp_ns: int, frame_id: str) -> bytes:
    text = frame_id.encode() + b'\0'
    seconds, nanoseconds = divmod(stamp_ns, 10**9)
    return b'\0\0\0\0' + struct.pack('>iII', seconds, nanoseconds, len(text)) + text


@given(stamp_ns=STAMPS, frame_id=st.text(st.characters(codec='utf-8', exclude_characters='\0')))
def test_header_of_either_byte_order_is_read(stamp_ns: int, frame_id: str) -> None:
    pixels = np.zeros((1, 1, 3), np.uint8)
    little = cdr.image(pixels, encoding='rgb8', stamp_ns=stamp_ns, frame_id=frame_id)
    for data in (little, big_endian_header(stamp_ns, frame_id)):
        assert cdr.header_stamp_ns(data) == stamp_ns
        assert cdr.header_frame_id(data) == frame_id


@pytest.mark.parametrize('representation', [1, 3, 7, 9, 11])
def test_every_little_endian_representation_has_its_frame_in_that_order(
    representation: int,
) -> None:
    data = bytes([0, representation]) + image(0, STAMP_NS)[2:]
    assert cdr.header_stamp_ns(data) == STAMP_NS
    assert cdr.header_frame_id(data) == 'camera'


@given(first_ns=STAMPS, second_ns=STAMPS)
def test_a_new_stamp_changes_the_stamp_alone_in_either_byte_order(
    first_ns: int, second_ns: int
) -> None:
    rest = b'and what follows'
    for data in (image(0, first_ns), big_endian_header(first_ns, 'camera') + rest):
        patched = cdr.restamped(data, second_ns)
        assert cdr.header_stamp_ns(patched) == second_ns
        assert patched[:4] + patched[12:] == data[:4] + data[12:]


@pytest.mark.parametrize('size', [0, 1, 12, 15, 16, 22])
def test_a_frame_that_is_cut_off_is_refused(size: int) -> None:
    with pytest.raises(RecordingError, match=f'a message of {size} bytes holds no frame_id'):
        cdr.header_frame_id(image(0, STAMP_NS)[:size])


@given(data=st.data())
def test_a_message_that_is_cut_off_anywhere_is_an_error_of_the_recording(
    data: st.DataObject,
) -> None:
    whole, kind = data.draw(
        st.sampled_from(
            [(image(0, STAMP_NS), IMAGE_TYPE), (camera_info(STAMP_NS), CAMERA_INFO_TYPE)]
        )
    )
    size = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(RecordingError, match=rf'/a: {size} bytes at 7 ns are no {kind}'):
        cdr.parse(message(whole[:size], kind))


@given(garbage=st.binary(max_size=200))
def test_garbage_is_read_or_refused_and_nothing_else(garbage: bytes) -> None:
    for kind in (IMAGE_TYPE, COMPRESSED_IMAGE_TYPE, CAMERA_INFO_TYPE):
        try:
            cdr.parse(message(b'\0\1\0\0' + garbage, kind))
        except RecordingError as err:
            assert str(err).startswith('/a: ')


def test_a_message_type_that_nobody_defined_is_named() -> None:
    with pytest.raises(RecordingError, match="/a: no definition of the message type 'my/msg/Own'"):
        cdr.parse(message(b'', 'my/msg/Own'))


def test_what_is_no_image_is_not_taken_for_one() -> None:
    with pytest.raises(RecordingError, match='holds sensor_msgs/msg/CameraInfo, expected camera'):
        cdr.parse_image(message(camera_info(STAMP_NS), CAMERA_INFO_TYPE))


@pytest.mark.parametrize(
    ('pixels', 'encoding', 'step'),
    [
        (np.arange(24, dtype=np.uint8).reshape(2, 4, 3), 'rgb8', 12),
        (np.arange(8, dtype=np.uint16).reshape(2, 4), 'mono16', 8),
        (np.linspace(0, 1, 8, dtype=np.float32).reshape(2, 4), '32FC1', 16),
        (np.arange(48, dtype=np.uint8).reshape(2, 8, 3)[:, ::2], 'bgr8', 12),
    ],
)
def test_pixels_of_any_type_and_layout_come_back(
    pixels: np.ndarray, encoding: str, step: int
) -> None:
    written = cdr.image(pixels, encoding=encoding, stamp_ns=STAMP_NS, frame_id='camera')
    found = cdr.parse_image(message(written))
    assert isinstance(found, RawImage)
    assert (found.height, found.width, found.step) == (2, 4, step)
    assert (found.encoding, found.is_bigendian) == (encoding, False)
    assert np.asarray(found.data).tobytes() == pixels.tobytes()


@pytest.mark.parametrize(
    'calibration',
    [
        CALIBRATION,
        CameraCalibration(
            width=640,
            height=480,
            distortion_model='rational_polynomial',
            D=(0.1, -0.2, 1e-3, -1e-3, 0.05, 0.0, 0.01, 0.0),
            K=(500.0, 0.0, 320.5, 0.0, 505.0, 240.25, 0.0, 0.0, 1.0),
            P=(480.0, 0.0, 318.0, -57.6, 0.0, 480.0, 241.0, 0.0, 0.0, 0.0, 1.0, 0.0),
            binning_x=2,
            binning_y=2,
            roi=Window(x=10, y=20, width=600, height=400),
        ),
    ],
)
def test_every_field_of_a_calibration_comes_back(calibration: CameraCalibration) -> None:
    data = cdr.camera_info(calibration, stamp_ns=STAMP_NS, frame_id='camera')
    assert cdr.parse_calibration(message(data, CAMERA_INFO_TYPE)) == calibration


@pytest.mark.parametrize(
    ('given_', 'normal'),
    [
        ('sensor_msgs/Image', 'sensor_msgs/msg/Image'),
        ('sensor_msgs/msg/Image', 'sensor_msgs/msg/Image'),
        ('Image', 'Image'),
    ],
)
def test_message_types_are_spelled_as_ros_2_does(given_: str, normal: str) -> None:
    assert normal_type(given_) == normal
