# SPDX-License-Identifier: Apache-2.0
"""What training takes from recordings: the right cameras, all frames, odometry at any stamp."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pytest
from monodepth2_training.data.bags import choose_drive_camera, choose_stereo_pair, drive_frames
from monodepth2_training.data.odometry import ODOMETRY_TYPE, POSE_TYPES, read_odometry
from support.make_bag import CALIBRATION, START_NS, write_camera_bag

from monodepth2_ros.errors import CalibrationError, CameraChoiceError, ImageError, RecordingError
from monodepth2_ros.recordings import RecordingWriter, cdr, open_recording
from monodepth2_ros.recordings.messages import (
    CAMERA_INFO_TYPE,
    COMPRESSED_IMAGE_TYPE,
    IMAGE_TYPE,
)

SHARED = Path(__file__).resolve().parents[3] / 'shared' / 'data'
BASELINE_M = 0.5
RIGHT = replace(CALIBRATION, P=(50.0, 0, 31.5, -50 * BASELINE_M, 0, 50.0, 23.5, 0, 0, 0, 1.0, 0))
PIXELS = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)


def stamp_ns(index):
    return START_NS + index * 10**8


def raw(index, encoding='rgb8', pixels=PIXELS):
    return cdr.image(pixels, encoding=encoding, stamp_ns=stamp_ns(index), frame_id='camera')


def jpeg(index, pixels=PIXELS, quality=95):
    content = cdr.typestore().types[COMPRESSED_IMAGE_TYPE](
        header=cdr.header(stamp_ns(index), 'camera'),
        format='jpeg',
        data=cv2.imencode('.jpg', pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1],
    )
    return cdr.serialize(content, COMPRESSED_IMAGE_TYPE)


def info(index, calibration=CALIBRATION):
    return cdr.camera_info(calibration, stamp_ns=stamp_ns(index), frame_id='camera')


def write(path, streams, frames=3):
    """Write a bag of {topic: (type, index -> bytes)}."""
    with RecordingWriter(path) as writer:
        for topic, (type_name, _) in streams.items():
            writer.add_topic(topic, type_name)
        for index in range(frames):
            for topic, (_, make) in streams.items():
                writer.write(topic, stamp_ns(index), make(index))
    return path


def camera(namespace, calibration=CALIBRATION):
    return {
        f'{namespace}/image_raw': (IMAGE_TYPE, raw),
        f'{namespace}/camera_info': (CAMERA_INFO_TYPE, lambda index: info(index, calibration)),
    }


def depth(topic):
    return {topic: (IMAGE_TYPE, lambda index: raw(index, '32FC1', np.ones((48, 64), np.float32)))}


def chosen(path, wanted='', **options):
    with open_recording(path, **options) as recording:
        return choose_drive_camera(recording, wanted)


def pair(path, wanted=()):
    with open_recording(path) as recording:
        return [found.name for found in choose_stereo_pair(recording, wanted)]


def test_the_only_camera_is_found_by_type_and_depth_is_none(tmp_path):
    path = write(tmp_path / 'bag', camera('/front') | depth('/front/depth/image_rect'))
    found = chosen(path)
    assert (found.name, found.topics.image) == ('/front', '/front/image_raw')
    assert found.calibration.K == CALIBRATION.K


def test_the_camera_with_a_calibration_is_taken(tmp_path):
    path = write(tmp_path / 'bag', {'/a/image_raw': (IMAGE_TYPE, raw)} | camera('/b'))
    assert chosen(path).name == '/b'


def test_raw_and_compressed_images_of_one_camera_are_one_camera(tmp_path):
    streams = camera('/a') | {'/a/image_raw/compressed': (COMPRESSED_IMAGE_TYPE, jpeg)}
    path = write(tmp_path / 'bag', streams)
    assert chosen(path).topics.image == '/a/image_raw'
    assert chosen(path, '/a/image_raw/compressed').topics.compressed


def test_of_several_cameras_one_has_to_be_named_and_all_are_listed(tmp_path):
    path = write(tmp_path / 'bag', camera('/front') | camera('/rear'))
    with pytest.raises(RecordingError) as caught:
        chosen(path)
    text = str(caught.value)
    assert 'has 2 cameras: name one' in text
    assert (
        '/rear/image_raw  sensor_msgs/msg/Image  3 frames  64x48  10.0 Hz  calibration: '
        '/rear/camera_info'
    ) in text
    assert chosen(path, '/rear').name == '/rear'


def test_the_listed_rate_is_the_cameras_own(tmp_path):
    streams = camera('/front') | camera('/rear')
    with RecordingWriter(tmp_path / 'bag') as writer:
        for topic, (type_name, _) in streams.items():
            writer.add_topic(topic, type_name)
        writer.add_topic('/depth', IMAGE_TYPE)
        for index, (topic, (_, make)) in product(range(3), streams.items()):
            writer.write(topic, stamp_ns(index), make(index))
        late = raw(100, '32FC1', np.ones((48, 64), np.float32))
        writer.write('/depth', stamp_ns(100), late)
    with pytest.raises(CameraChoiceError, match=r'3 frames  64x48  10\.0 Hz'):
        chosen(tmp_path / 'bag')


def test_a_camera_without_calibration_is_refused_unless_one_is_given(tmp_path):
    path = write(tmp_path / 'bag', {'/a/image_raw': (IMAGE_TYPE, raw)})
    with pytest.raises(CalibrationError, match='has no calibration: record its camera_info'):
        chosen(path)
    assert chosen(path, calibration=CALIBRATION).calibration == CALIBRATION.checked()


def test_an_unusable_calibration_is_refused_with_what_to_do(tmp_path):
    path = write(tmp_path / 'bag', camera('/a', replace(CALIBRATION, K=(0.0,) * 9)))
    with pytest.raises(CalibrationError, match=r'/a/image_raw cannot be used: .*give a calibr'):
        chosen(path)


def test_a_calibration_that_comes_late_is_used(tmp_path):
    empty = replace(CALIBRATION, K=(0.0,) * 9, P=(0.0,) * 12)
    streams = camera('/a')
    streams['/a/camera_info'] = (
        CAMERA_INFO_TYPE,
        lambda index: info(index, CALIBRATION if index > 1 else empty),
    )
    assert chosen(write(tmp_path / 'bag', streams)).calibration == CALIBRATION.checked()


@pytest.mark.parametrize(
    ('P', 'fx_cx_fy_px'),
    [
        ((40.0, 0, 30.0, 0, 0, 41.0, 22.0, 0, 0, 0, 1.0, 0), (40.0, 30.0, 41.0)),
        ((0.0,) * 12, (CALIBRATION.K[0], CALIBRATION.K[2], CALIBRATION.K[4])),
    ],
)
def test_a_rectified_topic_is_not_rectified_again(P, fx_cx_fy_px, tmp_path):
    turned = (0.0, -1.0, 0, 1.0, 0, 0, 0, 0, 1.0)
    bent = replace(CALIBRATION, D=(0.1, 0, 0, 0, 0), R=turned, P=P)
    streams = {
        '/a/image_rect': (IMAGE_TYPE, raw),
        '/a/camera_info': (CAMERA_INFO_TYPE, lambda index: info(index, bent)),
    }
    found = chosen(write(tmp_path / 'bag', streams)).calibration
    assert not found.needs_rectification
    assert (found.K[0], found.K[2], found.K[4]) == fx_cx_fy_px


def test_a_stereo_pair_is_found_by_P_the_left_one_first(tmp_path):
    streams = camera('/b', CALIBRATION) | camera('/a', RIGHT) | camera('/c')
    streams['/c/camera_info'] = (CAMERA_INFO_TYPE, lambda index: info(index, other_focal_length()))
    path = write(tmp_path / 'bag', streams)
    assert pair(path) == ['/b', '/a']
    assert pair(path, ['/a', '/b']) == ['/b', '/a']
    assert pair(path, ['/a']) == ['/b', '/a']


def other_focal_length():
    P = (60.0, 0, 31.5, -30.0, 0, 60.0, 23.5, 0, 0, 0, 1.0, 0)
    return replace(CALIBRATION, P=P)


def test_of_a_stereo_pair_the_left_camera_is_trained_on(tmp_path):
    path = write(tmp_path / 'bag', camera('/a', RIGHT) | camera('/b'))
    assert chosen(path).name == '/b'


def test_without_a_stereo_pair_the_reason_and_the_cameras_are_told(tmp_path):
    path = write(tmp_path / 'bag', camera('/a') | camera('/b'))
    with pytest.raises(RecordingError, match=r'(?s)no stereo pair.*P\[0, 3\].*/b/image_raw'):
        pair(path)
    with (
        open_recording(path, calibration=CALIBRATION) as recording,
        pytest.raises(RecordingError, match='describes one camera'),
    ):
        choose_stereo_pair(recording)


def test_a_pair_that_fails_by_a_calibration_is_told_which_and_why(tmp_path):
    unusable = replace(RIGHT, K=(0.0,) * 9)
    path = write(tmp_path / 'bag', camera('/a') | camera('/b', unusable))
    told = r'/a/camera_info$(?s:.*)/b/camera_info, which cannot be used: .*not calibrated'
    with pytest.raises(RecordingError, match=f'(?m){told}'):
        pair(path)


def test_three_cameras_on_one_baseline_need_a_name(tmp_path):
    P = (50.0, 0, 31.5, -100.0, 0, 50.0, 23.5, 0, 0, 0, 1.0, 0)
    streams = camera('/a') | camera('/b', RIGHT) | camera('/c', replace(CALIBRATION, P=P))
    path = write(tmp_path / 'bag', streams)
    with pytest.raises(RecordingError, match='3 stereo pairs: name one'):
        pair(path)
    assert pair(path, ['/c', '/b']) == ['/b', '/c']


def test_frames_of_two_cameras_come_in_time_order_and_decode_to_their_pixels(tmp_path):
    path = write(tmp_path / 'bag', camera('/left') | camera('/right', RIGHT))
    with open_recording(path) as recording:
        frames = list(drive_frames(recording, choose_stereo_pair(recording)))
    assert [(frame.camera, frame.stamp_ns) for frame in frames] == [
        (camera, stamp_ns(index)) for index in range(3) for camera in (0, 1)
    ]
    assert all((frame.decode() == PIXELS).all() for frame in frames)


def test_a_grey_picture_can_stay_in_one_channel(tmp_path):
    grey = PIXELS[..., 0]
    path = write(
        tmp_path / 'bag',
        {'/a/image_raw': (IMAGE_TYPE, lambda index: raw(index, 'mono8', grey))},
    )
    with open_recording(path, calibration=CALIBRATION) as recording:
        frame = next(drive_frames(recording, [choose_drive_camera(recording)]))
    assert (frame.decode_unexpanded() == grey).all()
    assert (frame.decode() == grey[..., None]).all()


def test_damaged_messages_are_image_errors_and_the_stream_goes_on(tmp_path):
    def odd(index):
        whole = jpeg(index)
        return {1: whole[: len(whole) // 2], 2: whole[:8], 3: whole[:60] + b'\xff' * 9}.get(
            index, whole
        )

    path = write(tmp_path / 'bag', {'/a/image/compressed': (COMPRESSED_IMAGE_TYPE, odd)}, frames=5)
    good, bad = [], []
    with open_recording(path, calibration=CALIBRATION) as recording:
        for frame in drive_frames(recording, [choose_drive_camera(recording)]):
            try:
                frame.decode()
                good.append(frame.stamp_ns)
            except ImageError:
                bad.append(frame.stamp_ns)
    assert good == [stamp_ns(0), stamp_ns(4)]
    assert bad == [stamp_ns(1), stamp_ns(2), stamp_ns(3)]


def test_a_stamp_of_zero_is_replaced_by_the_time_of_recording(tmp_path):
    data = cdr.image(PIXELS, encoding='rgb8', stamp_ns=0, frame_id='camera')
    path = write(tmp_path / 'bag', {'/a/image_raw': (IMAGE_TYPE, lambda _: data)})
    with open_recording(path, calibration=CALIBRATION) as recording:
        frames = list(drive_frames(recording, [choose_drive_camera(recording)]))
    assert [frame.stamp_ns for frame in frames] == [stamp_ns(index) for index in range(3)]


def test_a_folder_of_images_and_a_video_are_cameras_too(tmp_path):
    folder = tmp_path / 'images'
    folder.mkdir()
    video = cv2.VideoWriter(
        str(tmp_path / 'drive.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 30.0, (64, 48)
    )
    for index in range(4):
        cv2.imwrite(str(folder / f'{index}.png'), PIXELS[..., ::-1])
        video.write(PIXELS[..., ::-1])
    video.release()
    for path in (folder, tmp_path / 'drive.avi'):
        with open_recording(path, calibration=CALIBRATION, fps=10.0) as recording:
            found = choose_drive_camera(recording)
            frames = list(drive_frames(recording, [found]))
        assert np.diff([frame.stamp_ns for frame in frames]).tolist() == [10**8] * 3
        assert frames[0].decode().shape == (48, 64, 3)
    with pytest.raises(CalibrationError, match='no calibration'):
        chosen(folder)


def test_streaming_needs_no_more_memory_for_a_longer_bag(tmp_path):
    path = tmp_path / 'bag'
    pixels = np.zeros((240, 320, 3), np.uint8)
    with RecordingWriter(path) as writer:
        writer.add_topic('/a/image_raw', IMAGE_TYPE)
        for index in range(100):
            writer.write('/a/image_raw', stamp_ns(index), raw(index, pixels=pixels))
    tracemalloc.start()
    with open_recording(path, calibration=CALIBRATION) as recording:
        count = sum(1 for _ in drive_frames(recording, [choose_drive_camera(recording)]))
        peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 100
    assert peak < 6e6 < 100 * pixels.nbytes / 3


def pose_content(index, type_name=ODOMETRY_TYPE, *, speed=None, yaw_rad=0.0, x=None):
    types = cdr.typestore().types
    place = types['geometry_msgs/msg/Point'](x=float(index if x is None else x), y=2.0, z=0.0)
    turn = types['geometry_msgs/msg/Quaternion'](
        x=0.0, y=0.0, z=np.sin(yaw_rad / 2), w=np.cos(yaw_rad / 2)
    )
    pose = types['geometry_msgs/msg/Pose'](position=place, orientation=turn)
    head = cdr.header(stamp_ns(index), 'odom')
    if type_name == POSE_TYPES[2]:
        return cdr.serialize(types[type_name](header=head, pose=pose), type_name)
    spread = types['geometry_msgs/msg/PoseWithCovariance'](pose=pose, covariance=np.zeros(36))
    if type_name == POSE_TYPES[1]:
        return cdr.serialize(types[type_name](header=head, pose=spread), type_name)
    vector = types['geometry_msgs/msg/Vector3']
    twist = types['geometry_msgs/msg/Twist'](
        linear=vector(x=float(speed or 0.0), y=0.0, z=0.0), angular=vector(x=0.0, y=0.0, z=0.0)
    )
    content = types[type_name](
        header=head,
        child_frame_id='base_link',
        pose=spread,
        twist=types['geometry_msgs/msg/TwistWithCovariance'](twist=twist, covariance=np.zeros(36)),
    )
    return cdr.serialize(content, type_name)


def odometry_of(tmp_path, streams, frames=4):
    with open_recording(write(tmp_path / 'bag', streams, frames)) as recording:
        return read_odometry(recording)


def test_odometry_is_interpolated_in_place_and_on_the_sphere(tmp_path):
    yaws = (0.0, 1.0, 1.0, 4.0)

    def make(index):
        return pose_content(index, speed=index, yaw_rad=yaws[index])

    odometry = odometry_of(tmp_path, {'/odom': (ODOMETRY_TYPE, make)})
    at = odometry.at(np.array([stamp_ns(0) + 25 * 10**6, stamp_ns(2), stamp_ns(3)]))
    assert at[0, :3] == pytest.approx([0.25, 2.0, 0.0])
    assert at[0, 3:7] == pytest.approx([0, 0, np.sin(0.125), np.cos(0.125)])
    assert at[:, 7] == pytest.approx([0.25, 2.0, 3.0])
    # From 1 to 4 rad the shorter way is through 2.5 rad; the quaternion's sign is free.
    half = odometry.at(np.array([stamp_ns(2) + 50 * 10**6]))[0]
    assert abs(half[3:7] @ [0, 0, np.sin(1.25), np.cos(1.25)]) == pytest.approx(1.0)


def test_odometry_is_unknown_outside_its_time_and_across_gaps(tmp_path):
    path = tmp_path / 'bag'
    with RecordingWriter(path) as writer:
        writer.add_topic('/odom', ODOMETRY_TYPE)
        for index in (0, 1, 8, 9):
            writer.write('/odom', stamp_ns(index), pose_content(index, speed=1.0))
    with open_recording(path) as recording:
        odometry = read_odometry(recording)
    wanted = [-1, 0, 1, 2, 7, 8, 9, 10]
    known = np.isfinite(odometry.at(np.array([stamp_ns(index) for index in wanted])))
    assert known.all(axis=1).tolist() == [False, True, True, False, False, True, True, False]
    assert (known.all(axis=1) == known.any(axis=1)).all()


@pytest.mark.parametrize('type_name', POSE_TYPES)
def test_speed_comes_from_the_positions_where_none_was_recorded(tmp_path, type_name):
    def make(index):
        return pose_content(index, type_name, x=index * 0.3)

    odometry = odometry_of(tmp_path, {'/pose': (type_name, make)})
    assert odometry.topic == '/pose'
    assert odometry.speeds_m_s == pytest.approx([3.0] * 4)


def test_damaged_odometry_is_left_out_and_counted(tmp_path):
    def make(index):
        whole = pose_content(index, speed=1.0)
        return whole[:40] if index == 1 else pose_content(1, x=np.nan) if index == 2 else whole

    odometry = odometry_of(tmp_path, {'/odom': (ODOMETRY_TYPE, make)})
    assert odometry.stamps_ns.tolist() == [stamp_ns(0), stamp_ns(3)]
    assert odometry.damaged == 2


def test_odometry_is_preferred_to_poses_and_may_be_named(tmp_path):
    streams = {
        '/a': (POSE_TYPES[2], lambda index: pose_content(index, POSE_TYPES[2])),
        '/b': (ODOMETRY_TYPE, lambda index: pose_content(index, speed=1.0)),
    }
    with open_recording(write(tmp_path / 'bag', streams)) as recording:
        assert read_odometry(recording).topic == '/b'
        assert read_odometry(recording, '/a').topic == '/a'
    with open_recording(write_camera_bag(tmp_path / 'camera')) as recording:
        assert read_odometry(recording) is None
        with pytest.raises(RecordingError, match='holds sensor_msgs/msg/Image, expected odometry'):
            read_odometry(recording, '/camera/image_raw')


def test_the_real_stereo_drive_is_found_without_a_word():
    folder = SHARED / 'kitti_0039'
    if not folder.exists():
        pytest.skip('the real recording kitti_0039 is not on this machine')
    with open_recording(folder) as recording:
        left, right = choose_stereo_pair(recording)
        assert (left.name, right.name) == ('/camera/left', '/camera/right')
        assert choose_drive_camera(recording) == left
        baseline_m = -right.calibration.P[3] / right.calibration.P[0]
        assert baseline_m == pytest.approx(0.5372, abs=1e-3)
        frame = next(drive_frames(recording, (left, right)))
        assert frame.decode().shape == (512, 1392, 3)
        odometry = read_odometry(recording)
        assert odometry.damaged == 0
        assert 2.0 < np.median(odometry.speeds_m_s) < 9.3
