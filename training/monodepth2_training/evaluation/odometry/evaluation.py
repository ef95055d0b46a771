# SPDX-License-Identifier: Apache-2.0
"""Judges the predicted motion of one camera along one path, by every figure that is in use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monodepth2_ros.errors import EvaluationError
from monodepth2_training.evaluation.evaluation import Doubt, Evaluation, FigureTable
from monodepth2_training.evaluation.odometry.drift import (
    Drift,
    drift_of,
    path_factor,
    path_length_m,
)
from monodepth2_training.evaluation.odometry.pose_errors import PoseErrors, has_evo, pose_errors
from monodepth2_training.evaluation.odometry.poses import Transforms, motions_of, poses_of
from monodepth2_training.evaluation.odometry.snippets import snippet_errors
from monodepth2_training.evaluation.odometry.trajectory import Trajectory

_NO_EVO = Doubt(
    what='Absolute and relative pose errors are left out: evo is not installed.',
    advice='pip install evo (GPL 3).',
    urgent=False,
)


@dataclass(frozen=True, kw_only=True)
class PathResult:
    """One path with its figures."""

    name: str
    """What the path is called."""
    ate_mean_m: float
    """Mean error of the snippets, as the paper gives it."""
    ate_std_m: float
    """Its standard deviation."""
    length_m: float
    """Length of the true path."""
    factor: float
    """Metres per unit of prediction: one for the path."""
    drift: Drift | None
    """KITTI's, with that factor; None where the path is shorter than 100 m."""
    errors: PoseErrors | None
    """By evo, with one factor for the path; None where they cannot be measured."""
    doubt: Doubt | None
    """Why they cannot."""
    true: Transforms
    """True poses [N, 4, 4]."""


def judge_path(name: str, motions: Transforms, true: Transforms) -> PathResult:
    """Judge motions ``T_earlier_to_later`` [N - 1, 4, 4] by true poses [N, 4, 4] in metres.

    Raises:
        EvaluationError: their numbers do not fit.
    """
    snippets = snippet_errors(motions, motions_of(true))
    predicted = poses_of(motions)
    factor = path_factor(predicted, true)
    metric = predicted.copy()
    metric[:, :3, 3] *= factor
    errors, doubt = _pose_errors(name, predicted, true)
    return PathResult(
        name=name,
        ate_mean_m=float(snippets.mean()),
        ate_std_m=float(snippets.std()),
        length_m=path_length_m(true),
        factor=factor,
        drift=drift_of(metric, true),
        errors=errors,
        doubt=doubt,
        true=true,
    )


def _pose_errors(
    name: str, predicted: Transforms, true: Transforms
) -> tuple[PoseErrors | None, Doubt | None]:
    """What evo says, or why it says nothing."""
    if not has_evo():
        return None, _NO_EVO
    try:
        return pose_errors(predicted, true, scaled=True), None
    except EvaluationError as err:
        what = f'Absolute and relative pose errors of {name} are left out: {err}.'
        return None, Doubt(what=what, advice='Judge a longer path with turns.', urgent=False)


def evaluate_paths(
    results: Sequence[PathResult], *, model: str, facts: tuple[tuple[str, str], ...] = ()
) -> Evaluation:
    """Put the figures of some paths together."""
    drawn = [result for result in results if result.errors is not None]
    whole = [result for result in results if result.errors or result.drift]
    return Evaluation(
        title=f'{model} along {", ".join(result.name for result in results)}',
        kind='odometry',
        facts=(('predictions', model), *facts),
        doubts=tuple(dict.fromkeys(result.doubt for result in results if result.doubt)),
        headline=' '.join(_sentence(result) for result in results),
        tables=(_snippet_table(results), *([_path_table(whole)] if whole else [])),
        trajectories=tuple(_trajectory(result) for result in drawn),
    )


def _sentence(result: PathResult) -> str:
    said = f'{result.name}: {result.ate_mean_m:.3f} ± {result.ate_std_m:.3f} m over five frames'
    if result.errors is None:
        return f'{said}.'
    share = 100.0 * result.errors.ape_rmse_m / max(result.length_m, 1e-9)
    off_m = result.errors.ape_rmse_m
    return f'{said}; {off_m:.2f} m off along {result.length_m:.0f} m ({share:.1f} %).'


def _snippet_table(results: Sequence[PathResult]) -> FigureTable:
    return FigureTable(
        name='snippets',
        title='Snippets of five frames, as the paper gives them',
        header=('path', 'ATE mean, m', 'ATE std, m'),
        rows=[(result.name, result.ate_mean_m, result.ate_std_m) for result in results],
        note='Each snippet scaled to its truth; the root of the summed squares divided by the '
        'number of frames, not by its root: 1/sqrt(5) of a root mean square.',
    )


def _path_table(results: Sequence[PathResult]) -> FigureTable:
    return FigureTable(
        name='paths',
        title='The whole path',
        header=(
            'path',
            'length, m',
            'factor',
            'APE rmse, m',
            'APE max, m',
            'RPE rmse, m',
            'RPE rmse, deg',
            'KITTI t, %',
            'KITTI r, deg/100 m',
        ),
        rows=[_path_row(result) for result in results],
        note='With one factor for the path. APE and RPE after alignment, by evo, RPE from frame '
        "to frame; a dash where that is impossible. KITTI's errors over stretches of 100 to 800 "
        'm; a dash where the path is shorter.',
    )


def _path_row(result: PathResult) -> tuple[str | float | None, ...]:
    errors, drift = result.errors, result.drift
    return (
        result.name,
        result.length_m,
        result.factor,
        errors.ape_rmse_m if errors else None,
        errors.ape_max_m if errors else None,
        errors.rpe_rmse_m if errors else None,
        errors.rpe_rmse_deg if errors else None,
        drift.translation_percent if drift else None,
        drift.rotation_deg_per_100_m if drift else None,
    )


def _trajectory(result: PathResult) -> Trajectory:
    """Both paths from above: along the two axes of the world that the path spreads in."""
    true = result.true[:, :3, 3]
    ours = true if result.errors is None else result.errors.aligned[:, :3, 3]
    spread = true.max(axis=0) - true.min(axis=0)
    axes = sorted(np.argsort(spread)[1:].tolist())
    return Trajectory(
        name=result.name,
        true_m=true[:, axes],
        predicted_m=ours[:, axes],
        axes=(f'{"xyz"[axes[0]]}, m', f'{"xyz"[axes[1]]}, m'),
    )
