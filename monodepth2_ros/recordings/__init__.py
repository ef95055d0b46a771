# SPDX-License-Identifier: Apache-2.0
"""Recordings as streams of ROS 2 messages, whatever they are stored in, without importing ROS.

Bags of both ROS generations, videos and image folders all open with :func:`open_recording` and
give the same time-ordered messages in CDR, the encoding that ROS 2 puts on the wire.
"""

from monodepth2_ros.recordings.cameras import CameraTopics, choose_camera, image_frames
from monodepth2_ros.recordings.messages import Message, Topic
from monodepth2_ros.recordings.opening import open_recording
from monodepth2_ros.recordings.recording import Recording
from monodepth2_ros.recordings.writer import RecordingWriter

__all__ = [
    'CameraTopics',
    'Message',
    'Recording',
    'RecordingWriter',
    'Topic',
    'choose_camera',
    'image_frames',
    'open_recording',
]
