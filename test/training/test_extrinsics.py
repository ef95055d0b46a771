# SPDX-License-Identifier: Apache-2.0
"""The file that says how a lidar is mounted, and whose poses an odometry holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from monodepth2_training.evaluation.transforms import load_extrinsics, pose_frame, read_frames
from support.lidar_bag import ODOMETRY_TYPE, TF_TYPE, links

from monodepth2_ros.errors import ConfigError, EvaluationError
from monodepth2_ros.recordings import RecordingWriter, open_recording

QUARTER = 'translation_m: [1, 2, 3]\nquaternion_xyzw: [0, 0, 0.70710678, 0.70710678]\n'
ROWS = 'matrix: [[0, -1, 0, 1], [1, 0, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]]\n'


def load(folder: Path, text: str) -> np.ndarray:
    path = folder / 'mounting.yaml'
    path.write_text(text)
    return load_extrinsics(path)


@pytest.mark.parametrize('text', [QUARTER, QUARTER.replace('0.70710678', '3'), ROWS])
def test_a_turn_and_a_place_or_a_matrix_say_the_same(tmp_path: Path, text: str) -> None:
    """A point 1 m along x of the lidar lies 1 m along y of the camera, from (1, 2, 3) on."""
    T = load(tmp_path, text)
    np.testing.assert_allclose(T @ [1.0, 0.0, 0.0, 1.0], [1.0, 3.0, 3.0, 1.0], atol=1e-8)


@pytest.mark.parametrize(
    'text',
    [
        ROWS.replace('-1', '1'),  # a mirror
        ROWS.replace('[1, 0, 0, 2]', '[2, 0, 0, 2]'),  # stretched
        ROWS.replace('[0, 0, 0, 1]]', '[0, 0, 1, 1]]'),  # no rigid transform's last row
        ROWS.replace('0, 1]', '.nan, 1]'),
        'matrix: [[1, 2], [3]]',
        'translation_m: [0, 0, 0]\nquaternion_xyzw: [0, 0, 0, 0]\n',
        'translation_m: [0, 0, .inf]\nquaternion_xyzw: [0, 0, 0, 1]\n',
        'translation_m: [a, b, c]\nquaternion_xyzw: [0, 0, 0, 1]\n',
        'translation_m: [0, 0, 0]\n',
        'just words',
        '',
    ],
)
def test_what_is_no_rigid_transform_is_refused_with_what_was_expected(
    tmp_path: Path, text: str
) -> None:
    with pytest.raises(ConfigError, match=r'mounting\.yaml holds no rigid transform: expected tr'):
        load(tmp_path, text)


@pytest.mark.parametrize('content', [b'{', b'\xff\xfe\xfa', b'a: [1, 2'])
def test_what_is_no_yaml_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / 'mounting.yaml'
    path.write_bytes(content)
    with pytest.raises(ConfigError, match='cannot be read') as caught:
        load_extrinsics(path)
    assert '\n' not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'nowhere\.yaml cannot be read: .*No such file'):
        load_extrinsics(tmp_path / 'nowhere.yaml')


def test_static_links_that_are_damaged_or_turn_nothing_count_as_none(tmp_path: Path) -> None:
    good = links(('base', 'camera', (1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)))
    unset = links(('base', 'lidar', (1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)))
    with RecordingWriter(tmp_path / 'bag') as writer:
        writer.add_topic('/tf_static', TF_TYPE, latched=True)
        for stamp_ns, data in enumerate((good[:30], unset, good)):
            writer.write('/tf_static', stamp_ns, data)
    with open_recording(tmp_path / 'bag') as recording:
        assert set(read_frames(recording).reachable('camera')) == {'camera', 'base'}


def test_an_odometry_whose_first_message_is_damaged_does_not_say_whose_poses_it_holds(
    tmp_path: Path,
) -> None:
    with RecordingWriter(tmp_path / 'bag') as writer:
        writer.add_topic('/odom', ODOMETRY_TYPE)
        writer.write('/odom', 0, b'\0\1\0\0 cut off')
    with (
        open_recording(tmp_path / 'bag') as recording,
        pytest.raises(EvaluationError, match='/odom does not say whose poses it holds'),
    ):
        pose_frame(recording, '/odom')
