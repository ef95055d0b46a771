# SPDX-License-Identifier: Apache-2.0
"""What a player publishes and when, and how a recorder counts, without ROS."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from support.make_bag import CALIBRATION, START_NS, camera_info, image, write_camera_bag

from monodepth2_ros.errors import RecordingError
from monodepth2_ros.geometry.camera import CameraCalibration
from monodepth2_ros.recordings import Message, RecordingWriter, cdr, open_recording
from monodepth2_ros.recordings.messages import CAMERA_INFO_TYPE, IMAGE_TYPE
from monodepth2_ros.recordings.playback import make_clip
from monodepth2_ros.recordings.progress import Progress, Tally
from monodepth2_ros.recordings.timeline import Timeline
from monodepth2_ros.recordings.transit import Transit


@pytest.fixture
def recording(tmp_path):
    with open_recording(write_camera_bag(tmp_path / 'bag')) as opened:
        yield opened


def test_due_times_follow_from_the_start_alone():
    timeline = Timeline(start_ns=10**9, start_clock_s=100.0, rate=2.0)
    assert timeline.due_s(10**9) == 100.0
    assert timeline.due_s(5 * 10**9) == 102.0
    assert timeline.stamp_at(102.0) == 5 * 10**9


def test_shifted_stamps_keep_intervals_at_the_playing_rate():
    timeline = Timeline(start_ns=1000, start_clock_s=0.0, rate=2.0, played_ns=50_000)
    assert [timeline.played_stamp(stamp) for stamp in (1000, 1200, 0)] == [50_000, 50_100, 49_500]
    kept = Timeline(start_ns=1000, start_clock_s=0.0)
    assert kept.played_stamp(1234) == 1234


def test_messages_without_a_header_keep_their_bytes():
    timeline = Timeline(start_ns=0, start_clock_s=0.0, played_ns=5)
    message = Message(topic='/a', type='std_msgs/msg/String', stamp_ns=0, data=b'\0\1\0\0abcd1234')
    assert timeline.played_bytes(message) == message.data


@pytest.mark.parametrize('size', [0, 1, 3, 11])
def test_a_message_that_ends_in_its_header_is_played_as_it_is(size):
    timeline = Timeline(start_ns=0, start_clock_s=0.0, played_ns=5)
    message = Message(topic='/a', type=IMAGE_TYPE, stamp_ns=0, data=image(0, 0)[:size])
    assert timeline.played_bytes(message) == message.data


def test_a_header_of_a_clock_that_is_decades_ahead_keeps_its_stamp():
    """A simulator's recording, which begins near 0, of a driver that takes the time of day."""
    timeline = Timeline(start_ns=0, start_clock_s=0.0, played_ns=START_NS)
    message = Message(topic='/a', type=IMAGE_TYPE, stamp_ns=0, data=image(0, START_NS))
    assert timeline.played_bytes(message) == message.data
    near = replace(message, data=image(0, 7))
    assert cdr.header_stamp_ns(timeline.played_bytes(near)) == START_NS + 7


@pytest.mark.parametrize('rate', [0.9, 1.0, 2.0])
def test_stamps_of_a_simulator_begin_now_and_keep_their_distances(rate):
    now_ns = START_NS + 10**15
    timeline = Timeline(start_ns=START_NS, start_clock_s=0.0, rate=rate, played_ns=now_ns)
    played = []
    for index in range(3):
        recorded_ns = START_NS + 10**8 + index * 10**8
        picture = Message(
            topic='/a', type=IMAGE_TYPE, stamp_ns=recorded_ns, data=image(0, index * 3 * 10**7)
        )
        info = replace(
            picture,
            type=CAMERA_INFO_TYPE,
            stamp_ns=recorded_ns + 10**6,
            data=camera_info(index * 3 * 10**7),
        )
        played.append(cdr.header_stamp_ns(timeline.played_bytes(picture)))
        assert cdr.header_stamp_ns(timeline.played_bytes(info)) == played[-1]
    after_ns = [stamp_ns - now_ns for stamp_ns in played]
    assert after_ns == pytest.approx([(10 + 3 * index) * 10**7 / rate for index in range(3)])


