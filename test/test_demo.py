# SPDX-License-Identifier: Apache-2.0
"""The demo runs end to end on a small bag, judges honestly, and leaves no process behind."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from monodepth2_training.evaluation import truth
from monodepth2_training.evaluation.depth_messages import cloud_of, depth_of
from monodepth2_training.evaluation.sparse_depth import sparse_depth
from support.make_bag import camera_info, image
from support.tiny_model import write_tiny_model

from demo import accuracy, clouds, figures, options, processes, strip, top_view
from monodepth2_ros.geometry.camera import CameraCalibration, PinholeCamera
from monodepth2_ros.recordings import Message, RecordingWriter, cdr, open_recording
from monodepth2_ros.recordings.messages import CAMERA_INFO_TYPE, IMAGE_TYPE

ROOT = Path(__file__).resolve().parents[1]
needs_ros = pytest.mark.skipif(
    importlib.util.find_spec('rclpy') is None, reason='ROS 2 (rclpy) is not installed or sourced'
)


def depth_image(depth, stamp_ns, encoding='32FC1'):
    return cdr.image(depth, encoding=encoding, stamp_ns=stamp_ns, frame_id='camera')


def write_drive(path, frames=20):
    """A bag with a camera and true depth: a wall that comes nearer."""
    truth = np.tile(np.linspace(2.0, 20.0, 48, dtype=np.float32)[:, None], (1, 64))
    with RecordingWriter(path) as writer:
        writer.add_topic('/camera/image_raw', IMAGE_TYPE)
        writer.add_topic('/camera/camera_info', CAMERA_INFO_TYPE)
        writer.add_topic('/camera/depth/image_rect', IMAGE_TYPE)
        for index in range(frames):
            stamp_ns = 10**18 + index * 10**8
            writer.write('/camera/camera_info', stamp_ns, camera_info(stamp_ns))
            writer.write('/camera/image_raw', stamp_ns, image(10 * index, stamp_ns))
            writer.write('/camera/depth/image_rect', stamp_ns, depth_image(truth, stamp_ns))
    return path


def demo_process(tmp_path, *arguments):
    command = [sys.executable, str(ROOT / 'demo' / 'run_demo.py'), '--out', str(tmp_path / 'out')]
    command += ['--bag', str(write_drive(tmp_path / 'drive')), *arguments]
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    pipes = {'stdout': subprocess.PIPE, 'stderr': subprocess.STDOUT, 'text': True}
    return subprocess.Popen(command, env=environment, **pipes)


def nodes_with(text):
    found = []
    for folder in Path('/proc').glob('[0-9]*'):
        try:
            line = (folder / 'cmdline').read_bytes().decode(errors='replace')
        except OSError:
            continue
        if 'monodepth2_ros.nodes' in line and text in line:
            found.append(line)
    return found


@needs_ros
def test_the_demo_leaves_pictures_a_bag_and_figures(tmp_path):
    model = write_tiny_model(tmp_path / 'tiny.safetensors')
    process = demo_process(tmp_path, '--model', str(model))
    output, _ = process.communicate(timeout=150)
    assert process.returncode == 0, output
    figures = json.loads((tmp_path / 'out' / 'summary.json').read_text())
    assert figures['frames_played'] == 20
    assert figures['camera_frames'] == figures['node_received'] == 20
    assert figures['depth_frames'] == 20 - sum(figures['node_dropped'].values())
    assert figures['latency_ms']['p50'] > 0
    assert figures['accuracy']['frames'] == figures['depth_frames']
    assert 'with each frame scaled to the true median' in output
    assert cv2.imread(str(tmp_path / 'out' / 'strip.png')) is not None
    with open_recording(tmp_path / 'out' / 'outputs') as recording:
        assert recording.topic('/depth/points').count == figures['depth_frames']
        depth = depth_of(next(recording.messages(['/depth/image'])))
        points, colors = cloud_of(next(recording.messages(['/depth/points'])))
    assert depth.shape == (48, 64)
    assert len(points) == len(colors) > 0
    assert not nodes_with(str(tmp_path))


@needs_ros
def test_an_interrupt_ends_everything(tmp_path):
    model = write_tiny_model(tmp_path / 'tiny.safetensors')
    process = demo_process(tmp_path, '--model', str(model))
    try:
        deadline_s = time.monotonic() + 60
        while len(nodes_with(str(tmp_path))) < 3:
            assert time.monotonic() < deadline_s
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert not nodes_with(str(tmp_path))


@needs_ros
def test_a_node_that_cannot_start_ends_the_demo_with_its_reason(tmp_path):
    model = write_tiny_model(tmp_path / 'tiny.safetensors')
    process = demo_process(tmp_path, '--model', str(model), '--device', 'cuda:63')
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert 'demo: depth_node could not start' in output
    assert 'configure failed' in output
    assert not nodes_with(str(tmp_path))


def test_a_missing_recording_ends_the_demo_with_one_line(tmp_path):
    command = [sys.executable, str(ROOT / 'demo' / 'run_demo.py'), '--out', str(tmp_path / 'out')]
    command += ['--bag', str(tmp_path / 'nothing')]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith(f'demo: {tmp_path}/nothing does not exist')
    assert len(result.stderr.strip().splitlines()) == 1


def test_errors_are_scaled_by_the_median_and_those_in_metres_and_of_a_constant_stand_beside():
    truth = np.linspace(1.0, 3.0, 400, dtype=np.float32).reshape(20, 20)
    exact, metric, constant = accuracy.frame_errors(truth * 7, truth)
    assert exact == pytest.approx(0.0, abs=1e-6)
    assert metric == pytest.approx(6.0)
    assert constant == pytest.approx(np.mean(np.abs(2.0 - truth) / truth), rel=1e-5)


def test_unknown_depth_and_sky_are_left_out_of_the_errors():
    truth = np.full((20, 20), 4.0, np.float32)
    depth = truth.copy()
    truth[0], depth[1], depth[2] = np.inf, np.nan, np.inf
    assert accuracy.frame_errors(depth, truth) == (0.0, 0.0, 0.0)
    assert accuracy.frame_errors(depth[:2], truth[:2]) is None
    assert accuracy.frame_errors(depth[:, :9], truth) is None


def test_both_depth_encodings_are_read_in_metres():
    depth = np.array([[1.5, np.inf], [np.nan, 2.0]], np.float32)
    message = Message(topic='/d', type=IMAGE_TYPE, stamp_ns=0, data=depth_image(depth, 0))
    assert np.array_equal(depth_of(message), depth, equal_nan=True)
    millimetres = np.array([[1500, 0]], np.uint16)
    data = depth_image(millimetres, 0, '16UC1')
    read = depth_of(Message(topic='/d', type=IMAGE_TYPE, stamp_ns=0, data=data))
    assert np.array_equal(read, np.array([[1.5, np.nan]], np.float32), equal_nan=True)


def test_a_lidar_point_lands_on_its_pixel_and_the_nearest_one_wins():
    view = PinholeCamera(width=8, height=6, fx_px=4.0, fy_px=4.0, cx_px=3.0, cy_px=2.0)
    points = np.array([[1.0, -0.5, 2.0], [2.0, -1.0, 4.0], [0.0, 0.0, -3.0], [9.0, 0.0, 2.0]])
    depth = sparse_depth(points, view)
    assert depth[1, 5] == 2.0
    assert np.count_nonzero(np.isfinite(depth)) == 1


@pytest.mark.parametrize('turned', [False, True])
def test_scans_are_moved_into_the_camera_by_the_recorded_transform(tmp_path, turned):
    """A lidar that looks along x, 1 m behind the camera; its link is told in either direction."""
    with RecordingWriter(tmp_path / 'bag') as writer:
        writer.add_topic('/camera/image_raw', IMAGE_TYPE)
        writer.add_topic('/camera/camera_info', CAMERA_INFO_TYPE)
        writer.add_topic('/scan', truth.CLOUD_TYPE)
        writer.add_topic('/tf_static', 'tf2_msgs/msg/TFMessage', latched=True)
        writer.write('/camera/image_raw', 0, image(0, 0))
        writer.write('/camera/camera_info', 0, camera_info(0))
        writer.write('/scan', 0, scan(np.array([[6.0, 0.0, 0.0]], np.float32)))
        writer.write('/tf_static', 0, link(turned=turned))
    view = PinholeCamera(width=64, height=48, fx_px=50.0, fy_px=50.0, cx_px=31.0, cy_px=23.0)
    with open_recording(tmp_path / 'bag') as recording:
        topic = truth.find_topic(recording, '/camera/image_raw')
        found = list(truth.frames(recording, topic, '/camera/image_raw', view))
    assert topic == '/scan'
    ((stamp_ns, depth),) = found
    assert stamp_ns == 0
    assert depth[23, 31] == pytest.approx(5.0)
    assert np.count_nonzero(np.isfinite(depth)) == 1


def scan(points):
    types = cdr.typestore().types
    field = types['sensor_msgs/msg/PointField']
    fields = [field(name=name, offset=4 * i, datatype=7, count=1) for i, name in enumerate('xyz')]
    content = types[truth.CLOUD_TYPE](
        header=cdr.header(0, 'lidar'),
        height=1,
        width=len(points),
        fields=fields,
        is_bigendian=False,
        point_step=12,
        row_step=12 * len(points),
        data=points.reshape(-1).view(np.uint8),
        is_dense=True,
    )
    return cdr.serialize(content, truth.CLOUD_TYPE)


def link(*, turned):
    """The optical frame is 1 m ahead of the lidar: x right, y down, z along the lidar's x."""
    types = cdr.typestore().types
    vector, quaternion = types['geometry_msgs/msg/Vector3'], types['geometry_msgs/msg/Quaternion']
    offset, sign = ((0.0, 0.0, -1.0), -1) if turned else ((1.0, 0.0, 0.0), 1)
    transform = types['geometry_msgs/msg/Transform'](
        translation=vector(*offset),
        rotation=quaternion(x=-0.5 * sign, y=0.5 * sign, z=-0.5 * sign, w=0.5),
    )
    ends = ('camera', 'lidar') if turned else ('lidar', 'camera')
    stamped = types['geometry_msgs/msg/TransformStamped'](
        header=cdr.header(0, ends[0]), child_frame_id=ends[1], transform=transform
    )
    content = types['tf2_msgs/msg/TFMessage'](transforms=[stamped])
    return cdr.serialize(content, 'tf2_msgs/msg/TFMessage')


