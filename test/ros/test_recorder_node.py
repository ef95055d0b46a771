# SPDX-License-Identifier: Apache-2.0
"""The recorder stores the bytes that it hears and measures from image to depth."""

from __future__ import annotations

import json
import signal
import threading
import time

import pytest
from rclpy.parameter import Parameter
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String
from support.make_bag import START_NS, camera_info, image
from support.node_process import NodeProcess
from support.ros_harness import wait_until

from monodepth2_ros.errors import ConfigError, RecordingError
from monodepth2_ros.nodes.message_types import playing_qos
from monodepth2_ros.nodes.recorder_node import RecorderNode, Thinning
from monodepth2_ros.recordings import RecordingWriter, cdr, open_recording

RECORDED = ('image', 'camera_info', 'depth/image')


class Recorder:
    """A recorder that runs in a thread, and publishers to it."""

    def __init__(self, world, **parameters):
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        self.node = RecorderNode(context=world.context, parameter_overrides=overrides)
        self.thread = threading.Thread(target=self.node.run)
        self.thread.start()
        kinds = {'image': Image, 'camera_info': CameraInfo, 'depth/image': Image}
        self.publishers = {
            topic: world.node.create_publisher(kind, topic, 10) for topic, kind in kinds.items()
        }
        for publisher in self.publishers.values():
            wait_until(publisher.get_subscription_count)

    def send(self, topic, data):
        before = self.node.counts[f'/{topic}']
        self.publishers[topic].publish(data)
        wait_until(lambda: self.node.counts[f'/{topic}'] > before)

    def end(self):
        self.thread.join(20.0)
        assert not self.thread.is_alive()
        self.node.finish()
        self.node.destroy_node()


def stamp_of(index):
    return START_NS + index * 10**8


def test_messages_are_stored_as_they_came_and_matched_by_stamp(ros_world, tmp_path):
    files = {'bag': str(tmp_path / 'bag'), 'summary': str(tmp_path / 'summary.json')}
    recorder = Recorder(ros_world, idle_s=0.5, live=False, **files)
    for index in range(4):
        recorder.send('camera_info', camera_info(stamp_of(index)))
        recorder.send('image', image(index, stamp_of(index)))
        if index != 2:
            recorder.send('depth/image', image(index, stamp_of(index)))
    recorder.end()
    summary = json.loads((tmp_path / 'summary.json').read_text())
    assert (summary['camera_frames'], summary['depth_frames']) == (4, 3)
    assert summary['without_depth'] == 1
    assert 0 < summary['latency_p50_ms'] <= summary['latency_max_ms'] < 5000
    with open_recording(tmp_path / 'bag') as recording:
        stored = list(recording.messages(['/image']))
        assert [cdr.header_stamp_ns(message.data) for message in stored] == [
            stamp_of(index) for index in range(4)
        ]
        assert deserialize_message(stored[3].data, Image).data[0] == 3
        assert recording.topic('/depth/image').count == 3


def test_thinning_keeps_all_that_bears_a_kept_stamp(ros_world, tmp_path):
    recorder = Recorder(ros_world, bag=str(tmp_path / 'bag'), keep_every=2, idle_s=0.5, live=False)
    for index in range(5):
        recorder.send('image', image(index, stamp_of(index)))
        recorder.send('depth/image', image(index, stamp_of(index)))
    recorder.end()
    kept = [stamp_of(index) for index in (0, 2, 4)]
    with open_recording(tmp_path / 'bag') as recording:
        for topic in ('/image', '/depth/image'):
            messages = recording.messages([topic])
            assert [cdr.header_stamp_ns(message.data) for message in messages] == kept


def test_thinning_remembers_only_the_latest_stamps():
    thinning = Thinning(3)
    kept = [thinning.keeps(stamp_of(index)) for index in range(9000)]
    assert sum(kept) == 3000
    assert thinning.keeps(stamp_of(8997)) and not thinning.keeps(stamp_of(8998))
    assert len(thinning) <= 1000


