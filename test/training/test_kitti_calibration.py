# SPDX-License-Identifier: Apache-2.0
"""KITTI's calibration files and scans: what they say, and what is said when they do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from monodepth2_training.evaluation.kitti.calibration import (
    CAMERA_FILE,
    LIDAR_FILE,
    read_calibration,
    read_entries,
)
from monodepth2_training.evaluation.kitti.lidar import lidar_depth, read_points

from monodepth2_ros.errors import EvaluationError, Monodepth2Error

CAMERAS = """calib_time: 09-Jan-2012 13:57:47
corner_dist: 9.950000e-02
S_rect_02: 1.242000e+03 3.750000e+02
R_rect_00: 1 0 0 0 1 0 0 0 1
P_rect_02: 700 0 600 45 0 700 180 0 0 0 1 0
P_rect_03: 700 0 600 -335 0 700 180 0 0 0 1 0
"""
LIDAR = """calib_time: 15-Mar-2012 11:37:16
R: 0 -1 0 0 0 -1 1 0 0
T: 0.1 -0.2 -0.3
"""


@pytest.fixture
def day(tmp_path: Path) -> Path:
    (tmp_path / CAMERA_FILE).write_text(CAMERAS)
    (tmp_path / LIDAR_FILE).write_text(LIDAR)
    return tmp_path


@pytest.mark.parametrize(('camera', 'shift_px_m'), [(2, 45.0), (3, -335.0)])
def test_a_point_gets_into_the_picture_by_all_three_matrices(
    day: Path, camera: int, shift_px_m: float
) -> None:
    """(10, 2, 1) of the lidar is (-2 + 0.1, -1 - 0.2, 10 - 0.3) of the camera."""
    calibration = read_calibration(day, camera=camera)
    assert (calibration.width, calibration.height) == (1242, 375)
    found = calibration.P_lidar_to_image @ [10.0, 2.0, 1.0, 1.0]
    expected = [700 * -1.9 + 600 * 9.7 + shift_px_m, 700 * -1.2 + 180 * 9.7, 9.7]
    np.testing.assert_allclose(found, expected)


def test_entries_of_words_are_left_out(day: Path) -> None:
    assert 'calib_time' not in read_entries(day / CAMERA_FILE)
    assert read_entries(day / CAMERA_FILE)['corner_dist'].tolist() == [0.0995]


@pytest.mark.parametrize(
    ('name', 'entry', 'expected'),
    [(LIDAR_FILE, 'T', 3), (CAMERA_FILE, 'P_rect_02', 12), (CAMERA_FILE, 'R_rect_00', 9)],
)
def test_an_entry_that_is_missing_or_short_is_named_with_its_file(
    day: Path, name: str, entry: str, expected: int
) -> None:
    path = day / name
    lines = [line for line in path.read_text().splitlines() if not line.startswith(f'{entry}:')]
    for count, more in ((0, ''), (2, f'{entry}: 1 2')):
        path.write_text('\n'.join([*lines, more]))
        words = rf'{name} has {count} numbers under {entry}: expected {expected}'
        with pytest.raises(EvaluationError, match=words):
            read_calibration(day)


@pytest.mark.parametrize('name', [CAMERA_FILE, LIDAR_FILE])
def test_a_missing_file_is_named_with_what_was_expected(day: Path, name: str) -> None:
    (day / name).unlink()
    with pytest.raises(Monodepth2Error, match=rf'{name} cannot be read .*as KITTI ships it'):
        read_calibration(day)


def test_a_scan_is_points_without_their_reflectance(tmp_path: Path) -> None:
    np.array([1, 2, 3, 0.5, 4, 5, 6, 0.25], '<f4').tofile(tmp_path / 'scan.bin')
    assert read_points(tmp_path / 'scan.bin').tolist() == [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]


@pytest.mark.parametrize('content', [b'', bytes(12), bytes(20)])
def test_a_scan_that_is_cut_off_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / 'scan.bin').write_bytes(content)
    with pytest.raises(EvaluationError, match=r'scan\.bin holds \d numbers: expected x y z and'):
        read_points(tmp_path / 'scan.bin')
    with pytest.raises(EvaluationError, match=r'none\.bin cannot be read: No such file'):
        read_points(tmp_path / 'none.bin')


def test_depth_is_the_lidars_x_at_the_rounded_place_minus_one(day: Path) -> None:
    """The odd rules of the published evaluations: KITTI's Matlab counts pixels from one."""
    calibration = read_calibration(day)
    points = np.array([[10.0, 0.0, 0.0], [20.0, 0.0, 0.0], [-5.0, 0.0, 0.0]])
    depth = lidar_depth(points, calibration)
    assert depth.shape == (375, 1242)
    rows, columns = np.nonzero(np.isfinite(depth))
    u = [(700 * 0.1 + 600 * z + 45) / z for z in (9.7, 19.7)]
    v = [(700 * -0.2 + 180 * z) / z for z in (9.7, 19.7)]
    expected = {(round(b) - 1, round(a) - 1): x for a, b, x in zip(u, v, (10, 20), strict=True)}
    found = {(int(r), int(c)): float(depth[r, c]) for r, c in zip(rows, columns, strict=True)}
    assert found == expected
