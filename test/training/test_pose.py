# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import pytest
import torch
from monodepth2_training.model.pose import invert_rigid, rigid_transform, rotation

ANGLES_RAD = (1e-9, 1e-4, 0.999e-3, 1.001e-3, 0.01, 1.0, 3.1)
UNIT_AXIS = (2.0 / 7.0, -3.0 / 7.0, 6.0 / 7.0)


def _vector(angle_rad: float, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return angle_rad * torch.tensor(UNIT_AXIS, dtype=dtype)


def _random(*shape: int, scale: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(4)
    return scale * torch.randn(*shape, dtype=torch.float64, generator=generator)


def test_a_quarter_turn_about_z_turns_x_into_y_and_y_into_minus_x() -> None:
    R = rotation(torch.tensor([0.0, 0.0, math.pi / 2.0], dtype=torch.float64))
    expected = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    torch.testing.assert_close(R, expected.double(), rtol=0.0, atol=1e-15)


def test_a_turn_to_the_right_about_y_moves_what_is_ahead_along_x() -> None:
    R = rotation(torch.tensor([0.0, 0.1, 0.0], dtype=torch.float64))
    ahead = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    expected = torch.tensor([math.sin(0.1), 0.0, math.cos(0.1)], dtype=torch.float64)
    torch.testing.assert_close(R @ ahead, expected, rtol=0.0, atol=1e-15)


@pytest.mark.parametrize('angle_rad', ANGLES_RAD)
def test_a_rotation_is_the_exponential_of_its_cross_matrix(angle_rad: float) -> None:
    x, y, z = _vector(angle_rad).tolist()
    cross = torch.tensor([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]], dtype=torch.float64)
    expected = term = torch.eye(3, dtype=torch.float64)
    for k in range(1, 40):
        term = term @ cross / k
        expected = expected + term
    torch.testing.assert_close(rotation(_vector(angle_rad)), expected, rtol=0.0, atol=1e-14)


@pytest.mark.parametrize('angle_rad', ANGLES_RAD)
def test_rotations_are_orthonormal_with_determinant_one(angle_rad: float) -> None:
    R = rotation(_vector(angle_rad, torch.float32))
    assert R.dtype == torch.float32
    torch.testing.assert_close(R @ R.T, torch.eye(3), rtol=0.0, atol=1e-6)
    torch.testing.assert_close(torch.linalg.det(R), torch.tensor(1.0), rtol=0.0, atol=1e-6)


def test_gradients_agree_with_differences_at_rest_and_in_motion() -> None:
    for axis_angle in (torch.zeros(1, 3, dtype=torch.float64), _random(3, 3, scale=0.7)):
        translation = _random(len(axis_angle), 3)
        inputs = (axis_angle.requires_grad_(), translation.requires_grad_())
        assert torch.autograd.gradcheck(rigid_transform, inputs)
        assert torch.autograd.gradcheck(lambda *m: invert_rigid(rigid_transform(*m)), inputs)


@pytest.mark.parametrize('angle_rad', [0.0, 1e-30, 1e-12])
def test_the_gradient_at_rest_is_that_of_the_cross_matrix(angle_rad: float) -> None:
    axis_angle = _vector(angle_rad, torch.float32).requires_grad_()
    rotation(axis_angle)[1, 0].backward()
    torch.testing.assert_close(axis_angle.grad, torch.tensor([0.0, 0.0, 1.0]))


def test_a_transform_rotates_before_it_translates() -> None:
    T = rigid_transform(torch.tensor([0.0, 0.0, math.pi / 2.0]), torch.tensor([10.0, 0.0, 0.0]))
    moved = T @ torch.tensor([1.0, 0.0, 0.0, 1.0])
    torch.testing.assert_close(moved, torch.tensor([10.0, 1.0, 0.0, 1.0]))


def test_the_inverse_undoes_the_transform_on_either_side() -> None:
    T = rigid_transform(_random(5, 2, 3), _random(5, 2, 3, scale=20.0))
    identity = torch.eye(4, dtype=torch.float64).expand(5, 2, 4, 4)
    torch.testing.assert_close(invert_rigid(T) @ T, identity, rtol=0.0, atol=1e-13)
    torch.testing.assert_close(T @ invert_rigid(T), identity, rtol=0.0, atol=1e-13)


def test_poses_stay_float32_whatever_autocast_and_the_numbers_are() -> None:
    motion = _random(2, 6, scale=0.01).bfloat16()
    expected = rigid_transform(motion[:, :3].float(), motion[:, 3:].float())
    with torch.autocast('cpu', torch.bfloat16):
        T = rigid_transform(motion[:, :3], motion[:, 3:])
        inverse = invert_rigid(T)
    assert T.dtype == inverse.dtype == torch.float32
    assert torch.equal(T, expected)
    assert torch.equal(inverse, invert_rigid(expected))
