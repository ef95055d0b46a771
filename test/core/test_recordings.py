# SPDX-License-Identifier: Apache-2.0
"""Recordings: what is written reads back, damage is named, and real bags of every kind open."""

from __future__ import annotations

import resource
import shutil
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.enums import CompressionFormat, CompressionMode
from rosbags.typesys import Stores, get_typestore

from monodepth2_ros.errors import RecordingError
from monodepth2_ros.geometry.camera import CameraCalibration
from monodepth2_ros.recordings import (
    RecordingWriter,
    cdr,
    choose_camera,
    image_frames,
    open_recording,
)
from monodepth2_ros.recordings.cameras import cameras
from monodepth2_ros.recordings.messages import (
    CAMERA_INFO_TYPE,
    COMPRESSED_IMAGE_TYPE,
    IMAGE_TYPE,
)

SHARED = Path(__file__).resolve().parents[3] / 'shared' / 'data'
CALIBRATION = CameraCalibration(
    width=8,
    height=6,
    D=(0.1, 0.0, 0.0, 0.0, 0.0),
    K=(7.0, 0.0, 3.5, 0.0, 7.0, 2.5, 0.0, 0.0, 1.0),
    P=(7.0, 0.0, 3.5, 0.0, 0.0, 7.0, 2.5, 0.0, 0.0, 0.0, 1.0, 0.0),
)


def picture(index):
    return np.full((6, 8, 3), index, np.uint8)


def image(index, encoding='rgb8', pixels=None):
    pixels = picture(index) if pixels is None else pixels
    return cdr.image(pixels, encoding=encoding, stamp_ns=index * 10**8, frame_id='cam')


def info(index):
    return cdr.camera_info(CALIBRATION, stamp_ns=index * 10**8, frame_id='cam')


def write_camera(path, indices=range(10), namespace='/camera'):
    with RecordingWriter(path) as writer:
        writer.add_topic(f'{namespace}/image_raw', IMAGE_TYPE)
        writer.add_topic(f'{namespace}/camera_info', CAMERA_INFO_TYPE)
        for index in indices:
            writer.write(f'{namespace}/image_raw', index * 10**8, image(index))
            writer.write(f'{namespace}/camera_info', index * 10**8, info(index))
    return path


def write_plain(path, storage, mode=CompressionMode.NONE):
    with_compression = Writer(path, version=8, storage_plugin=storage)
    with_compression.set_compression(mode, CompressionFormat.ZSTD)
    with with_compression as writer:
        link = writer.add_connection('/camera/image_raw', IMAGE_TYPE, typestore=cdr.typestore())
        for index in range(10):
            writer.write(link, index * 10**8, image(index))
    return path


