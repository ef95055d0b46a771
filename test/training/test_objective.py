# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import functools
import itertools
from dataclasses import replace

import pytest
import torch
from monodepth2_training.data.augmentation import Views
from monodepth2_training.loss.config import LossConfig
from monodepth2_training.loss.objective import (
    LossTerms,
    Objective,
    scale_intrinsics,
)
from monodepth2_training.loss.reduction import (
    MASK_WEIGHT,
    automask,
    mask_regularisation,
    reduce_sources,
)
from monodepth2_training.model.depth_pose import Prediction
from monodepth2_training.model.view_synthesis import (
    cast_rays,
    project,
    sample,
    sampling_positions,
)
from support.loss_scene import (
    depth_to_disparity,
    in_type,
    leaves,
    random_prediction,
    random_views,
    street,
)
from support.slow_loss import SlowTerms, slow_objective

from monodepth2_ros.errors import ConfigError
from monodepth2_ros.geometry.camera import PinholeCamera
from monodepth2_ros.geometry.depth import DepthRange, disparity_to_depth

DEPTH_RANGE = DepthRange()
TERMS = ('total', 'photometric', 'smoothness', 'mask_regularisation')
SWITCHES = ('ssim', 'minimum_reprojection', 'automasking', 'full_resolution', 'predictive_mask')
CONFIGS = [
    LossConfig(**dict(zip(SWITCHES, switches, strict=True)), smoothness=0.1)
    for switches in itertools.product((True, False), repeat=len(SWITCHES))
    if not (switches[2] and switches[4])
]


def _name(config: LossConfig) -> str:
    return ' '.join(name for name in SWITCHES if getattr(config, name)) or 'plain'


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def _both(config: LossConfig, views: Views, prediction: Prediction) -> tuple[LossTerms, SlowTerms]:
    fast = Objective(config, DEPTH_RANGE)(views, prediction, _seeded())
    return fast, slow_objective(config, DEPTH_RANGE, views, prediction, _seeded())


