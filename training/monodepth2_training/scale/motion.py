# SPDX-License-Identifier: Apache-2.0
"""The motion between pictures by which predicted depth shows one as it is seen in the other.

A pose network knows how far vehicles of its training used to move. In streets that it has never
seen it is some percent off, at another speed by nearly as much as that differs. Predicted depth
generalises better, and a scale has to fit depth: so the pose network's motion is only where the
search for the least photometric error begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from monodepth2_training.loss.objective import scale_intrinsics, shrink
from monodepth2_training.loss.photometric import Reference, photometric_error, reference
from monodepth2_training.model.pose import rigid_transform
from monodepth2_training.model.view_synthesis import (
    cast_rays,
    project,
    sample,
    sampling_positions,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from monodepth2_training.data.augmentation import Views

_LENGTHS = tuple(2.0 ** (k / 3) for k in range(-4, 5))
"""Shares of the predicted length that are tried first, 0.4 to 2.5."""

_MOST_COLUMNS = 320
"""Size of the pictures that motion is searched for in."""

_STEPS = 40
_BETAS = (0.8, 0.95)
"""Less memory than Adam usually has, so that so few steps arrive within 1 %."""

_TURN_RAD = 5e-4
"""Rotation about an axis in a first step of the search."""

_SHIFT = 0.02
"""Translation along an axis in a first step, as a share of the whole."""

_GAIN = 1e-5
"""Photometric error that a motion must do better by: a picture that shows nothing has no best."""


def refined_motion(
    views: Views, depth_units: torch.Tensor, T_target_to_sources: torch.Tensor
) -> torch.Tensor:
    """Search near a motion for the one with the least photometric error.

    Large pictures are looked at in a smaller size, so that a batch takes seconds.

    Args:
        views: pictures and cameras of a batch.
        depth_units: of the targets, float [B, 1, H, W].
        T_target_to_sources: where the search begins, float [B, S, 4, 4].

    Returns:
        float [B, S, 4, 4] in the units of depth; what was given where nothing better is found.
    """
    if not (depth_units.isfinite().all() and T_target_to_sources.isfinite().all()):
        return T_target_to_sources
    scene = _scene(views, depth_units)

    def errors(T: torch.Tensor) -> torch.Tensor:
        return _errors(scene, T)

    with torch.no_grad():
        tried = [_lengthened(T_target_to_sources, share) for share in _LENGTHS]
        best = torch.stack([errors(T) for T in tried]).argmin(dim=0)
        begun = torch.stack(tried).gather(0, best[None, ..., None, None].expand(1, -1, -1, 4, 4))
    found = _descended(begun[0], errors)
    with torch.no_grad():
        better = errors(found) < errors(T_target_to_sources) - _GAIN
    return torch.where(better[..., None, None], found, T_target_to_sources)


def _descended(T: torch.Tensor, errors: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """Follow the gradient of ``errors`` over rotation and translation, each source by itself."""
    turn_rad = torch.zeros_like(T[..., :3, 3], requires_grad=True)
    shift = torch.zeros_like(turn_rad, requires_grad=True)
    length = T[..., :3, 3].norm(dim=-1, keepdim=True)
    groups = [{'params': [turn_rad], 'lr': _TURN_RAD}, {'params': [shift], 'lr': _SHIFT}]
    adam = torch.optim.Adam(groups, betas=_BETAS)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, _STEPS)
    for _ in range(_STEPS):
        adam.zero_grad()
        torch.autograd.backward(errors(rigid_transform(turn_rad, shift * length) @ T).sum())
        adam.step()
        schedule.step()
    with torch.no_grad():
        return rigid_transform(turn_rad, shift * length) @ T


def _lengthened(T: torch.Tensor, share: float) -> torch.Tensor:
    """Motions [..., 4, 4] with another length."""
    lengthened = T.clone()
    lengthened[..., :3, 3] *= share
    return lengthened


class _Scene(NamedTuple):
    """What motions are judged by."""

    target: Reference
    """Of B x S pictures, each target once for each of its sources."""
    sources: torch.Tensor
    """[B x S, 3, H, W]"""
    depth_units: torch.Tensor
    """[B, 1, H, W]"""
    K: torch.Tensor
    """[B, 3, 3]"""
    K_sources: torch.Tensor
    """[B, S, 3, 3]"""


def _scene(views: Views, depth_units: torch.Tensor) -> _Scene:
    """Prepare pictures, depth and cameras in the size of the search."""
    height, width = views.target.shape[-2:]
    share = min(1.0, _MOST_COLUMNS / width)
    size = torch.Size((round(share * height), round(share * width)))
    scale = size[1] / width, size[0] / height

    target = shrink(views.target, size)
    return _Scene(
        target=reference(target.repeat_interleave(views.sources.shape[1], dim=0)),
        sources=shrink(views.sources.flatten(0, 1), size),
        depth_units=1.0 / shrink(1.0 / depth_units, size),
        K=scale_intrinsics(views.K, *scale),
        K_sources=scale_intrinsics(views.K_sources, *scale),
    )


def _errors(scene: _Scene, T: torch.Tensor) -> torch.Tensor:
    """Mean photometric error [B, S] of the pixels that each source shows."""
    rays = cast_rays(scene.K, scene.K_sources, T, scene.depth_units.shape[-2:])
    positions = sampling_positions(project(scene.depth_units, rays), rays.pixels)
    seen = (positions.abs() <= 1.0).all(dim=2)
    warped = sample(scene.sources, positions.flatten(0, 1))
    error = photometric_error(warped, scene.target).view_as(seen)
    return (error * seen).sum(dim=(-2, -1)) / seen.sum(dim=(-2, -1)).clamp(min=1)
