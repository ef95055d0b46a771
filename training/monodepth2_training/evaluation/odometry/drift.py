# SPDX-License-Identifier: Apache-2.0
"""KITTI's odometry errors: how far and how much a path turns off, per length driven.

Source: Geiger et al., "Are we ready for Autonomous Driving?", CVPR 2012, as the benchmark's server
computes it: stretches of 100 to 800 m from every tenth frame on, compared end to end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from monodepth2_training.evaluation.odometry.poses import Transforms

LENGTHS_M = (100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 700.0, 800.0)
"""Lengths of the stretches."""

_EVERY = 10


@dataclass(frozen=True, kw_only=True)
class Drift:
    """Means over all stretches."""

    translation_percent: float
    """Metres off per hundred driven."""
    rotation_deg_per_100_m: float
    """Degrees turned off per hundred metres driven."""
    stretches: int
    """How many there are."""


def drift_of(
    predicted: Transforms, true: Transforms, *, lengths_m: tuple[float, ...] = LENGTHS_M
) -> Drift | None:
    """Compare poses [N, 4, 4] in metres; None where not even the shortest stretch was driven."""
    errors = np.array(list(_errors(predicted, true, lengths_m)))
    if not len(errors):
        return None
    far, turned = errors.mean(axis=0).tolist()
    return Drift(
        translation_percent=100.0 * far,
        rotation_deg_per_100_m=100.0 * float(np.degrees(turned)),
        stretches=len(errors),
    )


def path_factor(predicted: Transforms, true: Transforms) -> float:
    """Metres per unit of predicted poses [N, 4, 4] that fit the whole path best, by Umeyama.

    Unlike the alignment itself it is there for straight paths, too; 0 where none is predicted.
    """
    ours, theirs = (poses[:, :3, 3] - poses[:, :3, 3].mean(axis=0) for poses in (predicted, true))
    left, along, right = np.linalg.svd(theirs.T @ ours)
    along[2] *= np.sign(np.linalg.det(left @ right))
    spread = float((ours * ours).sum())
    return float(along.sum()) / spread if spread else 0.0


def path_length_m(poses: Transforms) -> float:
    """Length of the path through poses [N, 4, 4]."""
    return float(np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1).sum())


def _errors(
    predicted: Transforms, true: Transforms, lengths_m: tuple[float, ...]
) -> Iterator[tuple[float, float]]:
    """Metres and radians off per metre, of each stretch."""
    steps = np.linalg.norm(np.diff(true[:, :3, 3], axis=0), axis=1)
    driven = np.concatenate(([0.0], np.cumsum(steps)))
    for first in range(0, len(true), _EVERY):
        for length in lengths_m:
            last = int(np.searchsorted(driven, driven[first] + length, side='right'))
            if last >= len(true):
                break
            ours = np.linalg.solve(predicted[first], predicted[last])
            theirs = np.linalg.solve(true[first], true[last])
            apart = np.linalg.solve(ours, theirs)
            cosine = np.clip(0.5 * (np.trace(apart[:3, :3]) - 1.0), -1.0, 1.0)
            yield float(np.linalg.norm(apart[:3, 3]) / length), float(np.arccos(cosine) / length)
