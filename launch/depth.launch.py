# SPDX-License-Identifier: Apache-2.0
"""Starts depth_node: one process per camera, each in a namespace of its own, and RViz if wanted.

An argument that is left empty changes nothing: the parameter file decides. Topics are remapped
here and are no parameters. What a launch file starts after including this one also gets the Fast
DDS profile under which large messages arrive (docs/deployment.md).
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.conditions import evaluate_condition_expression
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from monodepth2_ros.errors import ConfigError
from monodepth2_ros.launch_arguments import number

CONFIG_FOLDER = Path(__file__).parent.parent / 'config'
PROFILE_VARIABLES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
OUTPUT_TOPICS = ('depth/image', 'depth/camera_info', 'depth/points', 'depth/image_color')


class Camera(NamedTuple):
    """One camera that a depth_node listens to."""

    namespace: str
    """Namespace of its node and of what it publishes, '' for the root."""
    image_topic: str
    camera_info_topic: str


ARGUMENTS = (
    DeclareLaunchArgument(
        'model',
        default_value='',
        description='Path of the model file (.safetensors). Empty: what the parameter file says.',
    ),
    DeclareLaunchArgument(
        'image',
        default_value='',
        description="Topic of the camera's images. Empty: /camera/image_raw, or with `cameras` "
        "<namespace>/<camera>/image_raw. '{camera}' in it stands for the camera's name.",
    ),
    DeclareLaunchArgument(
        'camera_info',
        default_value='',
        description="Topic of the camera's calibration. Empty: camera_info beside the image "
        "topic. '{camera}' in it stands for the camera's name.",
    ),
    DeclareLaunchArgument(
        'odom',
        default_value='',
        description="Topic of the vehicle's odometry, for scale_source odometry. Empty: odom in "
        "the node's namespace, which with `cameras` is that of one camera.",
    ),
    DeclareLaunchArgument(
        'image_transport',
        default_value='',
        choices=['', 'raw', 'compressed'],
        description='raw listens to the image topic, compressed to <image topic>/compressed. '
        'Empty: what the parameter file says.',
    ),
    DeclareLaunchArgument(
        'cameras',
        default_value='',
        description="Names of several cameras, as in 'front,rear': one process for each, in the "
        'namespace <namespace>/<camera>. Empty: one camera, in <namespace>.',
    ),
    DeclareLaunchArgument(
        'namespace',
        default_value='',
        description='Namespace of the nodes and of the topics that they publish.',
    ),
    DeclareLaunchArgument(
        'node_name', default_value='depth_node', description='Name of the node in its namespace.'
    ),
    DeclareLaunchArgument(
        'params_file',
        default_value=str(CONFIG_FOLDER / 'depth_node.yaml'),
        description='YAML file with the parameters of the node.',
    ),
    DeclareLaunchArgument(
        'device',
        default_value='',
        description='Where the network runs: auto, cpu, cuda or cuda:N. '
        'Empty: what the parameter file says.',
    ),
    DeclareLaunchArgument(
        'autostart',
        default_value='',
        choices=['', 'true', 'false'],
        description='true: the node configures and activates itself; false: it waits for a '
        'lifecycle manager. Empty: what the parameter file says.',
    ),
    DeclareLaunchArgument(
        'use_sim_time',
        default_value='',
        choices=['', 'true', 'false'],
        description='true: the node reads the time from /clock. '
        'Empty: what the parameter file says.',
    ),
    DeclareLaunchArgument(
        'log_level',
        default_value='info',
        choices=['debug', 'info', 'warn', 'error', 'fatal'],
        description='Least severity that the node logs.',
    ),
    DeclareLaunchArgument(
        'respawn',
        default_value='false',
        choices=['true', 'false'],
        description='true: a node that ends is started again.',
    ),
    DeclareLaunchArgument(
        'respawn_delay',
        default_value='2.0',
        description='Seconds from the end of a node to its new start.',
    ),
    DeclareLaunchArgument(
        'use_fastdds_profile',
        default_value='true',
        choices=['true', 'false'],
        description='true: give the nodes, and what is launched after them, the shipped Fast DDS '
        'profile, unless the environment names another.',
    ),
    DeclareLaunchArgument(
        'rviz',
        default_value='false',
        choices=['true', 'false'],
        description='true: show camera, depth and cloud in RViz, one window per camera.',
    ),
    DeclareLaunchArgument(
        'rviz_config',
        default_value=str(CONFIG_FOLDER / 'depth.rviz'),
        description='RViz configuration file.',
    ),
    DeclareLaunchArgument(
        'rviz_fixed_frame',
        default_value='',
        description="RViz's fixed frame; without tf it has to be the images' frame_id. "
        'Empty: the one in the RViz configuration.',
    ),
)


def _text(context: LaunchContext, name: str) -> str:
    return LaunchConfiguration(name).perform(context).strip()


def _is_set(context: LaunchContext, name: str) -> bool:
    return evaluate_condition_expression(context, [LaunchConfiguration(name)])


def _file(context: LaunchContext, name: str) -> str:
    path = Path(_text(context, name)).expanduser()
    if not path.is_file():
        raise ConfigError(
            f'{name}:={path} is no file; give the path of one, or leave the argument out'
        )
    return str(path)


def _cameras(context: LaunchContext) -> list[Camera]:
    namespace = _text(context, 'namespace').rstrip('/')
    names = [name.strip(' /') for name in _text(context, 'cameras').split(',') if name.strip(' /')]
    if len(set(names)) < len(names):
        raise ConfigError(
            f'cameras:={",".join(names)} names a camera twice; give every camera its own name'
        )
    if not names:
        return [_camera(context, namespace, '', default_image='/camera/image_raw')]
    paths = [f'{namespace}/{name}' if namespace else name for name in names]
    return [
        _camera(context, path, name, default_image='image_raw')
        for path, name in zip(paths, names, strict=True)
    ]


def _camera(context: LaunchContext, namespace: str, name: str, *, default_image: str) -> Camera:
    image = _text(context, 'image') or default_image
    camera_info = _text(context, 'camera_info') or f'{image[: image.rfind("/") + 1]}camera_info'
    for argument, topic in (('image', image), ('camera_info', camera_info)):
        if name and topic.startswith('/') and '{camera}' not in topic:
            raise ConfigError(
                f'{argument}:={topic} would be the same topic for every camera in cameras; '
                f'put {{camera}} where their names go, as in /{{camera}}/{argument}'
            )
    return Camera(
        namespace, image.replace('{camera}', name), camera_info.replace('{camera}', name)
    )


def _profile(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Name the Fast DDS profile to all that is launched from here on, if the user names none."""
    named = any(variable in context.environment for variable in PROFILE_VARIABLES)
    if named or not _is_set(context, 'use_fastdds_profile'):
        return []
    profile = str(CONFIG_FOLDER / 'fastdds_large_messages.xml')
    return [SetEnvironmentVariable(variable, profile) for variable in PROFILE_VARIABLES]


