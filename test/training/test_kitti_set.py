# SPDX-License-Identifier: Apache-2.0
"""KITTI's and Make3D's files as they are shipped, and how depth is judged on them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from monodepth2_training.evaluation.kitti.calibration import read_calibration
from monodepth2_training.evaluation.kitti.lidar import lidar_depth, read_points
from monodepth2_training.evaluation.kitti.raw import eigen_crop, kitti_set, read_depth_png
from monodepth2_training.evaluation.kitti.split import SplitEntry, read_split
from monodepth2_training.evaluation.make3d import half_square, make3d_set, read_laser_depth
from monodepth2_training.evaluation.set_evaluation import (
    depth_of_size,
    evaluate_set,
)
from monodepth2_training.evaluation.set_predictions import import_predictions
from monodepth2_training.evaluation.submission import write_submission
from support import kitti_world

from monodepth2_ros.errors import ConfigError, EvaluationError


@pytest.fixture(scope='module')
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kitti_world.write_raw(tmp_path_factory.mktemp('kitti'))


@pytest.fixture(scope='module')
def entries(raw: Path) -> tuple[SplitEntry, ...]:
    return read_split(kitti_world.write_split(raw / 'test_files.txt', range(3)))


@pytest.fixture
def perfect(tmp_path: Path) -> Path:
    """Inverse depth of each frame in half metres, as md2 saves it: one stack."""
    _, shots = kitti_world.frames()
    inverse = [0.5 / np.minimum(shot.depth_m, 1e4) for shot in shots]
    np.save(tmp_path / 'disps.npy', np.stack(inverse).astype(np.float32))
    return tmp_path / 'disps.npy'


def test_both_forms_of_a_list_name_the_same_frames(tmp_path: Path) -> None:
    md2 = read_split(kitti_world.write_split(tmp_path / 'a.txt', [5, 7]))
    eigen = read_split(kitti_world.write_split(tmp_path / 'b.txt', [5, 7], eigen=True))
    assert md2 == eigen
    assert (md2[1].day, md2[1].drive) == (kitti_world.DAY, kitti_world.DRIVE)
    assert (md2[1].frame, md2[1].camera) == (7, 2)


@pytest.mark.parametrize('text', ['', 'nonsense\n', 'a/b x l\n'])
def test_a_list_of_another_form_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    (tmp_path / 'list.txt').write_text(text)
    with pytest.raises(EvaluationError, match=r'names no frame|line 1: '):
        read_split(tmp_path / 'list.txt')


def test_a_missing_list_says_where_people_get_it(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r'splits/eigen/test_files\.txt \(697 lines\)'):
        read_split(tmp_path / 'none.txt')


def test_a_scan_becomes_the_depth_it_was_made_of(raw: Path) -> None:
    calibration = read_calibration(raw / kitti_world.DAY)
    scan = raw / kitti_world.DRIVE / 'velodyne_points' / 'data' / '0000000001.bin'
    depth = lidar_depth(read_points(scan), calibration)
    true = kitti_world.frames()[1][1].depth_m
    known = np.isfinite(depth)
    # x of the lidar: 0.272 m behind the camera.
    np.testing.assert_allclose(depth[known] - 0.272, true[known], atol=1e-3)
    assert np.array_equal(known, np.isfinite(true) & (true < 120.0))


def test_the_nearest_of_several_points_on_a_pixel_counts_and_those_behind_do_not(
    raw: Path,
) -> None:
    calibration = read_calibration(raw / kitti_world.DAY)
    point = lidar_depth(np.array([[20.0, 0.1, -0.2]]), calibration)
    row, column = np.argwhere(np.isfinite(point))[0]
    both = np.array([[20.0, 0.1, -0.2], [10.0, 0.05, -0.138], [20.0, 0.1, -0.2], [-9.0, 0.0, 0.0]])
    depth = lidar_depth(both, calibration)
    assert depth[row, column] == np.float32(10.0)
    assert np.isfinite(depth).sum() == 1


def test_the_improved_truth_is_metres_times_256_and_0_is_unknown(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / 'd.png'), np.uint16([[0, 256, 2688]]))
    np.testing.assert_array_equal(read_depth_png(tmp_path / 'd.png'), [[np.nan, 1.0, 10.5]])
    cv2.imwrite(str(tmp_path / 'c.png'), np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(EvaluationError, match='expected one channel of 16 bits'):
        read_depth_png(tmp_path / 'c.png')


def test_eigens_crop_is_the_published_one() -> None:
    rows, columns = np.nonzero(eigen_crop(375, 1242))
    assert (rows.min(), rows.max()) == (124, 341)
    assert (columns.min(), columns.max()) == (44, 1196)


def test_missing_files_are_listed_and_the_rest_is_judged(
    raw: Path, perfect: Path, tmp_path: Path
) -> None:
    entries = read_split(kitti_world.write_split(tmp_path / 'more.txt', [0, 1, 2, 8, 9]))
    data = kitti_set(raw, entries)
    assert len(data.frames) == 3
    assert data.missing.text().startswith('4 of 12 files are missing (')
    assert 'image_02/data/0000000008.png' in data.missing.text()
    evaluation = evaluate_set(data, import_predictions(perfect))
    assert evaluation.doubts[0].urgent
    assert 'raw_data.php' in evaluation.doubts[0].advice


def test_a_folder_without_any_file_is_refused_with_what_to_download(
    entries: tuple[SplitEntry, ...], perfect: Path, tmp_path: Path
) -> None:
    data = kitti_set(tmp_path / 'empty', entries)
    with pytest.raises(EvaluationError, match=r'8 of 8 files are missing .* 5 more.*download'):
        evaluate_set(data, import_predictions(perfect))


def test_true_inverse_depth_scores_nothing_but_the_mounting_of_the_lidar(
    raw: Path, entries: tuple[SplitEntry, ...], perfect: Path
) -> None:
    lidar = evaluate_set(kitti_set(raw, entries), import_predictions(perfect))
    improved = evaluate_set(
        kitti_set(raw, entries, truth='improved'), import_predictions(perfect, scale=0.5)
    )
    assert lidar.depth is not None
    assert improved.depth is not None
    scores = improved.depth.methods[0].judgement.scores
    assert list(lidar.depth.methods[0].judgement.scores) == ['recording', 'frame']
    assert lidar.depth.methods[0].judgement.scores['frame'].mean.abs_rel < 0.03
    assert [len(views) for views in (lidar.depth.best, lidar.depth.worst)] == [1, 1]
    assert lidar.depth.best[0].name != lidar.depth.worst[0].name
    assert scores['metric'].mean.abs_rel < 2e-3
    assert scores['frame'].mean.delta_1 > 0.999


def test_an_unknown_crop_is_refused_with_the_nearest(
    raw: Path, entries: tuple[SplitEntry, ...]
) -> None:
    with pytest.raises(ConfigError, match="did you mean 'garg'"):
        kitti_set(raw, entries, crop='grag')


def test_a_prediction_is_resized_as_inverse_depth() -> None:
    depth = depth_of_size(np.float32([[0.1, 0.5]]), 1, 4)
    np.testing.assert_allclose(1.0 / depth, [[0.1, 0.2, 0.4, 0.5]], rtol=1e-6)


def test_predictions_come_as_stack_as_numbered_files_or_as_depth_pictures(
    raw: Path, entries: tuple[SplitEntry, ...], perfect: Path, tmp_path: Path
) -> None:
    inverse = np.load(perfect)
    for n, one in enumerate(inverse):
        (tmp_path / 'npy').mkdir(exist_ok=True)
        (tmp_path / 'png').mkdir(exist_ok=True)
        np.save(tmp_path / 'npy' / f'{n}.npy', one[None])
        depth_m = np.minimum(0.5 / one, 250.0) * 256
        cv2.imwrite(str(tmp_path / 'png' / f'{n:010d}.png'), depth_m.astype(np.uint16))
    data = kitti_set(raw, entries, truth='improved')
    scores = []
    for path in (perfect, tmp_path / 'npy', tmp_path / 'png'):
        depth = evaluate_set(data, import_predictions(path, scale=0.5)).depth
        assert depth is not None
        scores.append(depth.methods[0].judgement.scores['metric'].mean.abs_rel)
    assert scores[0] == scores[1]
    assert scores[2] == pytest.approx(scores[0], abs=2e-3)


def test_too_few_or_unnumbered_predictions_are_refused(
    raw: Path, entries: tuple[SplitEntry, ...], perfect: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / 'short.npy', np.load(perfect)[:2])
    with pytest.raises(EvaluationError, match=r'holds 2 predictions, but .* is number 3'):
        evaluate_set(kitti_set(raw, entries), import_predictions(tmp_path / 'short.npy'))
    (tmp_path / 'gap').mkdir()
    np.save(tmp_path / 'gap' / '1.npy', np.ones((2, 2), np.float32))
    with pytest.raises(EvaluationError, match='lacks number 0'):
        import_predictions(tmp_path / 'gap')
    with pytest.raises(EvaluationError, match='holds no predictions'):
        import_predictions(tmp_path / 'nowhere')


def test_a_submission_is_16_bits_of_256ths_of_a_metre_at_the_servers_size(tmp_path: Path) -> None:
    inverse = np.full((10, 20), 0.1, np.float32)
    inverse[5:] = 1e-4
    path = write_submission(tmp_path / 'out', 3, inverse, 5.4)
    written = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert path.name == '0000000003.png'
    assert (written.shape, written.dtype) == ((352, 1216), np.uint16)
    assert (written[0, 0], written[-1, -1]) == (54 * 256, 80 * 256)


def test_make3d_is_judged_on_its_central_half_square_under_70_m(tmp_path: Path) -> None:
    data = make3d_set(kitti_world.write_make3d(tmp_path))
    frame = data.frames[0]
    assert frame.read_picture().shape == (852, 1704, 3)
    true = frame.read_truth()
    assert true.shape == (21, 305)
    stack = np.where(true > 0, 1.0 / true, 1.0).astype(np.float32)
    np.save(tmp_path / 'p.npy', stack[None])
    evaluation = evaluate_set(data, import_predictions(tmp_path / 'p.npy'))
    assert evaluation.depth is not None
    judged = evaluation.depth.frames[0]
    assert judged.true_m.max() < 70.0
    assert evaluation.depth.methods[0].judgement.scores['frame'].mean.log10 < 1e-6


def test_make3d_without_pictures_or_grid_says_what_to_download(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match='download Test134'):
        make3d_set(tmp_path)
    with pytest.raises(EvaluationError, match='holds no Position3DGrid'):
        read_laser_depth(tmp_path / 'x.mat')


def test_the_half_square_lies_in_the_middle() -> None:
    rows = np.arange(12, dtype=np.uint8)[:, None, None].repeat(8, 1).repeat(3, 2)
    assert half_square(rows)[:, 0, 0].tolist() == [4, 5, 6, 7]
