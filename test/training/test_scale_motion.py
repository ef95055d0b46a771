# SPDX-License-Identifier: Apache-2.0
"""Exact depth of a generated drive: the motion that fits the pictures is the true one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from monodepth2_training.data.augmentation import Views
from monodepth2_training.model.pose import rigid_transform
from monodepth2_training.scale.motion import refined_motion
from monodepth2_training.world.drive import Drive, DriveSettings
from support.loss_scene import between_neighbours

WIDTH, HEIGHT = 160, 64
SKY_M = 1e4


@pytest.fixture(scope='module')
def drive() -> Drive:
    settings = DriveSettings(frames=8, width=WIDTH, height=HEIGHT, seed=6, moving_cars=False)
    return Drive(settings, torch.device('cpu'))


def _seen(drive: Drive, number: int) -> tuple[Views, torch.Tensor, torch.Tensor]:
    """A frame between its neighbours, its depth with a far sky, and the true motion to them."""
    views, depth_m, T = between_neighbours(drive, number)
    return views, depth_m.clamp(max=SKY_M), T


def _lengths(T: torch.Tensor) -> torch.Tensor:
    return T[..., :3, 3].norm(dim=-1)


@pytest.mark.parametrize('share', [0.5, 0.93, 1.8])
def test_a_motion_that_is_too_short_too_long_and_turned_is_put_right(
    drive: Drive, share: float
) -> None:
    views, depth_m, T = _seen(drive, 3)
    turn_rad = torch.tensor([0.002, -0.003, 0.001]).expand(1, 2, 3)
    guess = rigid_transform(turn_rad, torch.zeros(1, 2, 3)) @ T
    found = refined_motion(views, depth_m, _shortened(guess, share))
    torch.testing.assert_close(_lengths(found), _lengths(T), rtol=0.02, atol=0.0)
    turned = found[..., :3, :3] @ T[..., :3, :3].transpose(-1, -2)
    assert (turned - torch.eye(3)).abs().max() < 1e-3


def test_the_unit_is_that_of_depth(drive: Drive) -> None:
    views, depth_m, T = _seen(drive, 3)
    found = refined_motion(views, depth_m / 50.0, _shortened(T, 0.03))
    torch.testing.assert_close(50.0 * _lengths(found), _lengths(T), rtol=0.02, atol=0.0)


def test_large_pictures_are_searched_in_a_smaller_size() -> None:
    settings = DriveSettings(frames=8, width=608, height=192, seed=6, moving_cars=False)
    views, depth_m, T = _seen(Drive(settings, torch.device('cpu')), 3)
    found = refined_motion(views, depth_m, _shortened(T, 0.8))
    torch.testing.assert_close(_lengths(found), _lengths(T), rtol=0.02, atol=0.0)


def test_each_source_is_judged_by_itself(drive: Drive) -> None:
    views, depth_m, T = _seen(drive, 3)
    guess = T.clone()
    guess[:, 1, :3, 3] *= 0.8
    both = refined_motion(views, depth_m, guess)
    first = refined_motion(views, depth_m, T)
    torch.testing.assert_close(both[:, 0], first[:, 0], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(_lengths(both), _lengths(T), rtol=0.02, atol=0.0)


def test_pictures_that_show_nothing_leave_the_motion_as_it_was(drive: Drive) -> None:
    views, depth_m, T = _seen(drive, 3)
    grey = torch.full_like(views.target, 0.5)
    blank = replace(
        views, target=grey, sources=grey[:, None].expand_as(views.sources).contiguous()
    )
    torch.testing.assert_close(refined_motion(blank, depth_m, T), T)


def _shortened(T: torch.Tensor, share: float) -> torch.Tensor:
    shortened = T.clone()
    shortened[..., :3, 3] *= share
    return shortened


@pytest.mark.parametrize('of', ['depth', 'motion'])
def test_what_is_no_number_is_given_back_unsearched(drive: Drive, of: str) -> None:
    views, depth, T = _seen(drive, 3)
    (depth if of == 'depth' else T)[0, 0, 1, 3] = torch.nan
    assert torch.equal(refined_motion(views, depth, T).isnan(), T.isnan())
