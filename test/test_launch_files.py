# SPDX-License-Identifier: Apache-2.0
"""The launch files: read as text everywhere, run by the real launch where ROS 2 has it.

The real launch starts stand-ins for the executables, which leave their arguments and environment
in a file; asked for the camera of a recording, that of the player answers as the player does.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import yaml

from monodepth2_ros.errors import ConfigError
from monodepth2_ros.launch_arguments import number

LAUNCH_FOLDER = Path(__file__).parent.parent / 'launch'
CONFIG_FOLDER = LAUNCH_FOLDER.parent / 'config'
DEPTH = LAUNCH_FOLDER / 'depth.launch.py'
DEMO = LAUNCH_FOLDER / 'demo.launch.py'
PROFILE_VARIABLES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')

# The folder launch/ of this source tree is found as an empty package of that name.
HAS_LAUNCH = importlib.util.find_spec('launch_ros') is not None
needs_launch = pytest.mark.skipif(
    not HAS_LAUNCH, reason='launch and launch_ros are not installed (PyPI has no wheels of them)'
)

STAND_IN = """#!{python}
import json, os, pathlib, sys
if sys.argv[1:2] == ['--camera-of']:
    sys.path.insert(0, {root!r})
    from monodepth2_ros.recordings.camera_report import main
    sys.exit(main(sys.argv[2:]))
pathlib.Path({out!r}, f'{{os.getpid()}}.json').write_text(
    json.dumps({{'args': sys.argv, 'env': dict(os.environ)}})
)
"""


def declared(path: Path) -> dict[str, ast.Call]:
    tree = ast.parse(path.read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    found = [
        call
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == 'DeclareLaunchArgument'
    ]
    assert len({call.args[0].value for call in found}) == len(found)
    return {call.args[0].value: call for call in found}


@pytest.mark.parametrize('path', [DEPTH, DEMO], ids=lambda path: path.name)
def test_a_launch_file_compiles_and_describes_every_argument(path):
    compile(path.read_text(), str(path), 'exec')
    for name, call in declared(path).items():
        words = {item.arg: item.value for item in call.keywords}
        assert 'description' in words, name
        assert ast.literal_eval(words['description']).endswith('.'), name


@pytest.mark.parametrize('path', [DEPTH, DEMO], ids=lambda path: path.name)
def test_a_launch_file_needs_nothing_that_the_python_of_ros_lacks(path):
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    imports = plain | {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    own = sorted(name for name in imports if name.startswith('monodepth2_ros'))
    others = {name.partition('.')[0] for name in imports - set(own)} - sys.stdlib_module_names
    assert others <= {'ament_index_python', 'launch', 'launch_ros'}
    program = f'import sys; sys.path.insert(0, {str(LAUNCH_FOLDER.parent)!r})'
    for name in own:
        program += f'; import {name}'
    # Not even what lies in site-packages can be imported.
    done = subprocess.run([sys.executable, '-I', '-S', '-c', program], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_a_number_among_the_launch_arguments_is_read_or_refused_by_name():
    assert number('rate', '2') == 2.0
    for text in ('', 'fast', '1:30', '-1', 'nan', 'inf'):
        with pytest.raises(ConfigError, match=f'^rate:={text} is no number of 0 or more, as in'):
            number('rate', text)


def test_the_launch_files_take_the_promised_arguments():
    expected = 'model image camera_info odom image_transport cameras namespace node_name'
    expected += ' params_file device autostart use_sim_time log_level respawn respawn_delay rviz'
    expected += ' rviz_config rviz_fixed_frame use_fastdds_profile'
    assert set(declared(DEPTH)) == set(expected.split())
    assert {'recording', 'rate', 'loop', 'start', 'duration'} <= set(declared(DEMO))
    assert not set(declared(DEMO)) & set(declared(DEPTH))


def test_the_player_is_given_only_parameters_that_it_has():
    pytest.importorskip('rclpy', reason='the player imports rclpy')
    from dataclasses import fields

    from monodepth2_ros.nodes.player_node import PlayerParameters

    known = {item.name for item in fields(PlayerParameters)}
    given = {'recording', 'camera', 'calibration_url', 'stamps', 'rate', 'start_s', 'duration_s'}
    assert given | {'loop', 'wait_for_subscribers'} <= known


class Process:
    """What launch started: arguments and environment."""

    def __init__(self, path: Path) -> None:
        content = json.loads(path.read_text())
        self.program = Path(content['args'][0]).name
        self.args = content['args'][1:]
        self.env = content['env']

    def after(self, flag: str) -> list[str]:
        return [b for a, b in zip(self.args, self.args[1:], strict=False) if a == flag]

    @property
    def remaps(self) -> dict[str, str]:
        return dict(rule.split(':=') for rule in self.after('-r'))


def run_launch(path: Path, **arguments: str) -> int:
    """Run a launch file to its end; give its exit code."""
    from launch import LaunchDescription, LaunchService
    from launch.actions import IncludeLaunchDescription
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    source = PythonLaunchDescriptionSource(str(path))
    include = IncludeLaunchDescription(source, launch_arguments=arguments.items())
    service = LaunchService(noninteractive=True)
    service.include_launch_description(LaunchDescription([include]))
    with mock.patch.dict(os.environ):
        return service.run()


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Run a launch file to its end; give what it started."""
    # It replaces the root of all loggers: caplog listens to the new one from the test on.
    importlib.import_module('launch.logging')
    out = tmp_path / 'out'
    out.mkdir()
    for package, program in (
        ('monodepth2_ros', 'depth_node'),
        ('monodepth2_ros', 'player_node'),
        ('rviz2', 'rviz2'),
    ):
        index = tmp_path / 'share/ament_index/resource_index/packages'
        index.mkdir(parents=True, exist_ok=True)
        (index / package).touch()
        executable = tmp_path / 'lib' / package / program
        executable.parent.mkdir(parents=True, exist_ok=True)
        text = STAND_IN.format(python=sys.executable, out=str(out), root=str(LAUNCH_FOLDER.parent))
        executable.write_text(text)
        executable.chmod(0o755)
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path))
    monkeypatch.setenv('ROS_LOG_DIR', str(tmp_path / 'log'))
    for variable in PROFILE_VARIABLES:
        monkeypatch.delenv(variable, raising=False)

    def run(path: Path, **arguments: str) -> list[Process]:
        code = run_launch(path, **arguments)
        started = [Process(file) for file in out.iterdir()]
        for file in out.iterdir():
            file.unlink()
        assert code == 0 or not started
        return sorted(started, key=lambda process: sorted(process.remaps.items()))

    return run


