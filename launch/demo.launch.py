# SPDX-License-Identifier: Apache-2.0
"""Plays a recorded drive through depth_node as if the camera were there.

Takes the arguments of depth.launch.py too, but for `image`, `camera_info` and `cameras`. Ends with
the recording, unless RViz is open; where a node fails, at once and with an error.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
    Shutdown,
    TimerAction,
)
from launch.event_handlers import OnProcessExit, OnProcessIO
from launch.events.process import ProcessExited, ProcessIO
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import ExecutableInPackage

from monodepth2_ros.errors import ConfigError, Monodepth2Error
from monodepth2_ros.launch_arguments import number

LAUNCH_FOLDER = Path(__file__).parent
CAMERA_NAMESPACE = '/camera'
NUMBERS = {'rate': 'rate', 'start': 'start_s', 'duration': 'duration_s'}
"""Arguments that are numbers, and the player's parameters for them."""
LAST_FRAMES_S = 1.5
"""Time that the node gets for what is under way when the recording ends."""
UNUSABLE = re.compile(rb'(configure|activate) failed: .*')
"""What depth_node logs when it runs on and cannot give depth."""

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


def _recorded_camera(context: LaunchContext) -> dict[str, str]:
    """Ask the installed player, whose Python can read recordings; that of ROS cannot."""
    player = ExecutableInPackage(package='monodepth2_ros', executable='player_node')
    command = [player.perform(context), '--camera-of']
    command += [_text(context, 'recording'), _text(context, 'camera')]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ConfigError(f'the recording cannot be played: {done.stderr.strip()}')
    found: dict[str, str] = json.loads(done.stdout)
    return found


def _numbers(context: LaunchContext) -> dict[str, float]:
    """The player's parameters that are numbers."""
    return {name: number(key, _text(context, key)) for key, name in NUMBERS.items()}


def _prepare(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Refuse bad arguments while nothing runs, and fit the others to the recording."""
    _numbers(context)
    _fit_to_recording(context)
    return []


def _fit_to_recording(context: LaunchContext) -> None:
    """Choose transport and fixed frame as the recording has them, where the user did not."""
    camera = _recorded_camera(context)
    arguments = {'image_transport': 'image_transport', 'rviz_fixed_frame': 'frame_id'}
    for name, key in arguments.items():
        if not _text(context, name, ''):
            context.launch_configurations[name] = camera[key]


def _player(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    texts = ('camera', 'calibration_url', 'stamps')
    recording = str(Path(_text(context, 'recording')).expanduser())
    player = Node(
        package='monodepth2_ros',
        executable='player_node',
        name='player_node',
        namespace=CAMERA_NAMESPACE,
        parameters=[
            {
                'recording': ParameterValue(recording, value_type=str),
                **{name: ParameterValue(_text(context, name), value_type=str) for name in texts},
                **_numbers(context),
                'loop': _text(context, 'loop') == 'true',
                'wait_for_subscribers': 1,
            }
        ],
        output='screen',
    )
    return [player]


def _end_if_unusable(event: ProcessIO) -> None:
    found = UNUSABLE.search(event.text)
    if found:
        raise Monodepth2Error(f'{event.process_name}: {found[0].decode(errors="replace")}')


def _end(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """End with the player, and with an error where a node fails that is not started again."""
    is_player = event.process_name.startswith('player_node')
    if context.is_shutdown or (_text(context, 'respawn') == 'true' and not is_player):
        return []
    if event.returncode:
        raise Monodepth2Error(f'{event.process_name} failed with exit code {event.returncode}')
    if not is_player or _text(context, 'rviz') == 'true':
        return []
    played = Shutdown(reason='the recording has been played')
    return [TimerAction(period=LAST_FRAMES_S, actions=[played])]


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
            OpaqueFunction(function=_prepare),
            RegisterEventHandler(OnProcessExit(on_exit=_end)),
            RegisterEventHandler(
                OnProcessIO(on_stdout=_end_if_unusable, on_stderr=_end_if_unusable)
            ),
            # Before the player, which needs the Fast DDS profile too.
            depth,
            OpaqueFunction(function=_player),
        ]
    )