def test_interrupts_that_follow_each_other_complete_the_bag(ros_world, tmp_path):
    process = NodeProcess('recorder_node', bag=tmp_path / 'bag', live=False)
    try:
        publisher = ros_world.node.create_publisher(CameraInfo, 'camera_info', 10)
        wait_until(publisher.get_subscription_count)
        for _ in range(15):
            process.process.send_signal(signal.SIGINT)
            time.sleep(0.001)
        code = process.end(signal.SIGINT, deadline_s=10)
        assert code == 0, process.lines
    finally:
        process.close()
    assert 'Traceback' not in ''.join(process.lines)
    assert (tmp_path / 'bag' / 'metadata.yaml').is_file()


def test_a_summary_that_cannot_be_written_is_named(ros_world, tmp_path):
    path = tmp_path / 'nowhere' / 'summary.json'
    overrides = [Parameter('summary', value=str(path))]
    node = RecorderNode(context=ros_world.context, parameter_overrides=overrides)
    with pytest.raises(RecordingError, match=r'summary\.json cannot be written: No such file'):
        node.finish()
    node.destroy_node()


def test_what_was_latched_before_the_start_is_recorded(ros_world, tmp_path):
    counts = {'/tf_static': 30, '/latched': 30, '/plain': 0}
    for topic, count in counts.items():
        qos = playing_qos(latched=count > 0, depth=100)
        publisher = ros_world.node.create_publisher(String, topic, qos)
        for index in range(30):
            publisher.publish(String(data=str(index)))
    topics = [f'{topic}:std_msgs/msg/String' for topic in counts]
    recorder = Recorder(
        ros_world, bag=str(tmp_path / 'bag'), topics=[*topics, *RECORDED], idle_s=0.5, live=False
    )
    wait_until(lambda: recorder.node.counts['/latched'] == 30)
    wait_until(lambda: recorder.node.counts['/tf_static'] == 30)
    publisher.publish(String(data='after'))
    wait_until(lambda: recorder.node.counts['/plain'])
    recorder.send('image', image(0, stamp_of(0)))
    recorder.end()
    with open_recording(tmp_path / 'bag') as recording:
        stored = {topic.name: (topic.count, topic.latched) for topic in recording.topics}
    assert stored['/latched'] == stored['/tf_static'] == (30, True)
    assert stored['/plain'] == (1, False)


def test_a_summary_is_written_even_if_the_bag_cannot_be_completed(
    ros_world, tmp_path, monkeypatch
):
    def fail(self):
        raise RecordingError('cannot complete the bag')

    files = {'bag': str(tmp_path / 'bag'), 'summary': str(tmp_path / 'summary.json')}
    recorder = Recorder(ros_world, idle_s=0.5, live=False, **files)
    recorder.send('image', image(0, stamp_of(0)))
    monkeypatch.setattr(RecordingWriter, 'close', fail)
    with pytest.raises(RecordingError, match='cannot complete'):
        recorder.end()
    recorder.node.destroy_node()
    assert json.loads((tmp_path / 'summary.json').read_text())['stored']['/image'] == 1


@pytest.mark.parametrize(
    'topics', [['image', '/mine:std_msgs/msg/Strin'], ['image', '/image:sensor_msgs/msg/Image']]
)
def test_topics_that_are_refused_leave_no_bag_behind(ros_world, tmp_path, topics):
    values = {'bag': str(tmp_path / 'bag'), 'topics': topics}
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    with pytest.raises(ConfigError, match=r'msg/Strin|topic /image is listed twice'):
        RecorderNode(context=ros_world.context, parameter_overrides=overrides)
    assert not (tmp_path / 'bag').exists()


def test_a_type_of_a_package_that_is_not_there_is_said_so(ros_world):
    overrides = [Parameter('topics', value=['/mine:no_such_msgs/msg/Type'])]
    with pytest.raises(ConfigError, match='Python has no no_such_msgs'):
        RecorderNode(context=ros_world.context, parameter_overrides=overrides)


def test_an_unknown_topic_needs_its_type(ros_world):
    overrides = [Parameter('topics', value=['/mine'])]
    with pytest.raises(ConfigError, match="topic '/mine': no message type ''; write name:package"):
        RecorderNode(context=ros_world.context, parameter_overrides=overrides)
