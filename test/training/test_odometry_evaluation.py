# SPDX-License-Identifier: Apache-2.0
"""Predicted motion against true poses: the paper's snippets, KITTI's drift, evo's errors."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from monodepth2_training.evaluation.documents import document, markdown
from monodepth2_training.evaluation.odometry.drift import drift_of, path_factor, path_length_m
from monodepth2_training.evaluation.odometry.evaluation import evaluate_paths, judge_path
from monodepth2_training.evaluation.odometry.motion_model import MotionModel
from monodepth2_training.evaluation.odometry.pose_errors import pose_errors
from monodepth2_training.evaluation.odometry.poses import motions_of, poses_of, read_kitti_poses
from monodepth2_training.evaluation.odometry.sequence import open_sequence
from monodepth2_training.evaluation.odometry.snippets import snippet_errors
from monodepth2_training.model.pose import rigid_transform
from monodepth2_training.report.evaluation_page import evaluation_page
from support import kitti_world, md2_weights
from support.tiny_model import write_tiny_model

from monodepth2_ros.errors import EvaluationError
from monodepth2_ros.md2_checkpoint import import_md2
from monodepth2_ros.model_file import save_model


def curve(count: int = 60, step_m: float = 1.0, turn_rad: float = 0.02) -> np.ndarray:
    """Poses along a circle, in optical axes."""
    T = np.eye(4)
    T[:3, :3] = [
        [np.cos(turn_rad), 0.0, np.sin(turn_rad)],
        [0.0, 1.0, 0.0],
        [-np.sin(turn_rad), 0.0, np.cos(turn_rad)],
    ]
    T[2, 3] = step_m
    poses = [np.eye(4)]
    for _ in range(count - 1):
        poses.append(poses[-1] @ T)
    return np.stack(poses)


def noisy(motions: np.ndarray, seed: int = 1, size: float = 0.01) -> np.ndarray:
    draws = torch.from_numpy(np.random.default_rng(seed).normal(0, size, (len(motions), 6)))
    return motions @ rigid_transform(draws[:, :3], draws[:, 3:]).numpy()


def scaled(motions: np.ndarray, factor: float) -> np.ndarray:
    result = motions.copy()
    result[:, :3, 3] *= factor
    return result


@pytest.fixture(scope='module')
def odometry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kitti_world.write_odometry(tmp_path_factory.mktemp('odometry'))


def test_motions_and_poses_are_each_others_inverse() -> None:
    poses = curve()
    np.testing.assert_allclose(poses_of(motions_of(poses)), poses, atol=1e-9)


def test_the_papers_error_does_not_depend_on_the_unit() -> None:
    true = motions_of(curve())
    assert snippet_errors(scaled(true, 0.07), true).max() < 1e-12


def test_the_papers_error_is_divided_by_the_number_of_frames_and_not_by_its_root() -> None:
    straight = motions_of(curve(5, turn_rad=0.0))
    sideways = straight.copy()
    sideways[:, :3, 3] = [-0.5, 0.0, -1.0]
    # Positions (k/2, 0, k) against (0, 0, k): the best scale is 0.8 and leaves 0.2 k^2 of sum 30.
    assert snippet_errors(sideways, straight)[0] == pytest.approx(np.sqrt(0.2 * 30.0) / 5.0)


def test_snippets_at_the_end_are_shorter() -> None:
    true = motions_of(curve(8))
    errors = snippet_errors(noisy(true), true)
    assert errors.shape == (7,)
    # Two frames alone fit but for their direction.
    lone = snippet_errors(noisy(true)[-1:], true[-1:])
    assert errors[-1] == lone[0]


def test_one_that_never_moves_is_off_by_all_of_the_way() -> None:
    true = motions_of(curve(5, turn_rad=0.0))
    still = np.tile(np.eye(4), (4, 1, 1))
    assert snippet_errors(still, true)[0] == pytest.approx(np.sqrt(30.0) / 5.0)


def test_unequal_numbers_of_motions_are_refused() -> None:
    with pytest.raises(EvaluationError, match='3 predicted and 4 true'):
        snippet_errors(np.tile(np.eye(4), (3, 1, 1)), np.tile(np.eye(4), (4, 1, 1)))


def test_a_path_that_is_too_long_by_a_hundredth_drifts_by_one_percent() -> None:
    true = curve(400, turn_rad=0.0)
    drift = drift_of(poses_of(scaled(motions_of(true), 1.01)), true)
    assert drift is not None
    # A stretch ends at the first frame beyond its length, here a metre later.
    expected = np.mean([n * (length + 1.0) / length for length, n in ((100.0, 1), (200.0, 1))])
    assert drift.translation_percent == pytest.approx(expected, abs=0.01)
    assert drift.rotation_deg_per_100_m == pytest.approx(0.0, abs=1e-6)
    assert drift.stretches == 30 + 20 + 10


def test_a_constant_turn_too_much_is_degrees_per_hundred_metres() -> None:
    true, turning = curve(300, turn_rad=0.0), curve(300, turn_rad=np.radians(0.01))
    drift = drift_of(turning, true, lengths_m=(100.0,))
    assert drift is not None
    assert drift.rotation_deg_per_100_m == pytest.approx(1.01, abs=1e-3)


def test_a_path_under_100_m_has_no_drift() -> None:
    assert drift_of(curve(60), curve(60)) is None
    assert path_length_m(curve(60)) == pytest.approx(59.0)


def test_evo_finds_the_scale_and_nothing_else() -> None:
    pytest.importorskip('evo', reason='evo is optional')
    true = curve()
    errors = pose_errors(poses_of(scaled(motions_of(true), 0.25)), true, scaled=True)
    assert errors.scale == pytest.approx(4.0)
    assert errors.ape_rmse_m < 1e-9
    assert errors.rpe_rmse_deg < 1e-5
    rigid = pose_errors(poses_of(scaled(motions_of(true), 0.25)), true, scaled=False)
    assert (rigid.scale, rigid.ape_rmse_m > 1.0) == (1.0, True)


def test_evos_absolute_error_is_the_root_mean_square_after_a_plain_alignment() -> None:
    pytest.importorskip('evo', reason='evo is optional')
    true = curve()
    found = poses_of(noisy(motions_of(true)))
    errors = pose_errors(found, true, scaled=True)
    ours, theirs = found[:, :3, 3], true[:, :3, 3]
    u, d, vt = np.linalg.svd((theirs - theirs.mean(0)).T @ (ours - ours.mean(0)))
    sign = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    scale = (d * np.diag(sign)).sum() / ((ours - ours.mean(0)) ** 2).sum()
    left = scale * (ours - ours.mean(0)) @ (u @ sign @ vt).T - (theirs - theirs.mean(0))
    assert errors.ape_rmse_m == pytest.approx(np.sqrt((left**2).sum(1).mean()))
    assert errors.scale == pytest.approx(scale)


def test_importing_evo_draws_nothing_and_needs_no_screen() -> None:
    pytest.importorskip('evo', reason='evo is optional')
    import subprocess

    program = (
        'import sys; from evo.core import metrics, trajectory; '
        'print({"matplotlib", "pandas", "seaborn"} & set(sys.modules))'
    )
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert done.stdout.strip() == 'set()'


def test_without_evo_the_papers_figures_are_there_and_the_rest_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ('evo', 'evo.core.metrics'):
        monkeypatch.setitem(sys.modules, name, None)
    true = curve()
    result = judge_path('circle', motions_of(true), true)
    evaluation = evaluate_paths([result], model='x')
    assert [table.name for table in evaluation.tables] == ['snippets']
    assert 'evo is not installed' in evaluation.doubts[0].what
    with pytest.raises(EvaluationError, match='pip install evo'):
        pose_errors(true, true, scaled=True)


@pytest.mark.parametrize(('step_m', 'tables'), [(0.0, ['snippets']), (1.0, ['snippets', 'paths'])])
def test_a_path_that_stands_or_is_straight_keeps_what_needs_no_alignment(
    step_m: float, tables: list[str]
) -> None:
    pytest.importorskip('evo', reason='evo is optional')
    true = curve(150, step_m=step_m, turn_rad=0.0)
    motions = scaled(motions_of(curve(150, turn_rad=0.0)), 0.5)
    evaluation = evaluate_paths([judge_path('road', motions, true)], model='x')
    assert 'errors of road are left out: the path cannot be aligned' in evaluation.doubts[0].what
    assert [table.name for table in evaluation.tables] == tables
    for row in evaluation.tables[1].rows if step_m else ():
        assert row[2:] == (pytest.approx(2.0), None, None, None, None, *2 * [pytest.approx(0.0)])


def test_the_factor_of_a_path_is_that_of_evos_alignment() -> None:
    pytest.importorskip('evo', reason='evo is optional')
    true = curve(120)
    found = poses_of(scaled(noisy(motions_of(true)), 0.25))
    errors = pose_errors(found, true, scaled=True)
    assert path_factor(found, true) == pytest.approx(errors.scale)


def test_the_report_has_every_figure_and_draws_the_paths() -> None:
    pytest.importorskip('evo', reason='evo is optional')
    true = curve(200)
    result = judge_path('circle', noisy(motions_of(true), size=0.003), true)
    evaluation = evaluate_paths([result], model='model.safetensors')
    text = markdown(evaluation)
    assert '1/sqrt(5) of a root mean square' in text
    assert 'KITTI t, %' in text
    row = document(evaluation)['tables']['paths'][0]
    assert row['APE rmse, m'] > 0.0
    assert row['KITTI t, %'] > 0.0
    page = evaluation_page(evaluation)
    assert 'Paths from above' in page
    assert page.count('<svg') == 1
    assert 'circle: 0.0' in page


def test_kittis_pose_files_are_read_and_others_refused(odometry: Path, tmp_path: Path) -> None:
    poses = read_kitti_poses(odometry / 'poses' / '09.txt')
    np.testing.assert_allclose(poses[0], np.eye(4), atol=1e-8)
    assert poses[-1, 2, 3] > 1.0
    (tmp_path / 'bad.txt').write_text('1 2 3\n')
    with pytest.raises(EvaluationError, match='3 numbers a line'):
        read_kitti_poses(tmp_path / 'bad.txt')
    with pytest.raises(EvaluationError, match=r'eval_odometry\.php'):
        read_kitti_poses(tmp_path / 'none.txt')


def test_a_sequence_lists_the_pictures_that_are_missing(odometry: Path, tmp_path: Path) -> None:
    sequence = open_sequence(odometry, '9')
    assert len(sequence.pictures) == len(sequence.poses) == 12
    assert next(sequence.read()).shape == (kitti_world.HEIGHT, kitti_world.WIDTH, 3)
    (tmp_path / 'poses').symlink_to(odometry / 'poses')
    with pytest.raises(EvaluationError, match='12 of 12 files are missing'):
        open_sequence(tmp_path, '09')


def test_the_pose_network_of_a_model_predicts_a_motion_between_pictures(
    odometry: Path, tmp_path: Path
) -> None:
    checkpoint = md2_weights.write_checkpoint(tmp_path / 'md2', pose=True)
    description, state, pose = import_md2(checkpoint)
    save_model(tmp_path / 'm.safetensors', description, state, pose)
    model = MotionModel.load(tmp_path / 'm.safetensors', device='cpu')
    sequence = open_sequence(odometry, '09')
    motions = np.stack(list(model.motions(sequence.read())))
    assert motions.shape == (11, 4, 4)
    assert np.abs(motions[:, :3, 3]).max() > 0.0
    np.testing.assert_allclose(np.linalg.det(motions[:, :3, :3]), 1.0, atol=1e-6)
    result = judge_path(sequence.name, motions, sequence.poses)
    assert 0.0 < result.ate_mean_m < 5.0


def test_a_model_without_a_pose_network_is_refused(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / 'm.safetensors')
    with pytest.raises(EvaluationError, match=r'pose network over pairs of frames .* has none'):
        MotionModel.load(path, device='cpu')
