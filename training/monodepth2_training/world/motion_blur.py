# SPDX-License-Identifier: Apache-2.0
"""Motion blur: the picture smeared along each pixel's own way during the exposure.

Depth and motion are known exactly, so that one rendering is enough: every pixel is averaged over
the way that its surface travels through the picture while the shutter is open.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from monodepth2_training.world.intersect import Rays
from monodepth2_training.world.lens import Lens

_PLACES = (-0.4, -0.2, 0.0, 0.2, 0.4)
"""Where a pixel is looked up, in shares of its way."""

_LEAST_PX = 0.3
_NEAREST = 0.05


def paths_px(
    rays: Rays,
    depth_m: torch.Tensor,
    moved_m: torch.Tensor | None,
    lens: Lens,
    T_before_to_world: NDArray[np.float64],
    T_after_to_world: NDArray[np.float64],
) -> tuple[torch.Tensor, torch.Tensor]:
    """How far each pixel's surface moves through the picture, in columns and rows.

    Args:
        rays: of the pixels now, in world axes, H x W.
        depth_m: float32[H, W]; +Inf for the sky.
        moved_m: float32[H, W, 3] by how much the surface itself moves in the world; None if none.
        lens: of the camera.
        T_before_to_world: float64[4, 4], pose of the camera now.
        T_after_to_world: float64[4, 4], pose of the camera after.

    Returns:
        float32[H, W] each.
    """
    inverse_m = 1.0 / depth_m
    shift = T_before_to_world[:3, 3] - T_after_to_world[:3, 3]
    direction = []
    for axis, ray in enumerate((rays.dx, rays.dy, rays.dz)):
        way = float(shift[axis]) if moved_m is None else float(shift[axis]) + moved_m[..., axis]
        direction.append(ray + way * inverse_m)
    after = [
        sum(float(T_after_to_world[k, axis]) * direction[k] for k in range(3)) for axis in range(3)
    ]
    z = torch.as_tensor(after[2]).clamp(min=_NEAREST)
    u, v = lens.project(after[0] / z, after[1] / z)
    height, width = depth_m.shape
    columns = torch.arange(width, device=u.device, dtype=u.dtype)
    rows = torch.arange(height, device=u.device, dtype=u.dtype)[:, None]
    return u - columns, v - rows


def smeared(
    radiance: torch.Tensor, across_px: torch.Tensor, down_px: torch.Tensor
) -> torch.Tensor:
    """Average of a picture float32[H, W, 3] along ways float32[H, W] about each pixel."""
    if float(torch.maximum(across_px.abs().max(), down_px.abs().max())) < _LEAST_PX:
        return radiance
    height, width = across_px.shape
    x = torch.linspace(-1.0, 1.0, width, device=radiance.device)
    y = torch.linspace(-1.0, 1.0, height, device=radiance.device)[:, None]
    step_x, step_y = 2.0 * across_px / (width - 1), 2.0 * down_px / (height - 1)
    planes = radiance.permute(2, 0, 1)[None]
    total = torch.zeros_like(planes)
    scatter = _scatter(height, width, radiance.device)
    for place in _PLACES:
        share = place + scatter
        grid = torch.stack([x + share * step_x, y + share * step_y], dim=-1)[None]
        total += torch.nn.functional.grid_sample(
            planes, grid, padding_mode='border', align_corners=True
        )
    return (total[0] / len(_PLACES)).permute(1, 2, 0)


def _scatter(height: int, width: int, device: torch.device) -> torch.Tensor:
    """Offsets float32[H, W] within +-0.1 that turn copies of an edge into grain.

    Interleaved gradient noise (Jimenez, "Next generation post processing in Call of Duty", 2014).
    """
    x, y = torch.arange(width, device=device), torch.arange(height, device=device)[:, None]
    noise = torch.frac(52.9829189 * torch.frac(0.06711056 * x + 0.00583715 * y))
    return 0.2 * (noise - 0.5)