def stamps(path, **wanted):
    with open_recording(path) as recording:
        return [message.stamp_ns // 10**8 for message in recording.messages(**wanted)]


def shared(name):
    path = SHARED / name
    if not path.exists():
        pytest.skip(f'the real recording {name} is not on this machine')
    return path


def test_what_is_written_reads_back(tmp_path):
    with open_recording(write_camera(tmp_path / 'bag')) as recording:
        frames = list(image_frames(recording))
        assert [stamp for stamp, _ in frames] == [index * 10**8 for index in range(10)]
        assert bytes(frames[3][1].data) == picture(3).tobytes()
        assert (frames[3][1].encoding, frames[3][1].step) == ('rgb8', 24)
        assert recording.calibration('/camera/image_raw') == CALIBRATION
        assert recording.duration_s == pytest.approx(0.9)
        assert [(topic.name, topic.count) for topic in recording.topics] == [
            ('/camera/camera_info', 10),
            ('/camera/image_raw', 10),
        ]


@pytest.mark.parametrize('storage', list(StoragePlugin))
@pytest.mark.parametrize(
    'mode', [CompressionMode.NONE, CompressionMode.FILE, CompressionMode.MESSAGE]
)
def test_every_storage_and_compression_reads_the_same(tmp_path, storage, mode):
    path = write_plain(tmp_path / 'bag', storage, mode)
    assert stamps(path) == list(range(10))
    with open_recording(path) as recording:
        assert bytes(next(image_frames(recording))[1].data) == picture(0).tobytes()
        check_two_streams(recording)


def check_two_streams(recording):
    """One is read in the middle of the other, as the odometry is among the pictures."""
    alone = list(recording.messages())
    stream = recording.messages()
    begun = list(islice(stream, len(alone) // 3))
    assert list(recording.messages()) == alone == begun + list(stream)


@pytest.mark.parametrize('suffix', ['.mcap', '.db3.zstd'])
def test_a_single_file_is_a_recording(tmp_path, suffix):
    storage = StoragePlugin.MCAP if suffix == '.mcap' else StoragePlugin.SQLITE3
    mode = CompressionMode.FILE if suffix.endswith('.zstd') else CompressionMode.NONE
    folder = write_plain(tmp_path / 'bag', storage, mode)
    assert stamps(folder / f'bag{suffix}') == list(range(10))


def test_a_name_that_begins_like_a_home_folder_is_one_like_any(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(stamps(write_camera(Path('~nobody_of_this_name')))) == 20
    with pytest.raises(RecordingError, match='~nor_this_one does not exist'):
        open_recording('~nor_this_one')


def test_a_part_of_the_time_and_of_the_topics_is_read(tmp_path):
    path = write_camera(tmp_path / 'bag')
    names = ['/camera/image_raw']
    assert stamps(path, topics=names, start_ns=3 * 10**8, end_ns=6 * 10**8) == [3, 4, 5]
    with (
        open_recording(path) as recording,
        pytest.raises(RecordingError, match=r"no topic '/x'; it has: /camera/camera_info, /cam"),
    ):
        next(recording.messages(['/x']))


@pytest.mark.parametrize(
    'text',
    [
        None,
        '',
        'just words',
        'a: [1',
        'rosbag2_bagfile_information:\n  relative_file_p',
        'rosbag2_bagfile_information:\n  relative_file_paths: []',
        'rosbag2_bagfile_information:\n  relative_file_paths: bag.mcap',
        'rosbag2_bagfile_information:\n  relative_file_paths: [1, 2]',
    ],
)
def test_lost_metadata_is_told_and_the_bag_plays(tmp_path, text):
    path = write_camera(tmp_path / 'bag')
    (path / 'metadata.yaml').unlink()
    if text is not None:
        (path / 'metadata.yaml').write_text(text)
    with open_recording(path) as recording:
        assert len(list(recording.messages())) == 20
        assert 'metadata.yaml is ' in recording.notes[0]
        assert 'played the 1 storage files' in recording.notes[0]


def split_bag(tmp_path):
    """Two parts, in one folder, that overlap in time."""
    first = write_camera(tmp_path / 'bag_0', range(0, 10, 2))
    second = write_camera(tmp_path / 'bag_1', range(1, 10, 2))
    folder = tmp_path / 'split'
    folder.mkdir()
    shutil.copy(first / 'bag_0.mcap', folder)
    shutil.copy(second / 'bag_1.mcap', folder)
    names = ''.join(f'  - bag_{number}.mcap\n' for number in range(3))
    (folder / 'metadata.yaml').write_text(
        f'rosbag2_bagfile_information:\n  relative_file_paths:\n{names}'
    )
    return folder


def test_splits_merge_in_time_order_and_missing_ones_are_named(tmp_path):
    folder = split_bag(tmp_path)
    assert stamps(folder, topics=['/camera/image_raw']) == list(range(10))
    with open_recording(folder) as recording:
        assert recording.notes == ('1 of 3 parts are missing: bag_2.mcap',)
        assert recording.topic('/camera/image_raw').count == 10


def test_a_part_that_is_no_bag_is_named_and_the_others_play(tmp_path):
    folder = split_bag(tmp_path)
    (folder / 'bag_0.mcap').write_bytes(b'no bag at all')
    assert stamps(folder, topics=['/camera/image_raw']) == [1, 3, 5, 7, 9]
    with open_recording(folder) as recording:
        assert 'bag_0.mcap is no readable bag' in recording.notes[1]


@pytest.mark.parametrize('share', [0.0, 0.02])
@pytest.mark.parametrize('storage', list(StoragePlugin))
def test_a_bag_cut_off_before_its_first_message_is_refused_with_the_reason(
    tmp_path, storage, share
):
    folder = write_plain(tmp_path / 'bag', storage)
    (part,) = (path for path in folder.iterdir() if path.name != 'metadata.yaml')
    content = part.read_bytes()
    part.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(RecordingError, match=r'bag cannot be read: bag\.\w+ is '):
        open_recording(folder)


@pytest.mark.parametrize('seed', range(30))
def test_flipped_bytes_never_raise_anything_but_a_recording_error(tmp_path, seed):
    path = write_camera(tmp_path / 'bag')
    part = path / 'bag.mcap'
    content = np.frombuffer(part.read_bytes(), np.uint8).copy()
    generator = np.random.default_rng(seed)
    content[generator.integers(0, content.size, 20)] ^= generator.integers(1, 255, 20, np.uint8)
    part.write_bytes(content.tobytes())
    try:
        with open_recording(path) as recording:
            for _ in image_frames(recording):
                pass
    except RecordingError as err:
        assert str(path) in str(err) or '/camera' in str(err)


def test_what_is_no_recording_is_refused_by_name(tmp_path):
    with pytest.raises(RecordingError, match='does not exist: expected a rosbag2 folder'):
        open_recording(tmp_path / 'nothing')
    with pytest.raises(RecordingError, match='holds no recording: expected a rosbag2 folder'):
        open_recording(tmp_path)
    (tmp_path / 'notes.txt').write_text('x')
    with pytest.raises(RecordingError, match='is not a recording by its name'):
        open_recording(tmp_path / 'notes.txt')
    (tmp_path / 'a.mcap').write_text('x')
    with pytest.raises(RecordingError, match=r'a\.mcap cannot be read: a\.mcap is no readable'):
        open_recording(tmp_path / 'a.mcap')


def test_a_bag_without_messages_is_refused(tmp_path):
    with RecordingWriter(tmp_path / 'bag') as writer:
        writer.add_topic('/camera/image_raw', IMAGE_TYPE)
    with pytest.raises(RecordingError, match='intact bag without any message'):
        open_recording(tmp_path / 'bag')


def test_the_left_calibrated_camera_is_chosen_and_depth_is_no_camera(tmp_path):
    with RecordingWriter(tmp_path / 'bag') as writer:
        for side in ('right', 'left'):
            writer.add_topic(f'/{side}/image_raw', IMAGE_TYPE)
            writer.add_topic(f'/{side}/camera_info', CAMERA_INFO_TYPE)
            writer.write(f'/{side}/image_raw', 0, image(0))
            writer.write(f'/{side}/camera_info', 0, info(0))
        writer.add_topic('/a/depth', IMAGE_TYPE)
        depth = np.ones((6, 8), np.float32)
        writer.write('/a/depth', 0, image(0, '32FC1', depth))
    with open_recording(tmp_path / 'bag') as recording:
        assert [camera.image for camera in cameras(recording)] == [
            '/left/image_raw',
            '/right/image_raw',
        ]
        assert choose_camera(recording).info == '/left/camera_info'
        assert choose_camera(recording, '/right').image == '/right/image_raw'
        with pytest.raises(RecordingError, match="no camera '/up'; its cameras are: /left/image"):
            choose_camera(recording, '/up')


def compressed(form):
    content = cdr.typestore().types[COMPRESSED_IMAGE_TYPE](
        header=cdr.header(0, 'cam'), format=form, data=np.zeros(8, np.uint8)
    )
    return cdr.serialize(content, COMPRESSED_IMAGE_TYPE)


def test_compressed_depth_is_no_camera_either(tmp_path):
    forms = {
        '/camera/aligned_depth_to_color/image_raw/compressed': '16UC1; png compressed ',
        '/camera/color/image_raw/compressed': 'rgb8; jpeg compressed bgr8',
        '/camera/plain/image_raw/compressed': 'jpeg',
        '/camera/range/compressed': '32FC1; tiff compressed',
    }
    with RecordingWriter(tmp_path / 'bag') as writer:
        for name, form in forms.items():
            writer.add_topic(name, COMPRESSED_IMAGE_TYPE)
            writer.write(name, 0, compressed(form))
    with open_recording(tmp_path / 'bag') as recording:
        assert recording.image_topics() == (
            '/camera/color/image_raw/compressed',
            '/camera/plain/image_raw/compressed',
        )
        assert choose_camera(recording).image == '/camera/color/image_raw/compressed'


def test_a_given_calibration_overrides_the_recorded_one(tmp_path):
    other = CameraCalibration(width=8, height=6, K=(9.0, 0, 4, 0, 9, 3, 0, 0, 1))
    path = write_camera(tmp_path / 'bag')
    with open_recording(path, calibration=other) as recording:
        assert recording.calibration('/camera/image_raw') == other


def test_writing_refuses_what_it_cannot_describe(tmp_path):
    with RecordingWriter(tmp_path / 'bag') as writer:
        with pytest.raises(RecordingError, match="no definition of the message type 'my/msg/Own'"):
            writer.add_topic('/own', 'my/msg/Own')
        with pytest.raises(RecordingError, match='/image was not announced'):
            writer.write('/image', 0, b'')
    with pytest.raises(RecordingError, match='exists already'):
        RecordingWriter(tmp_path / 'bag')


def test_an_interrupted_bag_keeps_what_was_written(tmp_path):
    with pytest.raises(KeyboardInterrupt), RecordingWriter(tmp_path / 'bag') as writer:
        writer.add_topic('/camera/image_raw', IMAGE_TYPE)
        writer.write('/camera/image_raw', 5 * 10**8, image(5))
        raise KeyboardInterrupt
    assert stamps(tmp_path / 'bag') == [5]


def test_a_full_disk_is_told_with_what_was_written(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    writer = RecordingWriter(tmp_path / 'bag')
    writer.add_topic('/a', 'std_msgs/msg/String')
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, limits[1]))
    lost = r'too large; \d+ messages written, those of the last chunk may be lost'
    try:
        with pytest.raises(RecordingError, match=f'cannot write to .*{lost}'):
            for stamp_ns in range(100):
                writer.write('/a', stamp_ns, bytes(200_000))
        with pytest.raises(RecordingError, match=f'cannot complete .*{lost}'):
            writer.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert 5 <= writer.counts['/a'] <= 15


def test_definitions_and_offered_qos_are_embedded(tmp_path):
    from mcap.reader import make_reader

    with RecordingWriter(tmp_path / 'bag') as writer:
        writer.add_topic('/camera/image_raw', IMAGE_TYPE)
        writer.add_topic('/tf_static', 'tf2_msgs/msg/TFMessage', latched=True)
        writer.write('/camera/image_raw', 0, image(0))
    with (tmp_path / 'bag' / 'bag.mcap').open('rb') as stream:
        summary = make_reader(stream).get_summary()
    schema = next(item for item in summary.schemas.values() if item.name == IMAGE_TYPE)
    assert schema.encoding == 'ros2msg'
    assert b'MSG: std_msgs/Header' in schema.data
    with open_recording(tmp_path / 'bag') as recording:
        assert recording.topic('/tf_static').latched
        assert not recording.topic('/camera/image_raw').latched


def test_a_patched_stamp_changes_nothing_else():
    data = cdr.restamped(image(3), 1_234_567_890_123_456_789)
    assert cdr.header_stamp_ns(data) == 1_234_567_890_123_456_789
    assert cdr.restamped(data, 3 * 10**8) == image(3)
    assert cdr.begins_with_header(IMAGE_TYPE)
    assert not cdr.begins_with_header('tf2_msgs/msg/TFMessage')
    with pytest.raises(RecordingError, match='3 bytes holds no header'):
        cdr.header_stamp_ns(b'abc')


@pytest.mark.parametrize(
    ('name', 'messages', 'images'),
    [
        ('kitti_0039', 1857, 319),
        ('hololens_rgbd', 1000, 200),
        ('bags/test_bag_mcap', 188, 2),
        ('bags/test_bag_sqlite3', 188, 2),
        ('bags/mcap_zstd_messages', 2, 2),
        ('bags/ros1/ros_numpy_test.bag', 9, 1),
    ],
)
def test_real_bags_read_in_full(name, messages, images):
    with open_recording(shared(name)) as recording:
        assert sum(1 for _ in recording.messages()) == messages == recording.message_count
        frames = list(image_frames(recording))
        assert len(frames) == images
        assert all(len(frame.data) for _, frame in frames)


@pytest.mark.parametrize('name', ['example', 'example-lz4', 'example-bz2'])
def test_real_ros1_bags_read_in_full(name):
    with open_recording(shared(f'bags/ros1/{name}.bag')) as recording:
        assert sum(1 for _ in recording.messages()) == 8647
        assert recording.topic('/tf').type == 'tf2_msgs/msg/TFMessage'
        twist = cdr.parse(next(recording.messages(['/turtle1/cmd_vel'])))
        assert np.isfinite(twist.linear.x)
        check_two_streams(recording)


def write_ros1(path):
    with Ros1Writer(path) as writer:
        types = get_typestore(Stores.ROS1_NOETIC)
        link = writer.add_connection('/chat', 'std_msgs/msg/String', typestore=types)
        for index in range(10):
            writer.write(link, index * 10**8, b'\2\0\0\0hi')
    return path


def test_a_ros1_bag_that_its_recorder_closed_plays_under_either_name(tmp_path):
    for name in ('drive.bag', 'drive.bag.active'):
        with open_recording(write_ros1(tmp_path / name)) as recording:
            assert len(list(recording.messages())) == recording.message_count == 10


def test_a_ros1_type_with_two_definitions_is_read_by_each_of_them(tmp_path):
    one, two = 'int32 a', 'int32 a\nint32 b'
    nested = f'my_msgs/Foo foo\n{"=" * 80}\nMSG: my_msgs/Foo\n{two}'
    links = {
        '/one': ('my_msgs/msg/Foo', one, 4),
        '/two': ('my_msgs/msg/Foo', two, 8),
        '/nested': ('my_msgs/msg/Bar', nested, 8),
    }
    with Ros1Writer(tmp_path / 'merged.bag') as writer:
        for number, (topic, (kind, text, size)) in enumerate(links.items()):
            link = writer.add_connection(topic, kind, msgdef=text, md5sum=f'{number:032}')
            writer.write(link, number, bytes(range(size)))
    with open_recording(tmp_path / 'merged.bag') as recording:
        found = {message.topic: message.data for message in recording.messages()}
        assert recording.notes == ()
    assert found == {
        topic: b'\0\1\0\0' + bytes(range(size)) for topic, (_, _, size) in links.items()
    }


def test_a_ros1_definition_without_equal_is_left_out_and_not_called_damage(tmp_path):
    with Ros1Writer(tmp_path / 'merged.bag') as writer:
        for number, text in enumerate(('int32 data', 'int64 data')):
            link = writer.add_connection('/n', 'std_msgs/msg/Int32', msgdef=text, md5sum='0' * 32)
            writer.write(link, number, bytes(4 * number + 4))
    with open_recording(tmp_path / 'merged.bag') as recording:
        assert [message.stamp_ns for message in recording.messages()] == [0]
        (note,) = recording.notes
    assert note == 'messages of type std_msgs/msg/Int32 have no equal in ROS 2 and are left out'


def test_what_never_was_a_ros1_bag_is_refused(tmp_path):
    (tmp_path / 'drive.bag').write_text('something else')
    with pytest.raises(RecordingError, match=r'no readable ROS 1 bag .*does not begin like one'):
        open_recording(tmp_path / 'drive.bag')


@pytest.mark.parametrize(
    ('name', 'reason'),
    [('empty-file', 'seems to be empty'), ('no-messages', 'without any message')],
)
def test_real_bags_without_content_are_refused(name, reason):
    with pytest.raises(RecordingError, match=reason):
        open_recording(shared(f'bags/ros1/{name}.bag'))
