# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from monodepth2_training.data.network_unit import travel_unit_m
from monodepth2_training.loss import velocity
from monodepth2_training.loss.config import LossConfig
from monodepth2_training.loss.objective import Objective
from monodepth2_training.loss.velocity import share_of_known, velocity_error
from monodepth2_training.model.pose import rigid_transform
from support.gpu_waits import GpuWaits
from support.loss_scene import random_prediction, random_views

from monodepth2_ros.errors import ConfigError
from monodepth2_ros.geometry.depth import DepthRange

NAN = float('nan')


def _transforms(*translations: tuple[float, float, float]) -> torch.Tensor:
    """[1, S, 4, 4] without rotation."""
    T = torch.eye(4, dtype=torch.float64).repeat(1, len(translations), 1, 1)
    T[0, :, :3, 3] = torch.tensor(translations, dtype=torch.float64)
    return T


def _slow(T: torch.Tensor, travelled: torch.Tensor) -> float:
    terms = [
        abs(math.dist((0, 0, 0), T[b, s, :3, 3].tolist()) - travelled[b, s].item())
        for b in range(T.shape[0])
        for s in range(T.shape[1])
        if not math.isnan(travelled[b, s].item())
    ]
    return sum(terms) / len(terms) if terms else 0.0


def test_a_step_of_three_and_four_that_went_seven_is_two_short() -> None:
    T, travelled = _transforms((3.0, 0.0, 4.0), (0.0, 0.0, 1.0)), torch.tensor([[7.0, 1.0]])
    assert velocity_error(T, travelled).item() == pytest.approx(1.0)


def test_steps_without_odometry_do_not_count() -> None:
    T, travelled = _transforms((3.0, 0.0, 4.0), (0.0, 0.0, 1.0)), torch.tensor([[7.0, NAN]])
    assert velocity_error(T, travelled).item() == pytest.approx(2.0)


def test_without_any_odometry_the_term_is_zero_and_so_is_its_gradient() -> None:
    T = _transforms((3.0, 0.0, 4.0), (0.0, 0.0, 0.0)).requires_grad_()
    error = velocity_error(T, torch.tensor([[NAN, NAN]]))
    error.backward()
    assert error.item() == 0.0
    assert T.grad is not None
    assert not T.grad.any()


def test_a_predicted_standstill_has_a_finite_gradient() -> None:
    T = _transforms((0.0, 0.0, 0.0)).requires_grad_()
    velocity_error(T, torch.tensor([[1.0]])).backward()
    assert T.grad is not None
    assert torch.isfinite(T.grad).all()


def test_the_nearest_depth_is_three_usual_steps_and_standing_still_no_step() -> None:
    distances_m = np.array([[0.0, 0.3], [NAN, 0.6], [0.9, 0.0]])
    assert travel_unit_m(distances_m, 0.1) * 0.1 == pytest.approx(3 * 0.6)
    assert travel_unit_m(np.full((2, 2), NAN), 0.1) == 1.0


def test_the_term_equals_the_slow_formula_and_its_gradient_is_right() -> None:
    views = random_views()
    T = random_prediction(views).T_target_to_sources
    travelled = views.travelled_units.clone()
    travelled[0, 1] = NAN
    assert abs(velocity_error(T, travelled).item() - _slow(T, travelled)) < 1e-14
    assert torch.autograd.gradcheck(lambda T: velocity_error(T, travelled), T)


