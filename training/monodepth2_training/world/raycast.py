# SPDX-License-Identifier: Apache-2.0
"""Casts the rays of a camera into the world."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from monodepth2_ros.geometry.camera import PinholeCamera
from monodepth2_training.world.bounds import ScreenBounds, screen_bounds
from monodepth2_training.world.intersect import Rays
from monodepth2_training.world.lens import Lens
from monodepth2_training.world.snapshot import REACH_M, Snapshot
from monodepth2_training.world.solids import Solids
from monodepth2_training.world.textures import TextureStack
from monodepth2_training.world.tracing import GROUND, SKY, Hits, hit_ground, hit_solid

_TILE, _REFRESH = 8, 24

RAGGED_WITHIN_M = 45.0
"""Farther crowns have no gaps: they would be smaller than a pixel."""


def camera_rays(
    camera: PinholeCamera,
    T_camera_to_world: NDArray[np.float64],
    device: torch.device,
    lens: Lens | None = None,
) -> Rays:
    """Rays through all pixel centres, in world axes; a ray's parameter is the depth (camera z).

    Args:
        camera: the picture, H x W pixels.
        T_camera_to_world: float64[4, 4].
        device: where the directions are made, float32[H, W] each.
        lens: the same camera with its distortion; None without any.
    """
    if lens is None:
        x = ((torch.arange(camera.width, device=device) - camera.cx_px) / camera.fx_px)[None, :]
        y = ((torch.arange(camera.height, device=device) - camera.cy_px) / camera.fy_px)[:, None]
    else:
        x, y = (torch.from_numpy(at_1.astype(np.float32)).to(device) for at_1 in lens.rays)
    direction = [
        float(row[0]) * x + float(row[1]) * y + float(row[2]) for row in T_camera_to_world[:3, :3]
    ]
    ox, oy, oz = T_camera_to_world[:3, 3].tolist()
    return Rays(ox=ox, oy=oy, oz=oz, dx=direction[0], dy=direction[1], dz=direction[2])


def cast(
    moment: Snapshot,
    camera: PinholeCamera,
    T_camera_to_world: NDArray[np.float64],
    textures: TextureStack,
    device: torch.device,
    lens: Lens | None = None,
) -> tuple[Rays, Hits]:
    """What every pixel sees.

    Args:
        moment: ground and solids as they stand now.
        camera: the picture, H x W pixels.
        T_camera_to_world: float64[4, 4].
        textures: gives the gaps in crowns.
        device: where to compute.
        lens: the same camera with its distortion; None without any.

    Returns:
        the rays, and their hits with depth as parameter.
    """
    rays = camera_rays(camera, T_camera_to_world, device, lens)
    t = torch.full((camera.height, camera.width), torch.inf, device=device)
    below = torch.as_tensor(rays.dz < 0).any(dim=1).nonzero()
    if len(below):
        rows = (slice(int(below[0]), int(below[-1]) + 1), slice(None))
        t[rows] = hit_ground(rays.at(rows), moment.path, moment.layout)
    surface = torch.where(torch.isfinite(t), GROUND, SKY)
    bounds = screen_bounds(
        moment.solids,
        camera,
        np.asarray(np.linalg.inv(T_camera_to_world), np.float64),
        max_depth_m=REACH_M,
        lens=lens,
    )
    for number in _unhidden(bounds, t):
        _cast_solid(rays, moment.solids, bounds, number, textures, t, surface)
    return rays, Hits(t=t, surface=surface)


def _unhidden(bounds: ScreenBounds, t: torch.Tensor) -> Iterator[int]:
    """Solids, nearest first, that are not wholly behind what is drawn in ``t`` in the meantime."""
    drawn = 0
    tiles = _farthest_in_tiles(t)
    for number in range(len(bounds.index)):
        (top, bottom), (left, right) = bounds.rows[number], bounds.columns[number]
        behind = tiles[top // _TILE : -(-bottom // _TILE), left // _TILE : -(-right // _TILE)]
        if behind.max() <= bounds.nearest_m[number]:
            continue
        yield number
        drawn += 1
        if drawn % _REFRESH == 0:
            tiles = _farthest_in_tiles(t)


def _farthest_in_tiles(t: torch.Tensor) -> NDArray[np.float32]:
    """Largest value in each tile of float32[H, W]."""
    pooled = torch.nn.functional.max_pool2d(t[None, None], _TILE, ceil_mode=True)
    return np.asarray(pooled[0, 0].cpu().numpy(), np.float32)


def _cast_solid(
    rays: Rays,
    solids: Solids,
    bounds: ScreenBounds,
    number: int,
    textures: TextureStack,
    t: torch.Tensor,
    surface: torch.Tensor,
) -> None:
    """Draw one solid into its rectangle of ``t`` and ``surface``, which are changed in place."""
    part = (slice(*bounds.rows[number].tolist()), slice(*bounds.columns[number].tolist()))
    index = int(bounds.index[number])
    ragged = bounds.nearest_m[number] < RAGGED_WITHIN_M
    hit = hit_solid(rays.at(part), solids, index, textures if ragged else None)
    before = t[part]
    nearer = hit < before
    surface[part].masked_fill_(nearer, index)
    before.copy_(torch.where(nearer, hit, before))
