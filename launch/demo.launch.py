# SPDX-License-Identifier: Apache-2.0
"""Plays a recorded drive through depth_node as if the camera were there.

Takes the arguments of depth.launch.py too, but for `image`, `camera_info` and `cameras`. Ends with
the recording, unless RViz is open.
"""

from __future__ import annotations

import os
from pathlib import Path

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    OpaqueFunction,
    Shutdown,
    TimerAction,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from monodepth2_ros.recordings import cdr, choose_camera, open_recording

LAUNCH_FOLDER = Path(__file__).parent
CAMERA_NAMESPACE = '/camera'
LAST_FRAMES_S = 1.5
"""Time that the node gets for what is under way when the recording ends."""

ARGUMENTS = (
    DeclareLaunchArgument(
        'recording', description='rosbag2 folder or file, ROS 1 bag, video or image folder.'
    ),
    DeclareLaunchArgument(
        'camera',
        default_value='auto',
        description='Camera to play: auto, or its image topic or namespace in the recording.',
    ),
    DeclareLaunchArgument(
        'calibration_url',
        default_value='',
        description='Camera calibration YAML that replaces the recorded one; a video needs it for '
        'the point cloud.',
    ),
    DeclareLaunchArgument(
        'rate', default_value='1.0', description='Recorded seconds played in a second.'
    ),
    DeclareLaunchArgument(
        'loop',
        default_value='false',
        choices=['true', 'false'],
        description='true: start over at the end.',
    ),
    DeclareLaunchArgument(
        'start', default_value='0.0', description='Where to start in the recording, in seconds.'
    ),
    DeclareLaunchArgument(
        'duration', default_value='0.0', description='Seconds to play; 0 plays to the end.'
    ),
    DeclareLaunchArgument(
        'stamps',
        default_value='now',
        choices=['now', 'recorded'],
        description='Stamps of the images: now, as a camera gives them, or as recorded.',
    ),
)


def _text(context: LaunchContext, name: str, default: str | None = None) -> str:
    return LaunchConfiguration(name, default=default).perform(context).strip()


def _fit_to_recording(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Choose transport and fixed frame as the recording has them, where the user did not."""
    camera = _text(context, 'camera')
    with open_recording(Path(_text(context, 'recording')).expanduser()) as recording:
        topics = choose_camera(recording, '' if camera == 'auto' else camera)
        first = next(iter(recording.messages([topics.image])), None)
    found = {
        'image_transport': 'compressed' if topics.compressed else 'raw',
        'rviz_fixed_frame': cdr.header_frame_id(first.data) if first else '',
    }
    for name, value in found.items():
        if not _text(context, name, ''):
            context.launch_configurations[name] = value
    return []


def _player(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    texts = ('camera', 'calibration_url', 'stamps')
    numbers = {'rate': 'rate', 'start_s': 'start', 'duration_s': 'duration'}
    recording = str(Path(_text(context, 'recording')).expanduser())
    end = TimerAction(
        period=LAST_FRAMES_S, actions=[Shutdown(reason='the recording has been played')]
    )
    player = Node(
        package='monodepth2_ros',
        executable='player_node',
        name='player_node',
        namespace=CAMERA_NAMESPACE,
        parameters=[
            {
                'recording': ParameterValue(recording, value_type=str),
                **{name: ParameterValue(_text(context, name), value_type=str) for name in texts},
                **{name: float(_text(context, argument)) for name, argument in numbers.items()},
                'loop': _text(context, 'loop') == 'true',
                'wait_for_subscribers': 1,
            }
        ],
        output='screen',
        on_exit=[] if _text(context, 'rviz') == 'true' else [end],
    )
    return [player]


def generate_launch_description() -> LaunchDescription:
    """Describe what `ros2 launch monodepth2_ros demo.launch.py recording:=DRIVE` starts."""
    depth = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(os.fspath(LAUNCH_FOLDER / 'depth.launch.py')),
        launch_arguments={
            'image': f'{CAMERA_NAMESPACE}/image',
            'camera_info': f'{CAMERA_NAMESPACE}/camera_info',
            'cameras': '',
        }.items(),
    )
    return LaunchDescription(
        [
            *ARGUMENTS,
            OpaqueFunction(function=_fit_to_recording),
            # Before the player, which needs the Fast DDS profile too.
            depth,
            OpaqueFunction(function=_player),
        ]
    )
