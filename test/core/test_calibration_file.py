# SPDX-License-Identifier: Apache-2.0
"""Calibration files: those of camera_calibration are read, a wrong one is refused by path."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monodepth2_ros.errors import CalibrationError
from monodepth2_ros.geometry.calibration_file import load_calibration, save_calibration
from monodepth2_ros.geometry.camera import IDENTITY_3X3, CameraCalibration, Window

CALIBRATION = CameraCalibration(
    width=640,
    height=480,
    distortion_model='plumb_bob',
    D=(-0.3, 0.1, 0.001, 1e-05, 0.0),
    K=(500.25, 0.0, 310.0, 0.0, 505.0, 235.0, 0.0, 0.0, 1.0),
    R=IDENTITY_3X3,
    P=(450.0, 0.0, 320.0, -45.0, 0.0, 455.0, 240.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    roi=Window(x=0, y=0, width=640, height=480),
)

AS_WRITTEN_BY_CAMERA_CALIBRATION = """\
image_width: 640
image_height: 480
camera_name: narrow_stereo
camera_matrix:
  rows: 3
  cols: 3
  data: [500.25, 0, 310, 0, 505, 235, 0, 0, 1]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.3, 0.1, 0.001, 1e-05, 0]
rectification_matrix:
  rows: 3
  cols: 3
  data: [1, 0, 0, 0, 1, 0, 0, 0, 1]
projection_matrix:
  rows: 3
  cols: 4
  data: [450, 0, 320, -45, 0, 455, 240, 0, 0, 0, 1, 0]
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / 'my camera.yaml'
    path.write_text(AS_WRITTEN_BY_CAMERA_CALIBRATION)
    return path


def without(key: str) -> str:
    """Drop a top-level key with its indented lines."""
    head, _, rest = AS_WRITTEN_BY_CAMERA_CALIBRATION.partition(f'{key}:')
    lines = rest.split('\n')[1:]
    while lines and lines[0].startswith(' '):
        lines.pop(0)
    return head + '\n'.join(lines)


def test_a_file_of_camera_calibration_is_read(file):
    assert load_calibration(file) == CALIBRATION


def test_paths_and_file_urls_name_the_same_file(file):
    assert load_calibration(str(file)) == CALIBRATION
    assert load_calibration(f'file://{file}') == CALIBRATION
    assert load_calibration(file.as_uri()) == CALIBRATION


def test_a_package_url_is_resolved_by_the_caller(file):
    loaded = load_calibration(
        f'package://my_robot/{file.name}', resolve_package={'my_robot': file.parent}.__getitem__
    )
    assert loaded == CALIBRATION


def test_saving_and_loading_changes_nothing(tmp_path):
    path = tmp_path / 'camera.yaml'
    save_calibration(path, CALIBRATION)
    assert load_calibration(path) == CALIBRATION
    assert [p.name for p in tmp_path.iterdir()] == ['camera.yaml']


def test_a_camera_without_distortion_and_P_is_saved_as_one(tmp_path):
    plain = replace(CALIBRATION, D=(), P=(0.0,) * 12)
    save_calibration(tmp_path / 'camera.yaml', plain)
    loaded = load_calibration(tmp_path / 'camera.yaml')
    assert not loaded.needs_rectification
    assert loaded.rectified_camera() == plain.raw_camera()


@pytest.mark.parametrize(
    ('key', 'attribute', 'default'),
    [
        ('rectification_matrix', 'R', IDENTITY_3X3),
        ('projection_matrix', 'P', (0.0,) * 12),
        ('distortion_model', 'distortion_model', 'plumb_bob'),
    ],
)
def test_a_missing_optional_key_has_a_default(file, key, attribute, default):
    file.write_text(without(key))
    assert getattr(load_calibration(file), attribute) == default


@pytest.mark.parametrize(
    'key', ['image_width', 'image_height', 'camera_matrix', 'distortion_coefficients']
)
def test_a_missing_key_is_named(file, key):
    file.write_text(without(key))
    with pytest.raises(CalibrationError, match=f"camera.yaml: key '{key}' is missing"):
        load_calibration(file)


@pytest.mark.parametrize(
    ('old', 'new', 'text'),
    [
        ('640', '640.5', "image_width is '640.5': expected a whole number"),
        ('640', '-640', 'images of -640x480'),
        ('505, 235, 0, 0, 1]', '505, 235]', r'camera_matrix.data has 6 numbers: expected 9 \(3x3'),
        ('455, 240', '455', r'projection_matrix.data has 11 numbers: expected 12'),
        ('[500.25', '[fx', 'camera_matrix.data holds something else than numbers'),
        ('[500.25', '[.nan', 'K = .* is not finite'),
        ('[500.25', '[5' + '0' * 400, 'camera_matrix.data holds something else than numbers'),
        ('[500.25', '[5' + '0' * 5000, 'is not YAML'),
        ('  data: [-0.3, 0.1', '  data: [-0.3, 0.1, 0, 0', 'plumb_bob has 7 coefficients'),
        ('distortion_model: plumb_bob', 'distortion_model: ds', "model 'ds' is unknown"),
        ('distortion_model: plumb_bob', 'distortion_model: 5', "distortion_model is '5'"),
        ('  data: [450', '  numbers: [450', 'projection_matrix has no list "data"'),
        ('image_width: 640', '%YAML:1.0\n---\n', 'is not YAML'),
        ('image_width: 640', '\t{', 'is not YAML'),
    ],
)
def test_a_wrong_value_is_refused_by_path_and_key(file, old, new, text):
    file.write_text(AS_WRITTEN_BY_CAMERA_CALIBRATION.replace(old, new, 1))
    with pytest.raises(CalibrationError, match=text) as caught:
        load_calibration(file)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize('content', [b'', b'[1, 2]', b'\x89PNG\r\n\x1a\n\xff\xfe', b'\0' * 100])
def test_another_kind_of_file_is_refused(file, content):
    file.write_bytes(content)
    with pytest.raises(CalibrationError, match=r'camera\.yaml'):
        load_calibration(file)


@pytest.mark.parametrize(
    ('url', 'text'),
    [
        ('/no/such/file.yaml', 'file.yaml cannot be read: .*No such file'),
        ('file:///', 'cannot be read'),
        ('package://pkg/camera.yaml', "needs ROS to find package 'pkg'"),
        ('https://host/camera.yaml', "has scheme 'https': expected file://"),
    ],
)
def test_a_url_that_leads_nowhere_is_refused(url, text):
    with pytest.raises(CalibrationError, match=text):
        load_calibration(url)


def test_what_the_format_cannot_hold_is_not_saved(tmp_path):
    with pytest.raises(CalibrationError, match='region of interest or binning cannot be saved'):
        save_calibration(tmp_path / 'camera.yaml', replace(CALIBRATION, binning_x=2, binning_y=2))
    with pytest.raises(CalibrationError, match='cannot be written'):
        save_calibration(tmp_path / 'missing' / 'camera.yaml', CALIBRATION)
