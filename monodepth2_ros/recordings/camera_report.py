# SPDX-License-Identifier: Apache-2.0
"""Says which camera of a recording would be played, to programs that cannot read recordings.

``ros2 launch`` is one: it runs in the Python of ROS, which has no package that only PyPI has.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from monodepth2_ros.errors import RecordingError
from monodepth2_ros.recordings import cdr
from monodepth2_ros.recordings.cameras import choose_camera
from monodepth2_ros.recordings.opening import open_recording
from monodepth2_ros.recordings.playback import ANY_CAMERA


def main(arguments: Sequence[str]) -> int:
    """Print ``image`` (topic), ``image_transport`` and ``frame_id`` of a camera as JSON.

    Returns:
        0; 1 if the recording cannot be read or has no such camera, which is then said.
    """
    parser = argparse.ArgumentParser(prog='player_node --camera-of')
    parser.add_argument('recording', help='bag, video or image folder')
    parser.add_argument('camera', nargs='?', default=ANY_CAMERA, help='auto, topic or namespace')
    args = parser.parse_args(arguments)
    try:
        print(json.dumps(_report(args.recording, args.camera)))
    except RecordingError as err:
        print(f'player_node: {err}', file=sys.stderr)
        return 1
    return 0


def _report(path: str, camera: str) -> dict[str, str]:
    with open_recording(path) as recording:
        topics = choose_camera(recording, '' if camera == ANY_CAMERA else camera)
        first = next(iter(recording.messages([topics.image])), None)
    return {
        'image': topics.image,
        'image_transport': 'compressed' if topics.compressed else 'raw',
        'frame_id': cdr.header_frame_id(first.data) if first else '',
    }