@pytest.mark.parametrize('config', CONFIGS, ids=_name)
def test_every_term_and_gradient_equals_the_slow_twin(config: LossConfig) -> None:
    views = random_views()
    prediction = random_prediction(views)
    fast, slow = _both(config, views, prediction)
    for name in TERMS:
        assert abs(getattr(fast, name) - getattr(slow, name)) < 1e-10, name
    assert torch.equal(fast.automask, slow.automask)
    gradients = (
        torch.autograd.grad(terms.total, leaves(prediction), allow_unused=True)
        for terms in (fast, slow)
    )
    for ours, theirs in zip(*gradients, strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None and theirs is not None:
            assert (ours - theirs).abs().max() <= 1e-10 * theirs.abs().max()


@pytest.mark.parametrize('config', CONFIGS, ids=_name)
def test_every_term_in_float32_equals_the_slow_twin_in_float64(config: LossConfig) -> None:
    views, prediction = street(DEPTH_RANGE)
    narrow = replace(
        prediction,
        disparities=tuple(
            torch.nn.functional.avg_pool2d(prediction.disparities[0], 2**s) for s in range(4)
        ),
        masks=tuple(torch.full((1, 2, 96 >> s, 320 >> s), 0.7) for s in range(4)),
    )
    fast = Objective(config, DEPTH_RANGE)(views, narrow, _seeded())
    wide = in_type(views, narrow, torch.float64)
    slow = slow_objective(config, DEPTH_RANGE, *wide, _seeded())
    for name in TERMS:
        assert abs(getattr(fast, name).double() - getattr(slow, name)) < 1e-6, name


def test_identity_pose_leaves_the_street_as_it_is() -> None:
    views, prediction = street(DEPTH_RANGE)
    at_rest = torch.eye(4).expand(1, 2, 4, 4)
    rays = cast_rays(views.K, views.K_sources, at_rest, views.target.shape[-2:])
    steps = project(disparity_to_depth(prediction.disparities[0], DEPTH_RANGE), rays)
    positions = sampling_positions(steps, rays.pixels).flatten(0, 1)
    sources = views.sources.flatten(0, 1)
    assert (sample(sources, positions) - sources).abs().max() < 1e-5


def _loss(views: Views, prediction: Prediction) -> float:
    return float(Objective(LossConfig(), DEPTH_RANGE)(views, prediction, _seeded()).photometric)


def test_true_depth_beats_every_other_depth_on_a_street() -> None:
    views, truth = street(DEPTH_RANGE)
    best = _loss(views, truth)
    disparity = truth.disparities[0]
    depth_m = disparity_to_depth(disparity, DEPTH_RANGE)
    noise = torch.randn(depth_m.shape, generator=_seeded())
    others = {
        **{f'scaled by {s}': depth_m * s for s in (0.5, 0.8, 0.9, 0.95, 1.05, 1.1, 1.25, 2.0)},
        **{f'noise {s}': depth_m * (s * noise).exp() for s in (0.02, 0.05, 0.2)},
        **{f'shifted {d}': depth_m.roll(d, dims=3) for d in (-8, -2, 2, 8)},
        'mirrored': depth_m.flip(3),
        'constant': torch.full_like(depth_m, float(depth_m.median())),
    }
    for name, other_m in others.items():
        other = replace(truth, disparities=(depth_to_disparity(other_m, DEPTH_RANGE),))
        assert _loss(views, other) > best, name


def test_true_motion_beats_every_other_motion_on_a_street() -> None:
    views, truth = street(DEPTH_RANGE)
    best = _loss(views, truth)
    T = truth.T_target_to_sources
    others = {'none': torch.eye(4).expand_as(T), 'swapped': T.flip(1)}
    for axis, size in itertools.product(range(3), (-0.1, -0.03, 0.03, 0.1)):
        moved, turned = T.clone(), torch.zeros(4, 4)
        moved[..., axis, 3] += size
        first, second = {0, 1, 2} - {axis}
        turned[first, second], turned[second, first] = 0.1 * size, -0.1 * size
        others[f'moved {size} along {axis}'] = moved
        others[f'turned {0.1 * size} about {axis}'] = torch.linalg.matrix_exp(turned) @ T
    for name, other in others.items():
        assert _loss(views, replace(truth, T_target_to_sources=other)) > best, name


def test_a_standing_camera_is_masked_wholly() -> None:
    views, prediction = street(DEPTH_RANGE)
    still = replace(views, sources=views.target[:, None].expand_as(views.sources))
    terms = Objective(LossConfig(), DEPTH_RANGE)(still, prediction, _seeded())
    assert terms.moving_share < 0.01
    assert terms.automask.shape == (1, 96, 320)


def test_a_driving_camera_is_masked_hardly() -> None:
    views, prediction = street(DEPTH_RANGE)
    terms = Objective(LossConfig(), DEPTH_RANGE)(views, prediction, _seeded())
    assert terms.moving_share > 0.6
    assert torch.equal(terms.moving_share, terms.automask.float().mean())


def test_without_auto_masking_every_pixel_counts() -> None:
    views, prediction = street(DEPTH_RANGE)
    terms = Objective(LossConfig(automasking=False), DEPTH_RANGE)(views, prediction)
    assert terms.automask.all()
    assert terms.moving_share == 1.0


def test_the_total_is_the_sum_of_its_terms_and_alone_carries_a_gradient() -> None:
    views = random_views()
    prediction = random_prediction(views)
    config = LossConfig(automasking=False, predictive_mask=True)
    terms = Objective(config, DEPTH_RANGE)(views, prediction)
    assert torch.allclose(
        terms.total, terms.photometric + terms.smoothness + terms.mask_regularisation
    )
    assert terms.total.requires_grad
    assert not any(getattr(terms, name).requires_grad for name in TERMS[1:])


def test_the_least_error_or_the_mean_counts() -> None:
    errors = torch.tensor([0.1, 0.3]).view(1, 2, 1, 1)
    assert reduce_sources(errors, minimum=True).item() == pytest.approx(0.1)
    assert reduce_sources(errors, minimum=False).item() == pytest.approx(0.2)


def test_the_mask_keeps_what_the_warp_explains_better() -> None:
    reprojection = torch.tensor([[[0.1, 0.3]]])
    identity = torch.tensor([[[0.2, 0.2]]])
    error, kept = automask(reprojection, identity)
    assert error.tolist() == identity.minimum(reprojection).tolist()
    assert kept.tolist() == [[[True, False]]]


def test_hiding_half_costs_two_tenths_of_log_two() -> None:
    half = torch.full((1, 2, 2, 2), 0.5)
    assert mask_regularisation(half).item() == pytest.approx(MASK_WEIGHT * 0.6931472)


def test_intrinsics_shrink_by_the_half_pixel_rule() -> None:
    camera = PinholeCamera(width=64, height=32, fx_px=40.0, fy_px=50.0, cx_px=30.0, cy_px=17.0)
    scaled = scale_intrinsics(torch.tensor(camera.K), 0.25, 0.5)
    assert torch.allclose(scaled, torch.tensor(camera.resized(16, 16).K))


@pytest.mark.parametrize('full_resolution', [True, False])
def test_coarse_disparities_of_the_true_scene_cost_little(full_resolution: bool) -> None:
    views, truth = street(DEPTH_RANGE)
    coarse = torch.nn.functional.avg_pool2d(truth.disparities[0], 4)
    config = LossConfig(full_resolution=full_resolution, automasking=False)
    losses = [
        Objective(config, DEPTH_RANGE)(views, replace(truth, disparities=(disparity,))).photometric
        for disparity in (coarse, 2.0 * coarse)
    ]
    assert losses[0] < 0.5 * losses[1]


def test_half_precision_disparities_and_autocast_are_judged_in_float32() -> None:
    views, truth = street(DEPTH_RANGE)
    rough = replace(truth, disparities=(truth.disparities[0].bfloat16(),))
    exact = replace(truth, disparities=(rough.disparities[0].float(),))
    objective = Objective(LossConfig(), DEPTH_RANGE)
    with torch.autocast('cpu', torch.bfloat16):
        terms = objective(views, rough, _seeded())
    assert terms.total.dtype == torch.float32
    assert torch.equal(terms.total, objective(views, exact, _seeded()).total)


@pytest.mark.parametrize('z', [-1e6, -50.0, -1.0, -0.1, 0.0, 0.1])
def test_gradients_are_finite_wherever_the_points_fall(z: float) -> None:
    views, truth = street(DEPTH_RANGE)
    T = torch.eye(4).repeat(1, 2, 1, 1)
    T[..., 2, 3] = z
    flat = torch.full((1, 1, 96, 320), 0.1, requires_grad=True)
    prediction = replace(truth, disparities=(flat,), T_target_to_sources=T.requires_grad_())
    Objective(LossConfig(automasking=False), DEPTH_RANGE)(views, prediction).total.backward()
    assert flat.grad is not None
    assert T.grad is not None
    assert torch.isfinite(flat.grad).all()
    assert torch.isfinite(T.grad).all()


def test_masks_that_exclude_each_other_are_refused() -> None:
    with pytest.raises(ConfigError, match='predictive_mask and automasking are both on'):
        LossConfig(predictive_mask=True)


@pytest.mark.parametrize('weight', [-1.0, float('nan'), float('inf')])
def test_a_smoothness_that_is_no_weight_is_refused(weight: float) -> None:
    with pytest.raises(ConfigError, match=f'smoothness {weight} is no weight'):
        LossConfig(smoothness=weight)


def test_a_model_without_the_mask_asked_for_is_refused() -> None:
    views, prediction = street(DEPTH_RANGE)
    config = LossConfig(automasking=False, predictive_mask=True)
    with pytest.raises(ConfigError, match='predicts no mask'):
        Objective(config, DEPTH_RANGE)(views, prediction)


@pytest.mark.parametrize('full_resolution', [True, False])
def test_the_compiled_graphs_give_the_values_and_gradients_of_the_written_code(
    full_resolution: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # Traced and differentiated as for a compiler, then run without one, which takes less time.
    traced = functools.partial(torch.compile, backend='aot_eager')
    monkeypatch.setattr(torch, 'compile', traced)
    views = random_views()
    prediction = random_prediction(views)
    config = LossConfig(full_resolution=full_resolution)
    totals = [
        Objective(config, DEPTH_RANGE, compile=compile)(views, prediction, _seeded()).total
        for compile in (True, False)
    ]
    wanted = leaves(prediction)[:-4]
    compiled, written = (torch.autograd.grad(total, wanted) for total in totals)
    assert abs(totals[0] - totals[1]) < 1e-12
    for ours, theirs in zip(compiled, written, strict=True):
        assert (ours - theirs).abs().max() <= 1e-10 * theirs.abs().max()
    assert 'uncompiled' not in caplog.text


def test_the_same_generator_gives_the_same_loss() -> None:
    views = random_views()
    prediction = random_prediction(views)
    objective = Objective(LossConfig(), DEPTH_RANGE)
    first, second = (objective(views, prediction, _seeded()).total for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize('value', [float('nan'), float('inf'), 1e30])
@pytest.mark.parametrize('where', ['disparity', 'motion'])
def test_networks_that_say_no_number_give_no_loss_and_no_crash(where: str, value: float) -> None:
    views = random_views()
    prediction = random_prediction(views)
    said = prediction.disparities[1] if where == 'disparity' else prediction.T_target_to_sources
    with torch.no_grad():
        said[0, 0, 1, 3] = value
    terms = Objective(LossConfig(), DEPTH_RANGE)(views, prediction, _seeded())
    assert terms.total.isnan()
    assert terms.photometric.isnan()
    terms.total.backward()