def test_the_known_part_is_the_box_of_all_that_is_not_nan():
    depth = np.full((6, 8), np.nan, np.float32)
    depth[2:4, 3:7] = np.inf
    assert strip.known_part(depth) == (slice(2, 4), slice(3, 7))


@pytest.mark.parametrize(
    ('length', 'step'), [(0.9, 1), (1.0, 1), (1.1, 2), (13, 20), (0.04, 0.05)]
)
def test_rings_stand_at_round_distances(length, step):
    assert top_view.nice_step(length) == pytest.approx(step)


def test_a_point_ahead_is_drawn_above_the_camera_and_one_to_the_right_beside():
    points = np.array([[0.0, 0.0, 20.0], [10.0, 0.0, 10.0]], np.float32)
    colors = np.array([[0, 0, 255], [255, 0, 0]], np.uint8)
    picture = top_view.top_view(points, colors, size=(200, 110), step=10.0, unit='m')
    scale_px = (110 - 14) / 40
    row, column = round(110 - 4 - 20 * scale_px), 100
    assert tuple(picture[row, column]) == (0, 0, 255)
    row, column = round(110 - 4 - 10 * scale_px), round(100 + 10 * scale_px)
    assert tuple(picture[row, column]) == (255, 0, 0)


def pinhole(width, height, focal_px, cx_px, cy_px):
    return CameraCalibration(
        width=width,
        height=height,
        K=(focal_px, 0.0, cx_px, 0.0, focal_px, cy_px, 0.0, 0.0, 1.0),
        distortion_model='plumb_bob',
    )


