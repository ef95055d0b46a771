# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from monodepth2_training.model.view_synthesis import (
    cast_rays,
    project,
    sample,
    sampling_positions,
)
from support.loss_scene import random_prediction, random_views
from support.slow_loss import slow_projection, slow_sample

SIZE = torch.Size((6, 8))
K = torch.tensor([[10.0, 0.0, 3.5], [0.0, 10.0, 2.5], [0.0, 0.0, 1.0]], dtype=torch.float64)


def _translation(x: float, y: float, z: float) -> torch.Tensor:
    T = torch.eye(4, dtype=torch.float64)
    T[:3, 3] = torch.tensor([x, y, z])
    return T


def _steps(depth_m: torch.Tensor, T: torch.Tensor) -> torch.Tensor:
    """[2, H, W] of one target and one source with the camera K."""
    return project(depth_m, cast_rays(K[None], K[None, None], T[None, None], SIZE))[0, 0]


def _depth(value_m: float) -> torch.Tensor:
    return torch.full((1, 1, *SIZE), value_m, dtype=torch.float64)


def test_a_sideways_camera_moves_pixels_by_focal_length_times_baseline_over_depth() -> None:
    steps = _steps(_depth(4.0), _translation(0.8, -0.4, 0.0))
    assert torch.allclose(steps[0], torch.full(SIZE, 2.0).double())
    assert torch.allclose(steps[1], torch.full(SIZE, -1.0).double())


def test_a_camera_driving_forward_sees_pixels_move_away_from_the_centre() -> None:
    # T_target_to_source takes points nearer: z from 4 m to 2 m doubles the distance to the centre.
    steps = _steps(_depth(4.0), _translation(0.0, 0.0, -2.0))
    x = torch.arange(SIZE[1], dtype=torch.float64) - 3.5
    assert torch.allclose(steps[0], x.expand(SIZE))


def test_another_lens_of_the_source_counts() -> None:
    zoomed = K.clone()
    zoomed[0, 0] = 20.0
    rays = cast_rays(K[None], zoomed[None, None], torch.eye(4).double()[None, None], SIZE)
    x = torch.arange(SIZE[1], dtype=torch.float64) - 3.5
    assert torch.allclose(project(_depth(7.0), rays)[0, 0, 0], x.expand(SIZE))


def test_projection_equals_matrices_applied_point_by_point() -> None:
    views = random_views()
    prediction = random_prediction(views)
    depth = 0.5 + 10.0 * prediction.disparities[0].detach()
    T = prediction.T_target_to_sources.detach()
    size = views.target.shape[-2:]
    rays = cast_rays(views.K, views.K_sources, T, size)
    for source in range(2):
        slow = slow_projection(depth, views.K, views.K_sources[:, source], T[:, source])
        fast = rays.pixels + project(depth, rays)[:, source]
        assert (fast - slow).abs().max() < 1e-10


@pytest.mark.parametrize('size', [(192, 640), (320, 1024)])
def test_no_motion_is_no_step_in_float32(size: tuple[int, int]) -> None:
    height, width = size
    camera = torch.tensor(
        [[0.58 * width, 0.0, 0.49 * width], [0.0, 1.92 * height, 0.52 * height], [0.0, 0.0, 1.0]]
    )
    depth = 0.1 + 99.9 * torch.rand(1, 1, *size, generator=torch.Generator().manual_seed(0))
    rays = cast_rays(camera[None], camera[None, None], torch.eye(4)[None, None], torch.Size(size))
    assert project(depth, rays).abs().max() < 1e-10


def test_no_motion_gives_the_image_back_to_1e_5() -> None:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 48, 160, generator=generator)
    image = torch.nn.functional.interpolate(coarse, scale_factor=4, mode='bilinear')
    pixels = _grid(192, 640)
    warped = sample(image, sampling_positions(torch.zeros(1, 2, 192, 640), pixels))
    assert (warped - image).abs().max() < 1e-5


def _grid(height: int, width: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    axes = torch.arange(width, dtype=dtype), torch.arange(height, dtype=dtype)
    return torch.stack(torch.meshgrid(*axes, indexing='xy'))


def test_sampling_is_bilinear_between_pixel_centres_and_repeats_the_rim() -> None:
    image = torch.arange(48.0).double().view(1, 1, *SIZE)
    steps = torch.zeros(1, 2, *SIZE).double()
    steps[:, 0] = 0.25
    warped = sample(image, sampling_positions(steps, _grid(*SIZE, dtype=torch.float64)))
    assert torch.allclose(warped[..., :-1], image[..., :-1] + 0.25)
    assert torch.allclose(warped[..., -1], image[..., -1])


def test_sampling_equals_interpolation_by_hand() -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(2, 3, *SIZE, generator=generator, dtype=torch.float64)
    steps = 6.0 * torch.rand(2, 2, *SIZE, generator=generator, dtype=torch.float64) - 3.0
    pixels = _grid(*SIZE, dtype=torch.float64)
    fast = sample(image, sampling_positions(steps, pixels))
    assert (fast - slow_sample(image, pixels + steps)).abs().max() < 1e-13


def test_points_at_and_behind_the_camera_leave_the_image_without_gradient() -> None:
    image = torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(0)).double()
    for z in (-4.0, -4.0 - 1e-7, -9.0):
        depth = _depth(4.0).requires_grad_()
        T = _translation(0.3, 0.2, z).requires_grad_()
        rays = cast_rays(K[None], K[None, None], T[None, None], SIZE)
        positions = sampling_positions(project(depth, rays), rays.pixels)
        assert (positions.abs().amax(dim=2) > 1.0).all()
        sample(image, positions[0]).sum().backward()
        assert depth.grad is not None
        assert T.grad is not None
        assert torch.isfinite(depth.grad).all()
        assert torch.isfinite(T.grad).all()


def test_gradients_by_depth_and_motion_are_right() -> None:
    views = random_views(batch=1, height=4, width=5)
    depth = 2.0 + torch.rand(1, 1, 4, 5, generator=torch.Generator().manual_seed(1)).double()
    T = random_prediction(views).T_target_to_sources

    def positions(depth: torch.Tensor, T: torch.Tensor) -> torch.Tensor:
        rays = cast_rays(views.K, views.K_sources, T, torch.Size((4, 5)))
        return sampling_positions(project(depth, rays), rays.pixels)

    assert torch.autograd.gradcheck(
        positions, (depth.requires_grad_(), T.detach().requires_grad_())
    )