@pytest.mark.parametrize('known', [8, 5, 2, 1, 0])
def test_known_steps_count_alike_however_they_fall_onto_processes(
    known: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = torch.Generator().manual_seed(4)
    T = torch.eye(4, dtype=torch.float64).repeat(4, 2, 1, 1)
    T[..., :3, 3] = torch.rand(4, 2, 3, generator=rng, dtype=torch.float64)
    travelled = torch.full((8,), NAN, dtype=torch.float64)
    travelled[:known] = 0.3
    travelled = travelled.reshape(4, 2)
    everywhere = torch.isfinite(travelled).sum()
    monkeypatch.setattr(velocity.distributed, 'is_initialized', lambda: True)
    monkeypatch.setattr(velocity.distributed, 'get_world_size', lambda: 2)
    monkeypatch.setattr(velocity.distributed, 'all_reduce', lambda t: t.copy_(everywhere))
    of_processes = [
        share_of_known(travelled[half]) * velocity_error(T[half], travelled[half])
        for half in (slice(0, 2), slice(2, 4))
    ]
    assert 0.5 * sum(of_processes) == pytest.approx(velocity_error(T, travelled))


def test_one_process_weighs_its_term_as_it_is() -> None:
    assert share_of_known(torch.tensor([[NAN, 1.0]])) == 1.0


def test_no_gpu_is_waited_for_from_motion_to_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(velocity.distributed, 'is_initialized', lambda: True)
    monkeypatch.setattr(velocity.distributed, 'get_world_size', lambda: 2)
    monkeypatch.setattr(velocity.distributed, 'all_reduce', lambda t: t.mul_(4))
    views = random_views()
    prediction, objective = random_prediction(views), Objective(LossConfig(), DepthRange())
    motion = torch.rand(2, 2, 6, dtype=torch.float64, requires_grad=True)
    with GpuWaits() as waits:
        T = rigid_transform(0.01 * motion[..., :3], motion[..., 3:])
        weight = 0.05 * share_of_known(views.travelled_units)
        moved = replace(prediction, T_target_to_sources=T)
        terms = objective(views, moved, torch.Generator().manual_seed(0), velocity=weight)
        terms.total.backward()
    assert waits.found == []
    error = velocity_error(T, views.travelled_units)
    torch.testing.assert_close(terms.velocity, 0.5 * (2 / 4) * error.detach())


def test_the_objective_adds_the_weighted_term_and_nothing_at_weight_zero() -> None:
    views = random_views()
    prediction = random_prediction(views)

    def terms(weight: float):
        objective = Objective(LossConfig(velocity=weight), DepthRange())
        return objective(views, prediction, torch.Generator().manual_seed(0))

    without, with_term = terms(0.0), terms(0.05)
    error = velocity_error(prediction.T_target_to_sources, views.travelled_units)
    # A share of the nearest depth, 0.1.
    torch.testing.assert_close(with_term.velocity, 0.5 * error.detach())
    torch.testing.assert_close(with_term.total, without.total + 0.5 * error)
    assert without.velocity == 0.0


def test_the_weight_grows_from_nothing_to_its_full() -> None:
    config = LossConfig(velocity=0.08, velocity_warm_up=4)
    weights = [config.velocity_at(step) for step in range(6)]
    assert weights == pytest.approx([0.0, 0.02, 0.04, 0.06, 0.08, 0.08])
    views = random_views()
    prediction = random_prediction(views)
    objective = Objective(config, DepthRange())
    whole, quarter, none = (objective(views, prediction, velocity=w) for w in (None, 0.02, 0.0))
    torch.testing.assert_close(quarter.velocity, 0.25 * whole.velocity)
    assert none.velocity == 0.0
    at_once = LossConfig(velocity=0.08, velocity_warm_up=0)
    assert at_once.velocity_at(0) == 0.08


def test_the_gradient_reaches_the_motion_alone() -> None:
    views = random_views()
    prediction = random_prediction(views)
    still = replace(views, travelled_units=torch.full_like(views.travelled_units, NAN))
    config = LossConfig(velocity=10.0)

    def gradient(of, leaf):
        total = Objective(config, DepthRange())(of, prediction, torch.Generator().manual_seed(0))
        return torch.autograd.grad(total.total, leaf)[0]

    depth, motion = prediction.disparities[0], prediction.T_target_to_sources
    torch.testing.assert_close(gradient(views, depth), gradient(still, depth))
    assert not torch.allclose(gradient(views, motion), gradient(still, motion))


def test_a_negative_weight_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r'velocity -1.* is no weight'):
        LossConfig(velocity=-1.0)
    with pytest.raises(ConfigError, match='velocity_warm_up is -1: expected 0 or more'):
        LossConfig(velocity_warm_up=-1)