def test_the_true_cloud_has_the_depth_and_the_colour_of_its_pixels():
    depth = np.full((4, 6), 2.0, np.float32)
    depth[0] = np.inf
    picture = np.arange(72, dtype=np.uint8).reshape(4, 6, 3)
    cloud = clouds.true_cloud(depth, picture, pinhole(6, 4, 2.0, 2.0, 1.0), stride=2)
    assert cloud.points.tolist() == [[-2.0, 1.0, 2.0], [0.0, 1.0, 2.0], [2.0, 1.0, 2.0]]
    assert cloud.colors.tolist() == picture[2, ::2].tolist()


def test_the_few_points_of_a_lidar_are_all_kept():
    depth = np.full((4, 6), np.nan, np.float32)
    depth[1, 3] = 4.0
    calibration = pinhole(6, 4, 2.0, 2.0, 1.0)
    cloud = clouds.true_cloud(depth, np.zeros((4, 6, 3), np.uint8), calibration, stride=2)
    assert cloud.points.tolist() == [[2.0, 0.0, 4.0]]


def test_metres_are_judged_only_where_the_model_knows_them():
    known = accuracy.Accuracy(frames=9, abs_rel=0.15, metric_abs_rel=0.11, constant_abs_rel=0.6)
    unknown = dataclasses.replace(known, metric_abs_rel=None)
    texts = [figures.headline(run_figures(accuracy=found)) for found in (known, unknown, None)]
    assert 'abs_rel 0.110 in metres (0.600 for one depth everywhere)' in texts[0]
    assert 'abs_rel 0.150, scaled (0.600' in texts[1]
    assert all('image to depth 17 ms   cpu' in text for text in texts)
    assert 'abs_rel' not in texts[2]


def run_figures(**values):
    given = {
        **dict.fromkeys(('frames_played', 'camera_frames', 'depth_frames'), 20),
        **dict.fromkeys(('node_received', 'node_published'), 20),
        **dict.fromkeys(('camera_hz', 'depth_hz'), 10.0),
        'latency_ms': {'p50': 17.0, 'p95': 20.0, 'max': 30.0},
        'node_says': 'giving depth',
        'device': 'cpu',
        'model': 'tiny.safetensors',
    }
    return figures.Figures(**given, **values)


def test_two_sources_at_once_are_wrong_usage(capsys):
    with pytest.raises(SystemExit) as stop:
        options.parse(['--bag', 'a', '--video', 'b'])
    assert stop.value.code == 2
    assert 'not allowed with argument' in capsys.readouterr().err


def test_parameters_survive_the_command_line():
    values = {True: 'true', 0.5: '0.5', "it's": "'it''s'"}
    assert [processes.as_yaml(value) for value in values] == list(values.values())
    assert processes.as_yaml(['a', 'b']) == "['a','b']"
