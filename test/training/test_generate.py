# SPDX-License-Identifier: Apache-2.0
"""``monodepth2 generate`` writes a bag that others can read, whole or not at all."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from monodepth2_training.cli import main
from monodepth2_training.world import drive_bag
from monodepth2_training.world.drive import START_NS, Drive, DriveSettings
from monodepth2_training.world.lens import Lens
from monodepth2_training.world.motion import quaternion_xyzw
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from monodepth2_ros.errors import RecordingError

SMALL = ['--frames', '4', '--width', '160', '--height', '48']


@pytest.fixture(scope='module')
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('drive') / 'out.bag'
    assert main(['generate', str(path), *SMALL, '--device', 'cpu']) == 0
    return path


@pytest.fixture(scope='module')
def drive() -> Drive:
    return Drive(DriveSettings(frames=4, width=160, height=48), torch.device('cpu'))


def messages(path: Path, topic: str) -> list:
    types = get_typestore(Stores.ROS2_HUMBLE)
    with Reader(path) as reader:
        chosen = [c for c in reader.connections if c.topic == topic]
        return [
            (stamp, types.deserialize_cdr(data, c.msgtype))
            for c, stamp, data in reader.messages(chosen)
        ]


def test_bag_holds_every_topic_with_its_type_and_count(bag: Path):
    with Reader(bag) as reader:
        found = {c.topic: (c.msgtype, c.msgcount) for c in reader.connections}
    assert found == {
        '/camera/image_raw': ('sensor_msgs/msg/Image', 4),
        '/camera/camera_info': ('sensor_msgs/msg/CameraInfo', 4),
        '/camera/depth/image_rect': ('sensor_msgs/msg/Image', 4),
        '/odom': ('nav_msgs/msg/Odometry', 4),
        '/tf_static': ('tf2_msgs/msg/TFMessage', 1),
    }


def test_images_are_the_rendered_ones_with_their_stamps(bag: Path, drive: Drive):
    for number, (stamp, message) in enumerate(messages(bag, '/camera/image_raw')):
        frame = drive.frame(number)
        assert stamp == frame.stamp_ns == START_NS + number * 100_000_000
        assert message.header.stamp.sec * 10**9 + message.header.stamp.nanosec == stamp
        assert (message.encoding, message.step) == ('rgb8', 480)
        assert message.header.frame_id == 'camera_optical_frame'
        np.testing.assert_array_equal(message.data.reshape(48, 160, 3), frame.rgb)


def test_depth_images_are_exact_floats_in_metres(bag: Path, drive: Drive):
    _, message = messages(bag, '/camera/depth/image_rect')[2]
    assert (message.encoding, message.is_bigendian, message.step) == ('32FC1', 0, 640)
    depth = message.data.view(np.float32).reshape(48, 160)
    np.testing.assert_array_equal(depth, drive.frame(2).depth_m)
    assert np.isposinf(depth).any()


def test_camera_info_is_the_camera(bag: Path, drive: Drive):
    _, info = messages(bag, '/camera/camera_info')[0]
    np.testing.assert_array_equal(info.k.reshape(3, 3), drive.camera.K)
    np.testing.assert_array_equal(info.p.reshape(3, 4)[:, :3], drive.camera.K)
    np.testing.assert_array_equal(info.d, np.zeros(5))
    assert (info.width, info.height, info.distortion_model) == (160, 48, 'plumb_bob')


def test_odometry_is_the_pose_and_velocity_of_the_vehicle(bag: Path, drive: Drive):
    _, message = messages(bag, '/odom')[3]
    frame = drive.frame(3)
    assert (message.header.frame_id, message.child_frame_id) == ('odom', 'base_link')
    position, q = message.pose.pose.position, message.pose.pose.orientation
    np.testing.assert_allclose([position.x, position.y, position.z], frame.T_base_to_odom[:3, 3])
    np.testing.assert_allclose([q.x, q.y, q.z, q.w], quaternion_xyzw(frame.T_base_to_odom[:3, :3]))
    assert message.twist.twist.linear.x == pytest.approx(frame.twist.linear_m_s[0])


def test_mounting_of_the_camera_is_static_and_latched(bag: Path):
    ((_, message),) = messages(bag, '/tf_static')
    transform = message.transforms[0]
    frames = (transform.header.frame_id, transform.child_frame_id)
    assert frames == ('base_link', 'camera_optical_frame')
    q = transform.transform.rotation
    np.testing.assert_allclose(np.abs([q.x, q.y, q.z, q.w]), 0.5)
    assert transform.transform.translation.z == 1.65


def test_same_arguments_give_the_same_bytes(bag: Path, tmp_path: Path):
    again = tmp_path / 'out.bag'
    assert main(['generate', str(again), *SMALL, '--device', 'cpu']) == 0
    assert (again / 'out.bag.mcap').read_bytes() == (bag / 'out.bag.mcap').read_bytes()


def test_existing_bag_is_kept_without_force_and_replaced_with_it(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / 'a.bag'
    arguments = ['generate', str(out), '--frames', '1', '--width', '64', '--height', '32']
    assert main(arguments) == 0
    stored = (out / 'a.bag.mcap').read_bytes()
    assert main([*arguments, '--seed', '1']) == 1
    assert '--force' in capsys.readouterr().err
    assert (out / 'a.bag.mcap').read_bytes() == stored
    assert main([*arguments, '--seed', '1', '--force']) == 0
    assert (out / 'a.bag.mcap').read_bytes() != stored
    assert [p.name for p in tmp_path.iterdir()] == ['a.bag']


def test_force_does_not_delete_what_is_no_bag(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / 'notes.txt').write_text('precious')
    assert main(['generate', str(tmp_path), *SMALL, '--force']) == 1
    assert 'is not a bag folder' in capsys.readouterr().err
    assert (tmp_path / 'notes.txt').read_text() == 'precious'


@pytest.mark.parametrize('force', [False, True])
def test_what_appears_while_the_drive_is_rendered_is_kept(
    tmp_path: Path, drive: Drive, force: bool
):
    out = tmp_path / 'x.bag'
    with (
        pytest.raises(RecordingError, match='choose another name'),
        drive_bag.new_bag(out, drive, replace=force),
    ):
        out.mkdir()
        (out / 'notes.txt').write_text('precious')
    assert (out / 'notes.txt').read_text() == 'precious'
    assert [p.name for p in tmp_path.iterdir()] == ['x.bag']


@pytest.mark.parametrize('failure', [KeyboardInterrupt, OSError('disk full')])
def test_failed_or_interrupted_drive_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
):
    written = []

    def fail_later(self: drive_bag.DriveBag, frame: object) -> None:
        written.append(frame)
        if len(written) == 3:
            raise failure

    monkeypatch.setattr(drive_bag.DriveBag, 'write', fail_later)
    status = main(['generate', str(tmp_path / 'x.bag'), *SMALL])
    assert status == (130 if failure is KeyboardInterrupt else 1)
    assert list(tmp_path.iterdir()) == []


def test_bad_arguments_are_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(['generate', str(tmp_path / 'x.bag'), '--frames', '0']) == 2
    assert 'frames 0 is out of range' in capsys.readouterr().err


def test_json_summary_says_what_was_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / 'x.bag'
    assert (
        main(['generate', str(out), *SMALL, '--no-moving-cars', '--no-standstill', '--json']) == 0
    )
    report = json.loads(capsys.readouterr().out)
    assert report['bag'] == str(out)
    assert (report['frames'], report['moving_cars'], report['standstill_s']) == (4, 0, None)


def test_our_own_reader_finds_one_camera(bag: Path):
    from monodepth2_ros.recordings import choose_camera, open_recording

    with open_recording(bag) as recording:
        camera = choose_camera(recording)
    assert (camera.image, camera.info) == ('/camera/image_raw', '/camera/camera_info')


def test_second_camera_sees_what_lies_a_disparity_further_left():
    baseline_m = 0.5
    settings = DriveSettings(frames=2, width=320, height=96, noise=False, baseline_m=baseline_m)
    drive = Drive(settings, torch.device('cpu'))
    frame = drive.frame(1)
    u = np.arange(320)[None] - drive.camera.fx_px * baseline_m / frame.depth_m
    columns, rows = np.round(u).astype(int), np.arange(96)[:, None]
    inside = columns >= 0
    right = frame.right_rgb.astype(float)
    off = np.abs(frame.rgb - right[rows, columns.clip(0)]).mean(-1)[inside]
    unmoved = np.abs(frame.rgb - right).mean(-1)[inside]
    assert np.mean(off < 12) > 0.85
    assert off.mean() < 0.6 * unmoved.mean()


def test_second_camera_leaves_the_first_as_it_is(drive: Drive):
    settings = DriveSettings(frames=4, width=160, height=48, baseline_m=0.5)
    frame = Drive(settings, torch.device('cpu')).frame(2)
    np.testing.assert_array_equal(frame.rgb, drive.frame(2).rgb)
    assert drive.frame(2).right_rgb is None


def test_bag_of_two_cameras_is_found_as_a_pair_with_its_baseline(tmp_path: Path):
    from monodepth2_training.data.bags import choose_stereo_pair

    from monodepth2_ros.recordings import open_recording

    path = tmp_path / 'pair'
    assert main(['generate', str(path), *SMALL, '--baseline-m', '0.54', '--device', 'cpu']) == 0
    with open_recording(path) as recording:
        left, right = choose_stereo_pair(recording)
        P = [
            np.array(recording.calibration(c.topics.image).P).reshape(3, 4) for c in (left, right)
        ]
    assert (left.name, right.name) == ('/camera', '/camera_right')
    np.testing.assert_allclose((P[0] - P[1])[0, 3] / P[0][0, 0], 0.54)
    ((_, mounting),) = messages(path, '/tf_static')
    assert [t.child_frame_id for t in mounting.transforms] == [
        'camera_optical_frame',
        'camera_right_optical_frame',
    ]
    assert mounting.transforms[1].transform.translation.y == -0.54


def test_variety_writes_the_camera_as_it_is(tmp_path: Path):
    path, seed = tmp_path / 'drive', '5'
    assert main(['generate', str(path), *SMALL, '--variety', '--seed', seed]) == 0
    settings = DriveSettings(frames=4, width=160, height=48, seed=int(seed), variety=True)
    rig = settings.rig()
    assert rig.lens.bends
    _, info = messages(path, '/camera/camera_info')[0]
    assert info.distortion_model == rig.lens.distortion_model
    np.testing.assert_array_equal(info.d, rig.lens.D)
    np.testing.assert_array_equal(info.k.reshape(3, 3), rig.lens.camera.K)
    _, image = messages(path, '/camera/image_raw')[0]
    assert image.encoding == ('rgb8' if rig.sensor.colour else 'mono8')
    ((_, mounting),) = messages(path, '/tf_static')
    transform = mounting.transforms[0].transform
    q = transform.rotation
    T = rig.mounting.T_camera_to_base()
    assert transform.translation.z == rig.mounting.up_m
    np.testing.assert_allclose([q.x, q.y, q.z, q.w], quaternion_xyzw(T[:3, :3]))


def test_depth_of_raw_pixels_is_truth_of_the_rectified_picture(tmp_path: Path):
    from monodepth2_training.evaluation.truth import find_topic, open_truth

    from monodepth2_ros.recordings import open_recording

    path = tmp_path / 'drive'
    assert main(['generate', str(path), *SMALL, '--variety', '--seed', '10']) == 0
    drive = Drive(
        DriveSettings(frames=4, width=160, height=48, seed=10, variety=True), torch.device('cpu')
    )
    straight = drive._renderer.render(Lens(camera=drive.camera), drive._exposure(0.2)).depth_m
    with open_recording(path) as recording:
        topic = find_topic(recording, '/camera/image_raw')
        assert topic == '/camera/depth/image_raw'
        depth_at = open_truth(recording, topic, '/camera/image_raw', drive.camera)
        message = list(recording.messages([topic]))[2]
        truth = depth_at(message, 0)
    both = np.isfinite(truth) & np.isfinite(straight.numpy())
    assert both.mean() > 0.4
    error = np.abs(truth[both] / straight.numpy()[both] - 1.0)
    assert np.median(error) < 0.01
    raw = drive.frame(2).depth_m
    unmoved = np.abs(raw[both] / straight.numpy()[both] - 1.0)
    assert np.median(error) < 0.5 * np.median(unmoved)
