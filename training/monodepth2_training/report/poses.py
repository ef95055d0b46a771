# SPDX-License-Identifier: Apache-2.0
"""Compares predicted motion with the vehicle's odometry: its direction, its length, the path.

How the camera is mounted is not known here. It is taken to look where the vehicle drives, and what
all directions are off by in common (a pitched or turned mounting, or a rear camera) is stated by
itself. Roll, and the way from the odometry's origin to the camera, are left out: both show in
turns alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.geometry.poses import pose_matrices

Floats = NDArray[np.float64]

LEAST_STEP_M = 0.05
"""Shorter steps of the odometry have no direction that could be trusted."""

LEAST_STEPS = 3
"""Fewer steps are not compared."""

OPTICAL_TO_BODY = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""Optical axes (x right, z forward) in those of a body (x forward, z up; REP 103)."""

_OPPOSITE = -1.0 + 1e-9


@dataclass(frozen=True, kw_only=True)
class PredictedStep:
    """The motion from one frame of a camera to a later one."""

    begin: int
    """Index of the earlier frame."""
    end: int
    """Index of the later frame."""
    T_end_to_begin: Floats
    """float64 [4, 4] in the camera's optical axes and network units."""


@dataclass(frozen=True, kw_only=True)
class PoseComparison:
    """Predicted motion against odometry, over N steps of one camera."""

    stamps_ns: NDArray[np.int64]
    """When each step begins [N]."""
    direction_deg: Floats
    """Angle [N] between both directions, the camera taken to look straight ahead."""
    offset_deg: float
    """Angle between both mean directions: a mounting that is not straight ahead, or an error."""
    residual_deg: Floats
    """Angle [N] that is left once that common angle is taken away."""
    turn_deg: Floats
    """Angle [N] between both rotations."""
    ratio: Floats
    """Metres of odometry per unit of predicted motion [N]."""
    path_odometry_m: Floats
    """Longest unbroken stretch [M, 2] from above: forward and left of where it begins."""
    path_predicted_m: Floats
    """The same by predicted motion [M, 2], times the median ratio."""

    @property
    def scale(self) -> float:
        """Median ratio: metres per network unit."""
        return float(np.median(self.ratio))

    @property
    def scale_spread(self) -> float:
        """Relative standard deviation of the ratio, by the middle 68 % so that few do not rule."""
        low, high = np.percentile(self.ratio, [15.87, 84.13])
        return float(0.5 * (high - low) / self.scale)

    @property
    def path_length_m(self) -> float:
        """Length of the stretch by odometry."""
        return float(np.linalg.norm(np.diff(self.path_odometry_m, axis=0), axis=1).sum())

    @property
    def path_error_m(self) -> float:
        """Root mean square distance of both paths, which begin together."""
        apart = np.linalg.norm(self.path_predicted_m - self.path_odometry_m, axis=1)
        return float(np.sqrt(np.mean(apart**2)))


def compare_poses(
    steps: Sequence[PredictedStep], odometry: Floats, stamps_ns: NDArray[np.int64]
) -> PoseComparison | None:
    """Compare the steps of one camera with the odometry of its frames.

    Args:
        steps: in order of time.
        odometry: float64 [F, 8] of all frames, as in ``FrameTable``.
        stamps_ns: int64 [F].

    Returns:
        None where fewer than ``LEAST_STEPS`` steps have odometry and move.
    """
    truths = _camera_steps([(odometry[s.begin], odometry[s.end]) for s in steps])
    usable = [i for i, T in enumerate(truths) if _moves(T, steps[i].T_end_to_begin)]
    if len(usable) < LEAST_STEPS:
        return None
    kept, true = [steps[i] for i in usable], np.stack([truths[i] for i in usable])
    predicted = np.stack([step.T_end_to_begin for step in kept])
    straight, wanted = _directions(predicted), _directions(true)
    mounting = _turn_between(straight.mean(axis=0), wanted.mean(axis=0))
    ratio = np.linalg.norm(true[:, :3, 3], axis=1) / np.linalg.norm(predicted[:, :3, 3], axis=1)
    leg = _longest_leg(kept)
    return PoseComparison(
        stamps_ns=stamps_ns[[step.begin for step in kept]],
        direction_deg=_angles_deg(straight, wanted),
        offset_deg=float(_angles_deg(straight.mean(axis=0), wanted.mean(axis=0))),
        residual_deg=_angles_deg(straight @ mounting.T, wanted),
        turn_deg=_turns_deg(mounting @ predicted[:, :3, :3] @ mounting.T, true[:, :3, :3]),
        ratio=ratio,
        path_odometry_m=_path(true[leg], np.eye(3), 1.0),
        path_predicted_m=_path(predicted[leg], mounting, float(np.median(ratio))),
    )