@needs_launch
def test_without_arguments_only_the_parameter_file_speaks(start):
    (node,) = start(DEPTH)
    assert node.after('--params-file') == [str(CONFIG_FOLDER / 'depth_node.yaml')]
    assert node.remaps['image'] == '/camera/image_raw'
    assert node.remaps['image/compressed'] == '/camera/image_raw/compressed'
    assert node.remaps['camera_info'] == '/camera/camera_info'


@needs_launch
def test_given_arguments_override_the_parameter_file_with_their_types(start):
    (node,) = start(DEPTH, model='42', autostart='false', device='cpu', use_sim_time='true')
    override = yaml.safe_load(Path(node.after('--params-file')[1]).read_text())
    (section,) = override.values()
    expected = {'model': '42', 'autostart': False, 'device': 'cpu', 'use_sim_time': True}
    assert section['ros__parameters'] == expected


@needs_launch
def test_the_calibration_is_looked_for_beside_the_images(start):
    (node,) = start(DEPTH, image='/car/front/image_rect', namespace='/car')
    assert node.remaps['camera_info'] == '/car/front/camera_info'
    assert node.remaps['__ns'] == '/car'


@needs_launch
def test_every_camera_gets_a_process_in_its_namespace(start):
    nodes = start(DEPTH, cameras='front, rear', namespace='car')
    assert [node.remaps['__ns'] for node in nodes] == ['/car/front', '/car/rear']
    assert {node.remaps['image'] for node in nodes} == {'image_raw'}
    nodes = start(DEPTH, cameras='front,rear', image='/drivers/{camera}/image')
    assert [node.remaps['camera_info'] for node in nodes] == [
        '/drivers/front/camera_info',
        '/drivers/rear/camera_info',
    ]


@needs_launch
def test_all_cameras_hear_the_odometry_of_their_vehicle(start):
    nodes = start(DEPTH, cameras='front,rear', odom='/car/odometry')
    assert [node.remaps['odom'] for node in nodes] == ['/car/odometry'] * 2
    (node,) = start(DEPTH)
    assert 'odom' not in node.remaps


@needs_launch
@pytest.mark.parametrize(
    ('arguments', 'text'),
    [
        ({'params_file': '/nowhere.yaml'}, '/nowhere.yaml is no file'),
        ({'cameras': 'a,b', 'image': '/x/image'}, 'the same topic for every camera'),
        ({'cameras': 'a,a'}, 'names a camera twice'),
        ({'autostart': 'perhaps'}, 'perhaps'),
        ({'respawn_delay': 'soon'}, 'respawn_delay:=soon is no number of 0 or more'),
    ],
)
def test_a_bad_argument_starts_nothing_and_is_named(start, arguments, text, caplog):
    assert start(DEPTH, **arguments) == []
    assert text in caplog.text


@needs_launch
@pytest.mark.parametrize('path', [DEPTH, DEMO], ids=lambda path: path.name)
def test_a_missing_rviz_starts_nothing_and_is_named(start, tmp_path, path, monkeypatch, caplog):
    (tmp_path / 'share/ament_index/resource_index/packages/rviz2').unlink()
    monkeypatch.setenv('ROS_DISTRO', 'jazzy')
    write_compressed_recording(tmp_path / 'drive')
    recording = {'recording': str(tmp_path / 'drive')} if path == DEMO else {}
    assert start(path, rviz='true', **recording) == []
    assert 'sudo apt install ros-jazzy-rviz2' in caplog.text