def _parameter_overrides(context: LaunchContext) -> dict[str, bool | ParameterValue]:
    model = _text(context, 'model')
    texts = {
        'model': str(Path(model).expanduser()) if model else '',
        **{name: _text(context, name) for name in ('device', 'image_transport')},
    }
    switches = {name: _text(context, name) for name in ('autostart', 'use_sim_time')}
    return {
        **{name: ParameterValue(text, value_type=str) for name, text in texts.items() if text},
        **{name: text == 'true' for name, text in switches.items() if text},
    }


def _depth_node(context: LaunchContext, camera: Camera) -> Node:
    overrides, odom = _parameter_overrides(context), _text(context, 'odom')
    return Node(
        package='monodepth2_ros',
        executable='depth_node',
        name=_text(context, 'node_name'),
        namespace=camera.namespace,
        parameters=[_file(context, 'params_file'), *([overrides] if overrides else [])],
        remappings=[
            ('image', camera.image_topic),
            ('image/compressed', f'{camera.image_topic}/compressed'),
            ('camera_info', camera.camera_info_topic),
            *([('odom', odom)] if odom else []),
        ],
        ros_arguments=['--log-level', _text(context, 'log_level')],
        respawn=_is_set(context, 'respawn'),
        respawn_delay=number('respawn_delay', _text(context, 'respawn_delay')),
        output='screen',
    )


def _require_rviz(context: LaunchContext) -> None:
    """Refuse to begin without RViz: launch would look for it when the nodes run already."""
    try:
        get_package_prefix('rviz2')
    except PackageNotFoundError as err:
        distro = context.environment.get('ROS_DISTRO', '<distro>')
        raise ConfigError(
            'rviz:=true needs rviz2, which is not installed: '
            f'sudo apt install ros-{distro}-rviz2, or leave the argument out'
        ) from err


def _rviz(context: LaunchContext, camera: Camera) -> Node:
    fixed_frame = _text(context, 'rviz_fixed_frame')
    return Node(
        package='rviz2',
        executable='rviz2',
        namespace=camera.namespace,
        arguments=[
            *('--display-config', _file(context, 'rviz_config')),
            *(('--fixed-frame', fixed_frame) if fixed_frame else ()),
        ],
        remappings=[
            ('/camera/image_raw', camera.image_topic),
            ('/camera/image_raw/compressed', f'{camera.image_topic}/compressed'),
            # A relative name is taken in the namespace, a pushed one included.
            *((f'/{topic}', topic) for topic in OUTPUT_TOPICS),
        ],
        output='screen',
    )


def _processes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    cameras = _cameras(context)
    windows = cameras if _is_set(context, 'rviz') else []
    if windows:
        _require_rviz(context)
    return [
        *_profile(context),
        *(_depth_node(context, camera) for camera in cameras),
        *(_rviz(context, camera) for camera in windows),
    ]


def generate_launch_description() -> LaunchDescription:
    """Describe what `ros2 launch monodepth2_ros depth.launch.py` starts."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=_processes)])
