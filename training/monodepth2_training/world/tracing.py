# SPDX-License-Identifier: Apache-2.0
"""Finds for every pixel the surface it sees: the nearest of the ground and all solids."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from monodepth2_training.world import intersect
from monodepth2_training.world.intersect import Rays, Scalar
from monodepth2_training.world.path import StreetPath
from monodepth2_training.world.scene import StreetLayout
from monodepth2_training.world.solids import Material, Shape, Solids
from monodepth2_training.world.textures import Texture, TextureStack

SKY, GROUND = -2, -1
"""Surface numbers of the sky and the ground; those of solids begin with 0."""

_LEAF_GAPS = 0.41


@dataclass(frozen=True, kw_only=True)
class Hits:
    """The nearest surface on every ray."""

    t: torch.Tensor
    """float32[H, W] ray parameter (depth, if directions have camera z = 1); +Inf in the sky."""
    surface: torch.Tensor
    """int64[H, W]: ``SKY``, ``GROUND`` or the index of a solid."""


def hit_solid(
    rays: Rays, solids: Solids, index: int, textures: TextureStack | None
) -> torch.Tensor:
    """First hit of the rays with one solid: float32 of the rays' shape, +Inf where they miss.

    Without ``textures`` crowns have no gaps.
    """
    cx, cy, cz = solids.centre[index].tolist()
    local = rays.seen_from((cx, cy, cz), float(solids.yaw[index]))
    hx, hy, hz = solids.half[index].tolist()
    shape = solids.shape[index]
    if shape == Shape.FRUSTUM:
        taper_x, taper_y = solids.taper[index].tolist()
        return intersect.frustum(local, (hx, hy, hz), (taper_x, taper_y))
    if shape == Shape.CYLINDER:
        return intersect.cylinder(local, (hx, hy, hz))
    front, back = intersect.ellipsoid(local, (hx, hy, hz))
    if textures is None or solids.material[index] != Material.FOLIAGE:
        return front
    seed = float(solids.seed[index] % 64)
    front = torch.where(_is_leaf(local, front, seed, textures), front, torch.inf)
    back = torch.where(_is_leaf(local, back, seed, textures), back, torch.inf)
    return torch.minimum(front, back)


def crown_coordinates(
    x: torch.Tensor, y: torch.Tensor, z: torch.Tensor, seed: Scalar
) -> tuple[torch.Tensor, torch.Tensor]:
    """Texture coordinates of a point in a crown's axes, seen along the axis it faces most."""
    ax, ay = x.abs(), y.abs()
    facing_x, side = ax > ay, torch.maximum(ax, ay) > z.abs()
    u = torch.where(facing_x & side, y, x)
    v = torch.where(side, z, y)
    return u + seed, v + 0.7 * seed


def _is_leaf(rays: Rays, t: torch.Tensor, seed: float, textures: TextureStack) -> torch.Tensor:
    """Crowns have gaps, fixed to their surface, so that their outline is ragged."""
    safe = torch.where(torch.isfinite(t), t, 0.0)
    u, v = crown_coordinates(
        rays.ox + safe * rays.dx, rays.oy + safe * rays.dy, rays.oz + safe * rays.dz, seed
    )
    return textures.nearest(Texture.LEAVES, u, v) > _LEAF_GAPS


def pavement_side(
    path: StreetPath, layout: StreetLayout, x: torch.Tensor, y: torch.Tensor
) -> torch.Tensor:
    """Distance from the kerb, positive on the pavement and beyond, negative on a road; metres."""
    distance = path.lateral(x, y).abs() - layout.road_half_width_m
    for crossing in layout.crossings_m:
        beside = (x - crossing).abs() - layout.crossing_half_width_m
        distance = torch.minimum(distance, beside)
    return distance


def hit_ground(rays: Rays, path: StreetPath, layout: StreetLayout) -> torch.Tensor:
    """First hit with the ground: the pavement's plane, a kerb's face, or the road's plane."""
    dz = torch.as_tensor(rays.dz)
    down = dz < -1e-6
    slope = torch.where(down, dz, -1.0)
    upper, lower = (layout.kerb_height_m - rays.oz) / slope, (0.0 - rays.oz) / slope
    side_upper = _side_at(rays, upper, path, layout)
    side_lower = _side_at(rays, lower, path, layout)
    t = torch.where(side_upper > 0, upper, lower)
    face = down & (side_upper <= 0) & (side_lower > 0) & (lower > 0)
    where = face.nonzero(as_tuple=True)
    if len(where[0]):
        t[where] = _kerb_face(rays, path, layout, upper, lower, where)
    return torch.where(down & (t > 0), t, torch.inf)


def _kerb_face(
    rays: Rays,
    path: StreetPath,
    layout: StreetLayout,
    upper: torch.Tensor,
    lower: torch.Tensor,
    where: tuple[torch.Tensor, ...],
) -> torch.Tensor:
    """Where the rays cross the kerb line between two levels, by bisection."""
    picked = rays.at(where)
    low, high = upper[where].clamp(min=0.0), lower[where]
    for _ in range(14):
        middle = 0.5 * (low + high)
        beyond = _side_at(picked, middle, path, layout) > 0
        low, high = torch.where(beyond, low, middle), torch.where(beyond, middle, high)
    return 0.5 * (low + high)


def _side_at(rays: Rays, t: torch.Tensor, path: StreetPath, layout: StreetLayout) -> torch.Tensor:
    return pavement_side(path, layout, rays.ox + t * rays.dx, rays.oy + t * rays.dy)