def _camera_steps(pairs: Sequence[tuple[Floats, Floats]]) -> Floats:
    """Steps of the odometry [N, 4, 4], later to earlier, in optical axes of a straight camera."""
    if not pairs:
        return np.empty((0, 4, 4))
    begin, end = (pose_matrices(np.stack(rows)) for rows in zip(*pairs, strict=True))
    steps = _inverted(begin) @ end
    # A vehicle drives along x of a body frame (REP 103) and along z of an optical one.
    along = np.nansum(np.abs(steps[:, :3, 3]), axis=0)
    axes = np.eye(4)
    if along[0] >= along[2]:
        axes[:3, :3] = OPTICAL_TO_BODY
    return np.asarray(axes.T @ steps @ axes, np.float64)


def _inverted(T: Floats) -> Floats:
    """Inverse of rigid transforms [N, 4, 4]."""
    inverse = np.tile(np.eye(4), (len(T), 1, 1))
    R = T[:, :3, :3].transpose(0, 2, 1)
    inverse[:, :3, :3] = R
    inverse[:, :3, 3] = -(R @ T[:, :3, 3:])[..., 0]
    return inverse


def _moves(true: Floats, predicted: Floats) -> bool:
    """Whether a step has odometry, and both have a direction."""
    length_m = np.linalg.norm(true[:3, 3])
    return bool(length_m >= LEAST_STEP_M and np.linalg.norm(predicted[:3, 3]) > 0.0)


def _directions(T: Floats) -> Floats:
    """Unit vectors [N, 3] of translations."""
    t = T[:, :3, 3]
    return np.asarray(t / np.linalg.norm(t, axis=1, keepdims=True), np.float64)


def _angles_deg(first: Floats, second: Floats) -> Floats:
    """Angles [...] between vectors [..., 3], exact also where they are nearly parallel."""
    across = np.linalg.norm(np.cross(first, second), axis=-1)
    return np.asarray(np.degrees(np.arctan2(across, (first * second).sum(axis=-1))), np.float64)


def _turns_deg(first: Floats, second: Floats) -> Floats:
    """Angles [N] between rotations [N, 3, 3], exact also where they are nearly equal."""
    apart = np.linalg.norm(first - second, axis=(1, 2))
    # Rotations an angle a apart differ by 2 sqrt(2) sin(a / 2) in the Frobenius norm.
    return np.asarray(np.degrees(2.0 * np.arcsin(np.minimum(apart / 8.0**0.5, 1.0))), np.float64)


def _turn_between(first: Floats, second: Floats) -> Floats:
    """The smallest rotation [3, 3] that takes one direction to another."""
    a, b = first / np.linalg.norm(first), second / np.linalg.norm(second)
    cosine = float(a @ b)
    if cosine < _OPPOSITE:
        return np.diag([-1.0, 1.0, -1.0])
    x, y, z = np.cross(a, b)
    v = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.asarray(np.eye(3) + v + v @ v / (1.0 + cosine), np.float64)


def _longest_leg(steps: Sequence[PredictedStep]) -> list[int]:
    """Indices of steps that follow each other without a gap, the most there are."""
    place = {step.begin: i for i, step in enumerate(steps)}
    best: list[int] = []
    reached: set[int] = set()
    for first in range(len(steps)):
        if first in reached:
            continue
        leg = [first]
        while (after := place.get(steps[leg[-1]].end)) is not None:
            leg.append(after)
        reached.update(leg)
        best = max(best, leg, key=len)
    return best


def _path(steps: Floats, mounting: Floats, scale: float) -> Floats:
    """Chain steps [M - 1, 4, 4] in optical axes; [M, 2] m forward and left of the start."""
    to_body = OPTICAL_TO_BODY @ mounting
    T, places = np.eye(4), [np.zeros(3)]
    for step in steps:
        scaled = step.copy()
        scaled[:3, 3] *= scale
        T = T @ scaled
        places.append(to_body @ T[:3, 3])
    return np.array(places)[:, :2]
