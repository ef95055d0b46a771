# SPDX-License-Identifier: Apache-2.0
"""Absolute and relative pose errors of a whole path, by the library evo.

Source: Sturm et al., IROS 2012 (ATE and RPE); alignment by Umeyama, PAMI 1991. evo is under the
GPL 3 and optional: whoever wants these figures installs it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from monodepth2_ros.errors import EvaluationError
from monodepth2_ros.optional_packages import load_package
from monodepth2_training.evaluation.odometry.poses import Transforms

FEWEST_POSES = 3
"""Fewer cannot be aligned."""


@dataclass(frozen=True, kw_only=True)
class PoseErrors:
    """What evo says about a path, once it is turned, moved and maybe scaled to the truth."""

    scale: float
    """Metres per unit of prediction that the alignment found; 1 where it was not allowed to."""
    aligned: Transforms
    """The predicted poses [N, 4, 4] in the frame of the truth."""
    ape_rmse_m: float
    """Absolute pose error: root mean square distance of the positions."""
    ape_max_m: float
    """The largest distance."""
    rpe_rmse_m: float
    """Relative pose error from frame to frame, translation."""
    rpe_rmse_deg: float
    """The same, rotation."""


def pose_errors(predicted: Transforms, true: Transforms, *, scaled: bool) -> PoseErrors:
    """Align poses [N, 4, 4] to the truth and measure what is left.

    Args:
        predicted: poses of the camera, in any unit if ``scaled``.
        true: poses of the camera in metres.
        scaled: whether one factor for the whole path is found, too.

    Raises:
        EvaluationError: evo is not installed, the numbers differ or are too few, or a path is
            straight or stands, which can be turned in many ways.
    """
    if len(predicted) != len(true) or len(true) < FEWEST_POSES:
        raise EvaluationError(
            f'{len(predicted)} predicted and {len(true)} true poses: expected as many of both, '
            f'{FEWEST_POSES} at least'
        )
    geometry, metrics, trajectory = _evo()
    ours = trajectory.PosePath3D(poses_se3=list(predicted))
    theirs = trajectory.PosePath3D(poses_se3=list(true))
    try:
        _, _, scale = ours.align(theirs, correct_scale=scaled)
    except (ValueError, geometry.GeometryException) as err:
        raise EvaluationError(f'the path cannot be aligned with the truth: {err}') from err
    relation = metrics.PoseRelation
    absolute = metrics.APE(relation.translation_part)
    step, turn = (metrics.RPE(r) for r in (relation.translation_part, relation.rotation_angle_deg))
    for metric in (absolute, step, turn):
        metric.process_data((theirs, ours))
    return PoseErrors(
        scale=float(scale) if scaled else 1.0,
        aligned=np.stack(ours.poses_se3),
        ape_rmse_m=float(absolute.get_statistic(metrics.StatisticsType.rmse)),
        ape_max_m=float(absolute.get_statistic(metrics.StatisticsType.max)),
        rpe_rmse_m=float(step.get_statistic(metrics.StatisticsType.rmse)),
        rpe_rmse_deg=float(turn.get_statistic(metrics.StatisticsType.rmse)),
    )


def has_evo() -> bool:
    """Whether evo is installed."""
    try:
        _evo()
    except EvaluationError:
        return False
    return True


def _evo() -> tuple[Any, Any, Any]:
    """Evo's modules of geometry, of metrics and of trajectories, which draw nothing."""
    cannot = 'absolute and relative pose errors cannot be measured'
    geometry, metrics, trajectory = (
        load_package(f'evo.core.{part}', cannot=cannot, error=EvaluationError)
        for part in ('geometry', 'metrics', 'trajectory')
    )
    return geometry, metrics, trajectory