@needs_launch
@pytest.mark.parametrize(
    ('arguments', 'text'),
    [
        ({'rate': 'fast'}, 'rate:=fast is no number of 0 or more, as in rate:=2.5'),
        ({'start': '1:30'}, 'start:=1:30 is no number of 0 or more'),
        ({'duration': 'nan'}, 'duration:=nan is no number of 0 or more'),
        ({'camera': '/rear'}, "has no camera '/rear'; its cameras are: /left/image_raw"),
    ],
)
def test_a_bad_argument_of_the_demo_starts_nothing_and_is_named(
    start, tmp_path, arguments, text, caplog
):
    write_compressed_recording(tmp_path / 'drive')
    assert start(DEMO, recording=str(tmp_path / 'drive'), **arguments) == []
    assert text in caplog.text


@needs_launch
def test_processes_get_the_profile_unless_the_user_has_one(start, monkeypatch):
    profile = str(CONFIG_FOLDER / 'fastdds_large_messages.xml')
    (node,) = start(DEPTH)
    assert [node.env[name] for name in PROFILE_VARIABLES] == [profile, profile]
    (node,) = start(DEPTH, use_fastdds_profile='false')
    assert not set(PROFILE_VARIABLES) & set(node.env)
    monkeypatch.setenv('FASTRTPS_DEFAULT_PROFILES_FILE', '/mine.xml')
    (node,) = start(DEPTH)
    assert node.env['FASTRTPS_DEFAULT_PROFILES_FILE'] == '/mine.xml'
    assert 'FASTDDS_DEFAULT_PROFILES_FILE' not in node.env


@needs_launch
def test_rviz_follows_the_topics_and_the_frame(start):
    started = start(DEPTH, rviz='true', namespace='car', image='/a/image', rviz_fixed_frame='cam')
    (window,) = [process for process in started if process.program == 'rviz2']
    assert window.after('--display-config') == [str(CONFIG_FOLDER / 'depth.rviz')]
    assert window.after('--fixed-frame') == ['cam']
    assert window.remaps['/camera/image_raw'] == '/a/image'
    assert window.remaps['/depth/points'] == 'depth/points'
    assert window.remaps['__ns'] == '/car'


@needs_launch
def test_the_demo_fits_the_node_to_the_recording(start, tmp_path):
    recording = tmp_path / 'drive'
    write_compressed_recording(recording)
    started = start(DEMO, recording=str(recording), start='0.5', loop='true')
    player, node = sorted(started, key=lambda process: process.program, reverse=True)
    assert player.program == 'player_node'
    (section,) = yaml.safe_load(Path(player.after('--params-file')[0]).read_text()).values()
    given = section['ros__parameters']
    assert given['recording'] == str(recording)
    assert (given['start_s'], given['loop'], given['rate']) == (0.5, True, 1.0)
    assert player.remaps['__ns'] == '/camera'
    assert node.remaps['image/compressed'] == '/camera/image/compressed'
    override = yaml.safe_load(Path(node.after('--params-file')[1]).read_text())
    assert override[next(iter(override))]['ros__parameters'] == {'image_transport': 'compressed'}
    assert player.env['FASTRTPS_DEFAULT_PROFILES_FILE'] == node.env[PROFILE_VARIABLES[1]]


@needs_launch
@pytest.mark.parametrize(
    ('program', 'last_words', 'text'),
    [
        ('depth_node', "sys.exit('out of memory')", r'depth_node-\d+ failed with exit code 1'),
        ('player_node', "sys.exit('rate is 0')", r'player_node-\d+ failed with exit code 1'),
        (
            'depth_node',
            "print('[ERROR] configure failed: no such model', flush=True)\ntime.sleep(60)",
            r'depth_node-\d+: configure failed: no such model',
        ),
    ],
)
def test_the_demo_ends_with_an_error_that_names_the_node_that_failed(
    start, tmp_path, program, last_words, text, caplog
):
    write_compressed_recording(tmp_path / 'drive')
    for name in ('depth_node', 'player_node'):
        executable = tmp_path / 'lib/monodepth2_ros' / name
        end = last_words if name == program else 'time.sleep(60)'
        executable.write_text(f'{executable.read_text()}import time\n{end}\n')
    assert run_launch(DEMO, recording=str(tmp_path / 'drive')) == 1
    assert re.search(text, caplog.text)


def write_compressed_recording(path: Path) -> None:
    """Two CompressedImage messages without pictures in them: only their headers are read."""
    from monodepth2_ros.recordings import RecordingWriter, cdr

    kind = 'sensor_msgs/msg/CompressedImage'
    make = cdr.typestore().types[kind]
    with RecordingWriter(path) as writer:
        writer.add_topic('/left/image_raw/compressed', kind)
        for stamp_ns in (10**9, 2 * 10**9):
            message = make(
                header=cdr.header(stamp_ns, 'left_optical'),
                format='jpeg',
                data=np.zeros(4, np.uint8),
            )
            writer.write('/left/image_raw/compressed', stamp_ns, cdr.serialize(message, kind))
