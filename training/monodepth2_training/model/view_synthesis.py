# SPDX-License-Identifier: Apache-2.0
"""See the target through a source camera: back-project, transform, project, sample.

A target pixel p = (x, y, 1) at depth D lies at D K_t^-1 p, and in the source's image at

    q = K_s (R D K_t^-1 p + t) = D (p + G p) + e,   G = K_s R K_t^-1 - I,   e = K_s t,

where G p and e are the same for all depths and scales. The projection is kept as the *step* from
the pixel, (q_xy - p_xy q_z) / q_z, in which p cancels out: float32 then rounds in proportion to
the step rather than to the coordinate, and no motion is exactly no step. Pixel centres lie at
integers; see docs/conventions.md.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn import functional

MIN_Z = 1e-7
"""Least z, in depth units, that is divided by: points at or behind the camera leave the image."""


class Rays(NamedTuple):
    """What the projections of all target pixels into S sources share for every depth."""

    pixels: torch.Tensor
    """[2, H, W]: x and y of every target pixel."""
    turned: torch.Tensor
    """[B, S, 3, H, W]: G p, how much the rotation and the other lens move the pixel's ray."""
    shift: torch.Tensor
    """[B, S, 3, 1, 1]: e, the target camera's centre in the source's image, homogeneous."""


def cast_rays(
    K: torch.Tensor, K_sources: torch.Tensor, T_target_to_sources: torch.Tensor, size: torch.Size
) -> Rays:
    """Prepare the projection of every target pixel into every source.

    Args:
        K: intrinsics of the target, float [B, 3, 3], in pixels.
        K_sources: intrinsics of the sources, float [B, S, 3, 3], in pixels.
        T_target_to_sources: float [B, S, 4, 4]; gradients flow to it.
        size: rows and columns of the target.

    Returns:
        the rays, in the type of ``T_target_to_sources``.
    """
    # A handful of numbers: in float64, G is 0 to the last digit that float32 shows.
    T = T_target_to_sources.double()
    # Not inv: it asks whether K can be inverted, for which a GPU would be waited for.
    K_inverse = torch.linalg.inv_ex(K.double()).inverse.unsqueeze(1)
    turn = K_sources.double() @ T[..., :3, :3] @ K_inverse
    turn = turn - torch.eye(3, dtype=turn.dtype, device=turn.device)
    shift = K_sources.double() @ T[..., :3, 3:]
    pixels = _pixel_grid(size, like=T_target_to_sources)
    turned = turn.to(pixels.dtype) @ pixels.flatten(1)
    return Rays(
        pixels=pixels[:2],
        turned=turned.view(*turned.shape[:-1], *size),
        shift=shift.to(pixels.dtype).unsqueeze(-1),
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
    depth_m = depth_m.unsqueeze(1)
    turned_xy, turned_z = rays.turned[:, :, :2], rays.turned[:, :, 2:]
    shift_xy, shift_z = rays.shift[:, :, :2], rays.shift[:, :, 2:]
    z = (depth_m * (1.0 + turned_z) + shift_z).clamp(min=MIN_Z)
    turning = depth_m * (turned_xy - rays.pixels * turned_z)
    return (turning + (shift_xy - rays.pixels * shift_z)) / z


def sampling_positions(steps_px: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    """Where to look in an image, as shares of it: -1 and 1 are its outermost pixel centres.

    Args:
        steps_px: float [..., 2, H, W], x and y in pixels, from every pixel.
        pixels: [2, H, W], x and y of every pixel.

    Returns:
        float [..., 2, H, W].
    """
    height, width = steps_px.shape[-2:]
    x = (pixels[0] + steps_px[..., 0, :, :]) * (2.0 / (width - 1)) - 1.0
    y = (pixels[1] + steps_px[..., 1, :, :]) * (2.0 / (height - 1)) - 1.0
    return torch.stack([x, y], dim=-3)


def sample(images: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Look up images, bilinear; beyond the rim the rim's pixel.

    Args:
        images: float [N, C, H, W].
        positions: ``sampling_positions``, float [N, 2, H, W].

    Returns:
        float [N, C, H, W].
    """
    grid = positions.permute(0, 2, 3, 1)
    return functional.grid_sample(images, grid, padding_mode='border', align_corners=True)


def _pixel_grid(size: torch.Size, *, like: torch.Tensor) -> torch.Tensor:
    """Homogeneous pixel coordinates (x, y, 1), [3, H, W], of the type and device of ``like``."""
    height, width = size
    x = torch.arange(width, dtype=like.dtype, device=like.device)
    y = torch.arange(height, dtype=like.dtype, device=like.device)
    return torch.stack([*torch.meshgrid(x, y, indexing='xy'), x.new_ones(height, width)])
