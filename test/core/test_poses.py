# SPDX-License-Identifier: Apache-2.0
"""Poses as rows and as matrices: one convention, quaternions x y z w, in both directions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monodepth2_ros.geometry.poses import (
    inverse_pose,
    pose_matrices,
    pose_matrix,
    rotation_angles,
    rotation_matrices,
)

HALF = np.sqrt(0.5)
ANGLES = st.floats(-np.pi, np.pi)
AXES = st.tuples(*[st.floats(-1.0, 1.0)] * 3).filter(lambda axis: np.linalg.norm(axis) > 0.1)
PLACES = st.tuples(*[st.floats(-100.0, 100.0)] * 3)


def quaternion(axis: tuple[float, ...], angle_rad: float) -> np.ndarray:
    unit = np.array(axis) / np.linalg.norm(axis)
    return np.append(np.sin(0.5 * angle_rad) * unit, np.cos(0.5 * angle_rad))


def rodrigues(axis: tuple[float, ...], angle_rad: float) -> np.ndarray:
    x, y, z = np.array(axis) / np.linalg.norm(axis)
    K = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + np.sin(angle_rad) * K + (1.0 - np.cos(angle_rad)) * (K @ K)


@pytest.mark.parametrize(
    ('turn', 'from_', 'to'),
    [
        ((0.0, 0.0, 0.0, 1.0), (1.0, 2.0, 3.0), (1.0, 2.0, 3.0)),
        ((0.0, 0.0, HALF, HALF), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
        ((HALF, 0.0, 0.0, HALF), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
        ((0.0, HALF, 0.0, HALF), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0)),
        # An optical frame in a body frame (REP 103): its z looks along x.
        ((-0.5, 0.5, -0.5, 0.5), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0)),
    ],
)
def test_quaternions_turn_points_by_the_right_hand_rule(
    turn: tuple[float, ...], from_: tuple[float, ...], to: tuple[float, ...]
) -> None:
    R = rotation_matrices(np.array([turn]))[0]
    np.testing.assert_allclose(R @ from_, to, atol=1e-12)


@given(axis=AXES, angle_rad=ANGLES)
def test_rotation_matrices_are_those_of_axis_and_angle(
    axis: tuple[float, ...], angle_rad: float
) -> None:
    R = rotation_matrices(quaternion(axis, angle_rad)[None])[0]
    np.testing.assert_allclose(R, rodrigues(axis, angle_rad), atol=1e-12)


@given(axis=AXES, angle_rad=ANGLES, other=AXES)
def test_the_angle_between_rotations_is_that_of_the_turn_between_them(
    axis: tuple[float, ...], angle_rad: float, other: tuple[float, ...]
) -> None:
    begin = quaternion(other, 1.0)
    R = rotation_matrices(np.stack([begin, quaternion(axis, angle_rad)]))
    end = R[0] @ R[1]
    # The quaternion of the product, by Hamilton's formula.
    (a, b), (v, w) = ((q[:3], q[3]) for q in (begin, quaternion(axis, angle_rad)))
    product = np.append(b * v + w * a + np.cross(a, v), b * w - a @ v)
    np.testing.assert_allclose(rotation_matrices(product[None])[0], end, atol=1e-12)
    for sign in (1.0, -1.0):
        found = rotation_angles(begin[None], sign * product[None])[0]
        assert found == pytest.approx(abs(angle_rad), abs=2e-7)


def test_tiny_angles_keep_their_digits() -> None:
    tiny = 1e-9
    still, turned = quaternion((0, 0, 1), 0.0), quaternion((0, 0, 1), tiny)
    assert rotation_angles(still[None], turned[None])[0] == pytest.approx(tiny, rel=1e-6)


@given(place=PLACES, axis=AXES, angle_rad=ANGLES)
def test_a_pose_and_its_inverse_cancel_and_row_and_matrix_agree(
    place: tuple[float, ...], axis: tuple[float, ...], angle_rad: float
) -> None:
    row = np.concatenate((place, quaternion(axis, angle_rad)))
    T = pose_matrices(row[None])[0]
    np.testing.assert_allclose(T[:3, 3], place)
    np.testing.assert_allclose(T @ inverse_pose(T), np.eye(4), atol=1e-9)
    np.testing.assert_allclose(inverse_pose(inverse_pose(T)), T, atol=1e-9)
    longer = np.concatenate((place, 3.0 * row[3:]))
    found = pose_matrix(longer)
    assert found is not None
    np.testing.assert_allclose(found, T, atol=1e-9)


@pytest.mark.parametrize(
    'row',
    [
        (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        (np.nan, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0),
        (0.0, np.inf, 0.0, 0.0, 0.0, 0.0, 1.0),
        (0.0, 0.0, 0.0, 0.0, 0.0, 1.0),
    ],
)
def test_a_row_that_is_no_pose_gives_none(row: tuple[float, ...]) -> None:
    assert pose_matrix(np.array(row)) is None
