# SPDX-License-Identifier: Apache-2.0
"""The parts of ``monodepth2 doctor`` that need no ROS, and how it judges what ROS tells."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, replace

import pytest
from monodepth2_training import cli
from monodepth2_training.doctor import machine, ros
from monodepth2_training.doctor.check import Check, as_document, as_text, worst
from monodepth2_training.doctor.model import match_camera, read_model
from support.tiny_model import write_tiny_model

from monodepth2_ros.delivery import Delivery
from monodepth2_ros.geometry.camera import CameraCalibration, PinholeCamera
from monodepth2_ros.health import Level
from monodepth2_ros.model_description import TrainingCamera

CALIBRATION = CameraCalibration(
    width=192, height=128, K=(100.0, 0.0, 95.5, 0.0, 100.0, 63.5, 0.0, 0.0, 1.0)
)
DELIVERY = Delivery(middleware='rmw_x', message_bytes=1000, sent=20, received=20, median_ms=2.0)
CAMERA = {
    'topic': '/camera/image_raw',
    'type': 'sensor_msgs/msg/Image',
    'reliability': ['best_effort'],
    'messages': 31,
    'seconds': 3.0,
    'message_bytes': 921_600,
    'image_size': [192, 128],
    'calibration': None,
}


def _facts(camera=None, delivery=DELIVERY):
    return {
        'distribution': 'jazzy',
        'middleware': 'rmw_x',
        'domain': '7',
        'profiles': {},
        'camera': camera,
        'delivery': asdict(delivery),
    }


def _run(capsys, *arguments):
    status = cli.main(['doctor', *arguments])
    return status, capsys.readouterr().out


def test_a_machine_without_faults_ends_with_status_zero(capsys):
    status, out = _run(capsys, '--no-ros')
    assert status == 0
    assert [line.split()[1] for line in out.splitlines()] == [
        *('system', 'memory', 'device', 'engines')
    ]


def test_a_broken_model_file_is_an_error_and_the_status_says_so(capsys, tmp_path):
    broken = tmp_path / 'broken.safetensors'
    broken.write_bytes(b'nothing')
    status, out = _run(capsys, '--no-ros', '--model', str(broken))
    assert status == 1
    assert f'error  model    {broken}' in out


def test_json_holds_every_line_with_its_level_and_facts(capsys, tmp_path):
    model = write_tiny_model(tmp_path / 'tiny.safetensors')
    status, out = _run(capsys, '--no-ros', '--json', '--model', str(model))
    document = json.loads(out)
    checks = {check['name']: check for check in document['checks']}
    assert (status, document['level']) == (0, 'warn')
    assert checks['model']['level'] == 'warn'  # a model without scale
    assert (checks['model']['facts']['width'], checks['model']['facts']['scale']) == (96, None)
    assert checks['engine']['facts']['milliseconds'] > 0.0
    assert checks['memory']['facts']['total_bytes'] > 0
    assert checks['engines']['facts']['torch']


def test_json_has_null_for_what_is_no_number():
    check = Check(
        name='camera', level=Level.OK, text='', facts={'K': [float('nan'), 1.0], 'a': {'b': 1e999}}
    )
    facts = as_document([check])['checks'][0]['facts']
    assert facts == {'K': [None, 1.0], 'a': {'b': None}}


@pytest.mark.parametrize('seconds', ['nan', 'inf', '0', '-1', '1e9'])
def test_a_time_that_cannot_be_meant_is_wrong_usage(capsys, seconds):
    assert cli.main(['doctor', '--no-ros', '--seconds', seconds]) == 2
    assert 'expected more than 0 and at most 3600' in capsys.readouterr().err


def test_lines_align_and_the_worst_counts():
    checks = [
        Check(name='a', level=Level.OK, text='good'),
        Check(name='long', level=Level.WARN, text='so so'),
    ]
    assert as_text(checks) == 'ok     a     good\nwarn   long  so so'
    assert worst(checks) is Level.WARN
    assert as_document(checks)['level'] == 'warn'


def test_too_little_shared_memory_is_a_warning_with_the_remedy(monkeypatch):
    usage = machine.shutil.disk_usage('/')
    monkeypatch.setattr(machine.shutil, 'disk_usage', lambda _: type(usage)(64 << 20, 0, 64 << 20))
    check = machine.memory()
    assert check.level is Level.WARN
    assert '--shm-size=1g' in check.text


def test_shared_memory_of_killed_processes_is_told_from_that_of_living_ones(monkeypatch, tmp_path):
    for name in ('fastrtps_0123456789abcdef', 'fastrtps_fedcba9876543210', 'fastrtps_port7400'):
        (tmp_path / name).touch()
        os.truncate(tmp_path / name, machine.SEGMENT_BYTES)
        (tmp_path / f'{name}_el').touch()
    monkeypatch.setattr(machine, '_SHARED', tmp_path)
    with (tmp_path / 'fastrtps_0123456789abcdef_el').open('rb') as living:
        fcntl.flock(living, fcntl.LOCK_EX)
        check = machine.memory()
        assert check.facts['shm_abandoned_bytes'] == machine.SEGMENT_BYTES
        assert check.level is Level.WARN
        assert 'killed processes left 0.12 GiB' in check.text
        assert '`fastdds shm clean`' in check.text
        (tmp_path / 'fastrtps_fedcba9876543210').unlink()
        assert machine.memory().facts['shm_abandoned_bytes'] == 0


def test_a_device_that_is_not_there_is_an_error():
    assert machine.device('cuda:99').level is Level.ERROR
    assert machine.device('cpu').facts['device'] == 'cpu'


@pytest.fixture
def model(tmp_path):
    loaded, _ = read_model(write_tiny_model(tmp_path / 'tiny.safetensors'))
    camera = PinholeCamera(width=192, height=128, fx_px=100.0, fy_px=100.0, cx_px=95.5, cy_px=63.5)
    trained = replace(loaded.description, camera=TrainingCamera(camera=camera))
    return replace(loaded, description=trained)


def test_the_camera_of_the_training_matches_at_any_size(model):
    double = replace(
        CALIBRATION,
        width=384,
        height=256,
        K=(200.0, 0.0, 191.5, 0.0, 200.0, 127.5, 0.0, 0.0, 1.0),
    )
    for calibration in (CALIBRATION, double):
        check = match_camera(model, calibration, 'camera_info')
        assert check.level is Level.OK
        assert check.facts == {'factor': pytest.approx(1.0), 'differences': []}


def test_a_longer_lens_is_a_warning_with_its_factor(model):
    longer = replace(CALIBRATION, K=(150.0, 0.0, 95.5, 0.0, 150.0, 63.5, 0.0, 0.0, 1.0))
    check = match_camera(model, longer, 'front.yaml')
    assert check.level is Level.WARN
    assert check.text.startswith('front.yaml: the focal length is 75 px')
    assert check.facts['factor'] == pytest.approx(1.5)


def test_an_unusable_calibration_is_an_error(model):
    broken = replace(CALIBRATION, K=(0.0,) * 9)
    assert match_camera(model, broken, 'camera_info').level is Level.ERROR


def test_a_camera_is_told_with_rate_size_and_reliability():
    camera = {**CAMERA, 'calibration': asdict(CALIBRATION)}
    check = ros.checks(_facts(camera))[-1]
    assert check.level is Level.OK
    assert '10.0 Hz, 0.92 MB, sensor_msgs/msg/Image, best_effort' in check.text
    document = json.loads(json.dumps(_facts(camera)))
    assert ros.calibration(document) == CALIBRATION


@pytest.mark.parametrize(
    ('change', 'level', 'text'),
    [
        ({}, Level.WARN, 'no camera_info beside it'),
        ({'messages': 0, 'seconds': 0.0}, Level.ERROR, 'but no image came'),
        ({'type': '', 'messages': 0, 'seconds': 0.0}, Level.ERROR, 'nobody publishes /camera'),
        (
            {'type': 'sensor_msgs/msg/PointCloud2', 'messages': 0, 'seconds': 0.0},
            Level.ERROR,
            'is no camera: it carries sensor_msgs/msg/PointCloud2, expected sensor_msgs/msg/Image',
        ),
        (
            {'calibration': asdict(replace(CALIBRATION, K=(0.0,) * 9))},
            Level.WARN,
            'the camera_info beside it cannot be used: K',
        ),
        (
            {'calibration': asdict(CALIBRATION), 'image_size': [96, 64]},
            Level.WARN,
            'is for images of 192x128 pixels, but they have 96x64',
        ),
        ({'calibration': asdict(CALIBRATION), 'image_size': None}, Level.OK, '; camera_info bes'),
    ],
)
def test_what_lacks_of_a_camera_is_said(change, level, text):
    check = ros.checks(_facts({**CAMERA, **change}))[-1]
    assert check.level is level
    assert text in check.text


def test_a_calibration_that_cannot_be_read_is_one_line_among_the_others(capsys):
    status, out = _run(capsys, '--no-ros', '--calibration', '/nope.yaml')
    assert status == 1
    assert 'error  calibration  calibration file /nope.yaml cannot be read' in out
    assert [line.split()[1] for line in out.splitlines()] == [
        *('system', 'memory', 'device', 'engines', 'calibration')
    ]


def test_lost_test_messages_are_a_warning():
    check = ros.checks(_facts(delivery=replace(DELIVERY, received=3)))[-1]
    assert (check.name, check.level) == ('middleware', Level.WARN)


def test_a_machine_without_ros_is_told_why(monkeypatch, capsys):
    monkeypatch.setattr(ros, 'ask', lambda topic, *, duration_s: (None, "No module named 'rclpy'"))
    status, out = _run(capsys)
    assert status == 1
    assert "cannot be used (No module named 'rclpy'): source ROS 2" in out
