# SPDX-License-Identifier: Apache-2.0
"""See the target through a source camera: back-project, transform, project, sample.

A target pixel p = (x, y, 1) at depth D lies at D K_t^-1 p, and at K_s (R D K_t^-1 p + t) in the
source's image: an affine function of depth whose coefficients are the same at every scale. They
are kept as the *step* from the pixel to its projection,

    step = (D ((H p)_xy - p_xy (H p)_z) + (e_xy - p_xy e_z)) / (D (H p)_z + e_z),
    H = K_s R K_t^-1,  e = K_s t,

so that float32 rounds in proportion to the step rather than to the coordinate: no motion gives
exactly no step. Pixel centres lie at integers; see docs/conventions.md.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn import functional

MIN_Z = 1e-7
"""Least z, in depth units, that is divided by: points at or behind the camera leave the image."""


class Rays(NamedTuple):
    """How the projections of all target pixels depend on depth; float, S sources."""

    step_per_depth: torch.Tensor
    """[B, S, 2, H, W]: factor of depth in the step's numerator, x and y."""
    step_at_zero: torch.Tensor
    """[B, S, 2, H, W]: the rest of it."""
    z_per_depth: torch.Tensor
    """[B, S, 1, H, W]: factor of depth in the z of the source camera."""
    z_at_zero: torch.Tensor
    """[B, S, 1, 1, 1]: the rest of it."""


def cast_rays(
    K: torch.Tensor,
    K_sources: torch.Tensor,
    T_target_to_sources: torch.Tensor,
    *,
    height: int,
    width: int,
) -> Rays:
    """Prepare the projection of every target pixel into every source.

    Args:
        K: intrinsics of the target, float [B, 3, 3], in pixels.
        K_sources: intrinsics of the sources, float [B, S, 3, 3], in pixels.
        T_target_to_sources: float [B, S, 4, 4]; gradients flow to it.
        height: rows of the target.
        width: columns of the target.

    Returns:
        the rays, in the type of ``T_target_to_sources``.
    """
    # A handful of numbers: in float64 K_s R K_t^-1 - I is exactly 0 where there is no rotation.
    T = T_target_to_sources.double()
    K_target_inverse = torch.linalg.inv(K.double())[:, None]
    turn = K_sources.double() @ T[..., :3, :3] @ K_target_inverse
    turn = turn - torch.eye(3, dtype=torch.float64, device=T.device)
    shift = K_sources.double() @ T[..., :3, 3:]
    dtype = T_target_to_sources.dtype
    pixels = _pixel_grid(height, width, like=T_target_to_sources)
    turned = (turn.to(dtype) @ pixels.flatten(1)).unflatten(-1, (height, width))
    shift = shift.to(dtype)[..., None]
    xy = pixels[:2]
    return Rays(
        step_per_depth=turned[..., :2, :, :] - xy * turned[..., 2:, :, :],
        step_at_zero=shift[..., :2, :, :] - xy * shift[..., 2:, :, :],
        z_per_depth=1.0 + turned[..., 2:, :, :],
        z_at_zero=shift[..., 2:, :, :],
    )


def project(depth_m: torch.Tensor, rays: Rays) -> torch.Tensor:
    """Step from every target pixel to its projection into every source.

    Args:
        depth_m: depth of the target, float [B, 1, H, W].
        rays: of the same target.

    Returns:
        float [B, S, 2, H, W], x and y in pixels; far outside the image for points that are not
        in front of the source camera, where the gradient ends.
    """
    depth = depth_m[:, None]
    z = (depth * rays.z_per_depth + rays.z_at_zero).clamp(min=MIN_Z)
    return (depth * rays.step_per_depth + rays.step_at_zero) / z


def sample(images: torch.Tensor, steps_px: torch.Tensor) -> torch.Tensor:
    """Look up images at a step from every pixel, bilinear; beyond the rim the rim's pixel.

    Args:
        images: float [N, C, H, W].
        steps_px: float [N, 2, H, W], x and y in pixels.

    Returns:
        float [N, C, H, W].
    """
    height, width = images.shape[-2:]
    scale = steps_px.new_tensor([2.0 / (width - 1), 2.0 / (height - 1)])
    x = torch.linspace(-1.0, 1.0, width, dtype=steps_px.dtype, device=steps_px.device)
    y = torch.linspace(-1.0, 1.0, height, dtype=steps_px.dtype, device=steps_px.device)
    centres = torch.stack(torch.meshgrid(x, y, indexing='xy'), dim=-1)
    grid = centres + steps_px.permute(0, 2, 3, 1) * scale
    return functional.grid_sample(images, grid, padding_mode='border', align_corners=True)


def _pixel_grid(height: int, width: int, *, like: torch.Tensor) -> torch.Tensor:
    """Homogeneous pixel coordinates (x, y, 1), [3, H, W], of the type and device of ``like``."""
    x = torch.arange(width, dtype=like.dtype, device=like.device)
    y = torch.arange(height, dtype=like.dtype, device=like.device)
    x, y = torch.meshgrid(x, y, indexing='xy')
    return torch.stack([x, y, torch.ones_like(x)])
