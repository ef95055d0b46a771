# SPDX-License-Identifier: Apache-2.0
"""Clouds and depth images of other people's drivers: fields, types, paddings, times, damage."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from monodepth2_training.evaluation.depth_messages import depth_of
from monodepth2_training.evaluation.scans import CLOUD_TYPE, read_scan

from monodepth2_ros.errors import RecordingError
from monodepth2_ros.recordings import Message, cdr
from monodepth2_ros.recordings.messages import COMPRESSED_IMAGE_TYPE, IMAGE_TYPE

STAMP_NS = 1_600_000_000 * 10**9
TYPES = cdr.typestore().types
DATATYPES = {'i1': 1, 'u1': 2, 'i2': 3, 'u2': 4, 'i4': 5, 'u4': 6, 'f4': 7, 'f8': 8}
XYZ = [('x', '<f4'), ('y', '<f4'), ('z', '<f4')]


def cloud(values: np.ndarray, *, rows: int = 1, row_padding: int = 0, **changes: Any) -> Message:
    """A ``PointCloud2`` of a structured array [N], in so many rows with padding after each."""
    fields = [
        TYPES['sensor_msgs/msg/PointField'](
            name=name, offset=place[1], datatype=DATATYPES[place[0].str[1:]], count=1
        )
        for name, place in (values.dtype.fields or {}).items()
    ]
    step = values.dtype.itemsize
    packed = values.reshape(rows, -1).view(np.uint8).reshape(rows, -1)
    padded = np.pad(packed, ((0, 0), (0, row_padding)))
    content = {
        'header': cdr.header(STAMP_NS, 'lidar'),
        'height': rows,
        'width': len(values) // rows,
        'fields': fields,
        'is_bigendian': bool(values.dtype[0].str.startswith('>')),
        'point_step': step,
        'row_step': padded.shape[1],
        'data': padded.reshape(-1),
        'is_dense': True,
    }
    return message(TYPES[CLOUD_TYPE](**content | changes), CLOUD_TYPE)


def message(content: Any, kind: str) -> Message:
    return Message(topic='/t', type=kind, stamp_ns=7, data=cdr.serialize(content, kind))


def points(count: int, fields: Any = None) -> np.ndarray:
    values = np.zeros(count, np.dtype(fields or XYZ))
    values['x'] = np.arange(count)
    if 'z' in (values.dtype.names or ()):
        values['z'] = 0.5
    return values


@pytest.mark.parametrize(
    'fields',
    [
        XYZ,
        [('x', '>f4'), ('y', '>f4'), ('z', '>f4')],
        [('x', '<f8'), ('y', '<f8'), ('z', '<f8')],
        [('intensity', 'u1'), ('z', '<f4'), ('y', '<f4'), ('x', '<f4'), ('ring', '<u2')],
        {'names': ['x', 'y', 'z'], 'formats': ['<f4'] * 3, 'offsets': [0, 4, 8], 'itemsize': 16},
    ],
)
@pytest.mark.parametrize(('rows', 'row_padding'), [(1, 0), (3, 0), (3, 5)])
def test_points_are_found_in_any_layout(fields: Any, rows: int, row_padding: int) -> None:
    scan = read_scan(cloud(points(6, fields), rows=rows, row_padding=row_padding))
    assert scan.points.tolist() == [[float(i), 0.0, 0.5] for i in range(6)]
    assert (scan.stamp_ns, scan.times_ns) == (STAMP_NS, None)


@pytest.mark.parametrize('rows', [0, 1])
def test_a_scan_that_saw_nothing_has_no_points(rows: int) -> None:
    scan = read_scan(cloud(points(0), height=rows, row_step=0))
    assert scan.points.shape == (0, 3)


@pytest.mark.parametrize(
    ('name', 'kind', 'times'),
    [
        ('time', '<f4', [0.0, 0.05, 0.1]),  # seconds from the stamp, as Velodyne's
        ('t', '<u4', [0, 50_000_000, 100_000_000]),  # ns, as Ouster's
        ('offset_time', '<u4', [0, 50_000, 100_000]),  # microseconds
        ('timestamp', '<f8', [1.6e9, 1.6e9 + 0.05, 1.6e9 + 0.1]),  # seconds of the day, as Hesai's
        ('timestamp', '<f8', [1.6e18, 1.6e18 + 5e7, 1.6e18 + 1e8]),  # the same in ns, as Livox's
    ],
)
def test_times_of_points_become_stamps_whatever_their_unit(
    name: str, kind: str, times: list[float]
) -> None:
    values = points(3, [*XYZ, (name, kind)])
    values[name] = times
    found = read_scan(cloud(values)).times_ns
    assert found is not None
    np.testing.assert_allclose(found - STAMP_NS, [0, 50_000_000, 100_000_000], atol=1000)


@pytest.mark.parametrize('times', [[0.0, np.nan, 0.1], [0.0, 1.0, 9.0]])
def test_times_that_make_no_sense_are_not_used(times: list[float]) -> None:
    values = points(3, [*XYZ, ('time', '<f4')])
    values['time'] = times
    assert read_scan(cloud(values)).times_ns is None


@pytest.mark.parametrize(
    'bad',
    [
        cloud(points(2, [('x', '<f4'), ('y', '<f4')])),
        cloud(points(2), fields=[]),
        cloud(points(2), width=3),
        cloud(points(2), height=2, row_step=24),
        cloud(points(2), point_step=8),
        cloud(points(4), height=2, width=2, row_step=12),
    ],
)
def test_a_cloud_that_contradicts_itself_is_refused_by_name(bad: Message) -> None:
    with pytest.raises(RecordingError, match=r'/t: \d+ bytes with .* are no cloud of \dx\d'):
        read_scan(bad)


@given(size=st.integers(0, 200))
def test_a_cloud_that_is_cut_off_anywhere_is_an_error_of_the_recording(size: int) -> None:
    whole = cloud(points(6))
    cut = whole.data[: min(size, len(whole.data) - 1)]
    with pytest.raises(RecordingError):
        read_scan(Message(topic='/t', type=CLOUD_TYPE, stamp_ns=7, data=cut))


def depth_image(pixels: np.ndarray, encoding: str, *, padding: int = 0, **changes: Any) -> Message:
    rows = pixels.view(np.uint8).reshape(pixels.shape[0], -1)
    padded = np.pad(rows, ((0, 0), (0, padding)))
    content = {
        'header': cdr.header(STAMP_NS, 'camera'),
        'height': pixels.shape[0],
        'width': pixels.shape[1],
        'encoding': encoding,
        'is_bigendian': int(pixels.dtype.str.startswith('>')),
        'step': padded.shape[1],
        'data': padded.reshape(-1),
    }
    return message(TYPES[IMAGE_TYPE](**content | changes), IMAGE_TYPE)


@pytest.mark.parametrize('padding', [0, 3])
@pytest.mark.parametrize('order', ['<', '>'])
def test_depth_images_of_either_kind_are_metres(order: str, padding: int) -> None:
    metres = np.array([[1.0, 2.5, np.inf], [0.25, np.nan, 4.0]], f'{order}f4')
    found = depth_of(depth_image(metres, '32FC1', padding=padding))
    np.testing.assert_array_equal(found, metres.astype(np.float32))
    millimetres = np.array([[1000, 2500, 0], [250, 65535, 1]], f'{order}u2')
    found = depth_of(depth_image(millimetres, '16UC1', padding=padding))
    np.testing.assert_allclose(found, [[1.0, 2.5, np.nan], [0.25, 65.535, 0.001]], rtol=1e-6)
    assert found.dtype == np.float32


@pytest.mark.parametrize(
    ('bad', 'words'),
    [
        (depth_image(np.zeros((2, 3), '<f4'), 'rgb8'), '/t holds rgb8: expected 32FC1 or 16UC1'),
        (depth_image(np.zeros((2, 3), '<f4'), '32FC1', height=3), '24 bytes in rows of 12 are no'),
        (depth_image(np.zeros((2, 3), '<f4'), '32FC1', step=8), 'no 32FC1 image of 3x2'),
    ],
)
def test_a_depth_image_that_contradicts_itself_is_refused(bad: Message, words: str) -> None:
    with pytest.raises(RecordingError, match=words):
        depth_of(bad)


def packed(pixels: np.ndarray, form: str, *, header: int = 12) -> Message:
    png = cv2.imencode('.png', pixels)[1].tobytes()
    content = TYPES[COMPRESSED_IMAGE_TYPE](
        header=cdr.header(STAMP_NS, 'camera'),
        format=form,
        data=np.frombuffer(bytes(header) + png, np.uint8),
    )
    return message(content, COMPRESSED_IMAGE_TYPE)


def test_compressed_depth_is_metres_behind_its_header() -> None:
    millimetres = np.array([[1000, 0], [250, 65535]], np.uint16)
    found = depth_of(packed(millimetres, '16UC1; compressedDepth png'))
    np.testing.assert_allclose(found, [[1.0, np.nan], [0.25, 65.535]], rtol=1e-6)


@pytest.mark.parametrize(
    'bad',
    [
        packed(np.zeros((2, 2), np.uint16), '32FC1; compressedDepth png'),
        packed(np.zeros((2, 2), np.uint8), '16UC1; compressedDepth png'),
        packed(np.zeros((2, 2), np.uint16), '16UC1; compressedDepth png', header=4),
    ],
)
def test_other_compressed_depth_is_refused_with_what_it_is(bad: Message) -> None:
    with pytest.raises(RecordingError, match=r'/t holds .*: expected 16UC1 in PNG'):
        depth_of(bad)