def test_clocks_that_differ_begin_at_the_time_of_their_own_first_message():
    timeline = Timeline(start_ns=START_NS, start_clock_s=0.0, played_ns=START_NS + 10**15)
    stamps = []
    for after_ns, header_ns in ((0, 7), (5, START_NS + 5), (6, START_NS // 2), (9, 10)):
        message = Message(
            topic='/a', type=IMAGE_TYPE, stamp_ns=START_NS + after_ns, data=image(0, header_ns)
        )
        stamps.append(cdr.header_stamp_ns(timeline.played_bytes(message)))
    assert stamps == [START_NS + 10**15 + after_ns for after_ns in (0, 5, 6, 3)]


def test_each_transform_is_shifted():
    types = cdr.typestore().types
    transforms = [
        types['geometry_msgs/msg/TransformStamped'](
            header=cdr.header(stamp_ns, 'map'),
            child_frame_id=child,
            transform=types['geometry_msgs/msg/Transform'](
                translation=types['geometry_msgs/msg/Vector3'](1.0, 2.0, 3.0),
                rotation=types['geometry_msgs/msg/Quaternion'](0.0, 0.0, 0.0, 1.0),
            ),
        )
        for stamp_ns, child in ((START_NS + 3, 'base'), (START_NS + 2 * 10**9, 'camera'))
    ]
    content = types[cdr.TRANSFORMS_TYPE](transforms=transforms)
    message = Message(
        topic='/tf',
        type=cdr.TRANSFORMS_TYPE,
        stamp_ns=START_NS,
        data=cdr.serialize(content, cdr.TRANSFORMS_TYPE),
    )
    timeline = Timeline(start_ns=START_NS, start_clock_s=0.0, played_ns=5 * 10**9)
    played = cdr.parse(replace(message, data=timeline.played_bytes(message)))
    stamps = [(each.header.stamp.sec, each.header.stamp.nanosec) for each in played.transforms]
    assert stamps == [(5, 3), (7, 0)]
    assert played.transforms[1].child_frame_id == 'camera'
    assert played.transforms[0].transform == transforms[0].transform
    cut = replace(message, data=message.data[:40])
    assert timeline.played_bytes(cut) == cut.data


def test_a_clip_plays_all_topics_under_their_names(recording):
    clip = make_clip(recording)
    assert {name: route.topic for name, route in clip.routes.items()} == {
        '/camera/camera_info': '/camera/camera_info',
        '/camera/image_raw': '/camera/image_raw',
    }
    assert clip.image_topics == {'/camera/image_raw'}


def test_a_chosen_camera_goes_to_relative_names_and_others_keep_theirs(recording):
    clip = make_clip(recording, camera='/camera', topics=['/camera/camera_info'])
    assert clip.routes['/camera/image_raw'].topic == 'image'
    assert clip.routes['/camera/camera_info'].topic == 'camera_info'


@pytest.mark.parametrize(
    ('start_s', 'duration_s', 'first', 'count'),
    [(0.0, 0.0, 0, 10), (0.1, 0.0, 2, 8), (0.1, 0.1, 2, 2), (0.45, 9.0, 9, 1)],
)
def test_a_clip_ends_where_its_duration_does(recording, start_s, duration_s, first, count):
    clip = make_clip(recording, camera='auto', start_s=start_s, duration_s=duration_s)
    played = [each.stamp_ns for each in clip.messages() if each.topic == '/camera/image_raw']
    assert len(played) == count
    assert played[0] == START_NS + first * 50_000_000


def test_a_given_calibration_precedes_every_image(tmp_path):
    other = CameraCalibration(width=64, height=48, K=(60.0, 0, 31, 0, 60, 23, 0, 0, 1))
    path = write_camera_bag(tmp_path / 'bag', frames=3)
    with open_recording(path, calibration=other) as recording:
        messages = list(make_clip(recording, camera='auto').messages())
    assert [message.type.rpartition('/')[2] for message in messages] == ['CameraInfo', 'Image'] * 3
    assert cdr.parse_calibration(messages[0]) == other != CALIBRATION
    assert cdr.header_frame_id(messages[2].data) == 'camera'


def test_an_image_without_a_whole_header_does_not_end_the_playing(tmp_path):
    with RecordingWriter(tmp_path / 'bag') as writer:
        writer.add_topic('/camera/image_raw', IMAGE_TYPE)
        for index, data in enumerate((image(0, 1), image(1, 2)[:9], image(2, 3))):
            writer.write('/camera/image_raw', index + 1, data)
    with open_recording(tmp_path / 'bag', calibration=CALIBRATION) as recording:
        messages = list(make_clip(recording, camera='auto').messages())
    kinds = [message.type.rpartition('/')[2] for message in messages]
    assert kinds == ['CameraInfo', 'Image', 'Image', 'CameraInfo', 'Image']


def test_what_cannot_be_played_is_refused(recording):
    with pytest.raises(RecordingError, match='nothing to play from 3 s'):
        make_clip(recording, start_s=3.0)
    with pytest.raises(RecordingError, match="no topic '/other'"):
        make_clip(recording, topics=['/other'])


def test_latched_messages_from_before_the_start_come_first(tmp_path):
    with RecordingWriter(tmp_path / 'bag') as writer:
        writer.add_topic('/latched', 'std_msgs/msg/String', latched=True)
        writer.add_topic('/other', 'std_msgs/msg/String')
        for index in range(1200):
            writer.write('/latched', index, b'\0\1\0\0\1\0\0\0\0')
            writer.write('/other', 10**9 + index, b'\0\1\0\0\1\0\0\0\0')
    with open_recording(tmp_path / 'bag') as recording:
        clip = make_clip(recording, start_s=1.0 + 1e-6)
        played = [(message.topic, message.stamp_ns) for message in clip.messages()]
    assert (clip.routes['/latched'].depth, clip.routes['/other'].depth) == (1000, 10)
    assert played[:1000] == [('/latched', index) for index in range(200, 1200)]
    assert played[1000:] == [('/other', 10**9 + index) for index in range(1000, 1200)]
    timeline = Timeline(start_ns=clip.start_ns, start_clock_s=100.0)
    assert timeline.due_s(200) == 100.0


def test_progress_is_said_once_a_period(recording):
    clip, tally = make_clip(recording), Tally(100.0)
    progress = Progress(clip, tally, 1.0, clock_s=100.0)
    tally.add('/camera/image_raw', 100.5, frame=True, late_s=0.002)
    assert progress.line(START_NS, 100.5) is None
    line = progress.line(START_NS + 225_000_000, 101.0)
    assert line == ' 50%  0.2 of 0.5 s  1 frames (1.0/s)  1 messages  at most 2 ms late'
    assert progress.line(START_NS, 101.5) is None
    assert tally.summary() == '1 frames, 1 messages in 0.5 s (2.0 frames/s), at most 2 ms late'


def test_latency_runs_from_an_image_to_the_depth_of_its_stamp():
    transit = Transit()
    for index in range(4):
        transit.image(index, index * 0.1)
    for index, latency_s in ((0, 0.05), (1, 0.07), (3, 0.03)):
        transit.depth(index, index * 0.1 + latency_s)
    assert transit.overtaken == 1
    summary = transit.summary()
    assert (summary.camera_frames, summary.depth_frames, summary.without_depth) == (4, 3, 1)
    assert summary.latency_p50_ms == pytest.approx(50.0)
    assert summary.latency_max_ms == pytest.approx(70.0)
    assert summary.camera_hz == pytest.approx(10.0)
    assert '4 in  3 out  1 dropped' in transit.line(0.4)


def test_depth_that_no_image_asked_for_is_counted_apart():
    transit = Transit()
    transit.depth(7, 1.0)
    summary = transit.summary()
    assert (summary.unasked_depth, summary.without_depth) == (1, 0)
    assert math.isnan(summary.latency_p50_ms)
    assert summary.as_dict()['latency_p50_ms'] is None


def test_depth_that_overtakes_its_image_is_neither_lost_nor_timed():
    transit = Transit()
    transit.depth(7, 1.0)
    transit.image(7, 1.1)
    summary = transit.summary()
    assert (summary.unasked_depth, summary.without_depth) == (0, 0)
    assert not transit.latencies_s
