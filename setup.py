# SPDX-License-Identifier: Apache-2.0
"""Build the robot's package and the trainer's package from one ament_python source tree."""

from pathlib import Path

from setuptools import find_packages, setup

NAME = 'monodepth2_ros'


def shared_files(top):
    """List the files of a folder tree for data_files: one entry a folder, globs do not recurse."""
    folders = [path for path in (Path(top), *sorted(Path(top).rglob('*'))) if path.is_dir()]
    entries = [(f'share/{NAME}/{path.as_posix()}', _files_in(path)) for path in folders]
    return [(target, files) for target, files in entries if files]


def _files_in(folder):
    files = (path for path in folder.iterdir() if path.is_file())
    return sorted(path.as_posix() for path in files if path.suffix != '.pyc')


setup(
    name=NAME,
    version='0.1.0',
    description='Dense depth and a point cloud from one camera, live in ROS 2.',
    license='Apache-2.0',
    maintainer='monodepth2_ros maintainers',
    maintainer_email='maintainers@monodepth2-ros.example',
    python_requires='>=3.10',
    packages=[
        *find_packages(include=['monodepth2_ros', 'monodepth2_ros.*']),
        *find_packages('training', include=['monodepth2_training', 'monodepth2_training.*']),
    ],
    package_dir={'monodepth2_training': 'training/monodepth2_training'},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
        (f'share/{NAME}', ['package.xml']),
        *shared_files('launch'),
        *shared_files('config'),
        (f'share/{NAME}/demo', ['demo/MODEL.md', 'demo/street_320x96.safetensors']),
    ],
    install_requires=['setuptools'],
    # colcon runs pytest only for a package that asks for it here. The others are what one engine
    # or one kind of evaluation needs.
    extras_require={
        'test': ['pytest'],
        'openvino': ['openvino'],
        'int8': ['openvino', 'nncf'],
        'onnx': ['onnx', 'onnxruntime'],
        'tensorrt': ['tensorrt'],
        'make3d': ['scipy'],
        'odometry': ['evo'],
    },
    zip_safe=True,
    entry_points={
        'console_scripts': [
            'depth_node = monodepth2_ros.programs:depth_node',
            'player_node = monodepth2_ros.programs:player_node',
            'recorder_node = monodepth2_ros.programs:recorder_node',
            'monodepth2 = monodepth2_training.cli:main',
        ],
    },
)
