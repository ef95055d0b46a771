# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import torch
from monodepth2_training.loss.smoothness import edge_aware_smoothness
from support.slow_loss import slow_smoothness


def _step(low: float, high: float) -> torch.Tensor:
    """[1, 1, 2, 4]: low in the left half, high in the right."""
    return torch.tensor([low, low, high, high]).expand(1, 1, 2, 4).clone()


def test_a_step_counts_by_its_share_of_the_mean() -> None:
    # Mean 0.2, so the step is 1; one of three columns of steps has it, no row does.
    smoothness = edge_aware_smoothness(_step(0.1, 0.3), torch.zeros(1, 3, 2, 4))
    assert math.isclose(smoothness, 1.0 / 3.0, rel_tol=1e-5)


def test_an_edge_of_the_image_excuses_a_step() -> None:
    smoothness = edge_aware_smoothness(_step(0.1, 0.3), _step(0.0, 0.9).expand(1, 3, 2, 4))
    assert math.isclose(smoothness, math.exp(-0.9) / 3.0, rel_tol=1e-5)


def test_rows_count_like_columns() -> None:
    disparity, image = _step(0.1, 0.3), _step(0.0, 0.9)
    turned = edge_aware_smoothness(disparity.transpose(2, 3), image.transpose(2, 3))
    assert torch.allclose(turned, edge_aware_smoothness(disparity, image))


def test_a_smaller_disparity_is_no_smoother() -> None:
    disparity = torch.rand(2, 1, 4, 5, generator=torch.Generator().manual_seed(0)) + 0.1
    image = torch.zeros(2, 3, 4, 5)
    whole, tenth = (edge_aware_smoothness(s * disparity, image) for s in (1.0, 0.1))
    assert torch.allclose(whole, tenth, rtol=1e-5)


def test_smoothness_equals_the_slow_formula_and_its_gradient_is_right() -> None:
    generator = torch.Generator().manual_seed(0)
    disparity = torch.rand(2, 1, 4, 5, generator=generator, dtype=torch.float64) + 0.1
    image = torch.rand(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    fast, slow = (f(disparity, image) for f in (edge_aware_smoothness, slow_smoothness))
    assert abs(fast - slow) < 1e-14
    disparity.requires_grad_()
    assert torch.autograd.gradcheck(lambda d: edge_aware_smoothness(d, image), disparity)


def test_a_flat_disparity_has_no_smoothness_and_a_finite_gradient() -> None:
    disparity = torch.full((1, 1, 4, 4), 0.5, requires_grad=True)
    smoothness = edge_aware_smoothness(disparity, torch.zeros(1, 3, 4, 4))
    smoothness.backward()
    assert smoothness == 0.0
    assert disparity.grad is not None
    assert torch.isfinite(disparity.grad).all()
