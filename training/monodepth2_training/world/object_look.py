# SPDX-License-Identifier: Apache-2.0
"""Colours of cars, trees and painted things."""

from __future__ import annotations

import torch

from monodepth2_training.world.patterns import band, disc, mix, rgb
from monodepth2_training.world.surface import FACE_X, FACE_Y, FACE_Z, SolidTable, SurfacePoints
from monodepth2_training.world.textures import Texture, TextureStack
from monodepth2_training.world.tracing import crown_coordinates

_WHEEL_M = 0.33
_HEADLAMP, _TAIL_LAMP = (2.4, 2.2, 1.8), (0.50, 0.012, 0.008)


def car_body_albedo(
    points: SurfacePoints, table: SolidTable, textures: TextureStack
) -> torch.Tensor:
    """Paint, wheels, lights and number plates of the lower part of a car, float32[3, N]."""
    solid, u, v = points.solid, points.u, points.v
    length, width = table.get('hx', solid), table.get('hy', solid)
    paint = _paint(points, table, textures)
    sill = band(v, -1.0, 0.24, points.dv)
    side = _car_side(points, mix(paint, 0.3 * paint, _seams(points)), length, sill)
    end = _car_end(points, mix(paint, rgb(0.02, 0.02, 0.02, u), sill), width)
    ends, sides = points.face == FACE_X, points.face == FACE_Y
    return torch.where(ends, end, torch.where(sides, side, paint))


def _paint(points: SurfacePoints, table: SolidTable, textures: TextureStack) -> torch.Tensor:
    """Lacquer with soft reflections of the surroundings."""
    u, v = points.u * 0.22 + points.local[1] * 0.1, points.v * 0.35
    mirror = textures.sample(Texture.CLOUDS, u, v, points.du * 0.3, points.dv * 0.4)
    return table.colour(points.solid) * (0.75 + 0.5 * mirror) + 0.035 * mirror


def _seams(points: SurfacePoints) -> torch.Tensor:
    thin = 0.5 * points.du + 0.008
    seams = torch.zeros_like(points.u)
    for where in (-0.75, 0.25, 1.05):
        seams = torch.maximum(seams, band(points.u, where - 0.01, where + 0.01, thin))
    return seams


def _car_side(
    points: SurfacePoints, colour: torch.Tensor, length: torch.Tensor, sill: torch.Tensor
) -> torch.Tensor:
    u, v, extent = points.u, points.v, torch.maximum(points.du, points.dv)
    black = rgb(0.016, 0.016, 0.018, u)
    colour = mix(colour, black, sill)
    for axle in (-0.60, 0.62):
        for radius, shade in ((0.40, 0.012), (_WHEEL_M, 0.03), (0.21, 0.30), (0.06, 0.10)):
            inside = disc(u, v, axle * length, _WHEEL_M, radius, extent)
            colour = mix(colour, rgb(shade, shade, shade, u), inside)
    return colour


def _car_end(points: SurfacePoints, colour: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
    u, v, du, dv = points.u, points.v, points.du, points.dv
    front = points.local[0] > 0
    lamp = _lamps(points, width)
    white, red = rgb(0.75, 0.75, 0.70, u), rgb(0.42, 0.015, 0.015, u)
    colour = mix(colour, torch.where(front, white, red), lamp)
    grille = band(u.abs(), -1.0, width * 0.5, du) * band(v, 0.54, 0.70, dv) * front
    colour = mix(colour, rgb(0.03, 0.03, 0.03, u), grille)
    plate = band(u.abs(), -1.0, 0.26, du) * band(v, 0.38, 0.49, dv)
    return mix(colour, rgb(0.70, 0.70, 0.66, u), plate)


def _lamps(points: SurfacePoints, width: torch.Tensor) -> torch.Tensor:
    """Share of lamp on a car's end, float32[N]."""
    across = band(points.u.abs(), width * 0.58, width - 0.10, points.du)
    return across * band(points.v, 0.56, 0.74, points.dv)


def car_body_glow(points: SurfacePoints, table: SolidTable) -> torch.Tensor:
    """Light of the lamps of cars that are driven, float32[3, N] linear radiance."""
    burning = _lamps(points, table.get('hy', points.solid)) * table.get('detail_0', points.solid)
    front = points.local[0] > 0
    colour = torch.where(front, rgb(*_HEADLAMP, points.u), rgb(*_TAIL_LAMP, points.u))
    return colour * (burning * (points.face == FACE_X))


def car_cabin_albedo(
    points: SurfacePoints, table: SolidTable, textures: TextureStack
) -> torch.Tensor:
    """Windows, pillars and roof of a car, float32[3, N]."""
    solid, u, v = points.solid, points.u, points.v
    paint = _paint(points, table, textures)
    height = 2 * table.get('hz', solid)
    shrink = torch.where(
        points.face == FACE_X, table.get('taper_y', solid), table.get('taper_x', solid)
    )
    half = torch.where(points.face == FACE_X, table.get('hy', solid), table.get('hx', solid))
    edge = half - shrink * v
    glazed = band(v, 0.03, height - 0.07, points.dv) * band(u.abs(), -1.0, edge - 0.07, points.du)
    pillar = band(u, -0.05, 0.05, points.du) * (points.face == FACE_Y)
    glazed = glazed * (1 - pillar) * (points.face != FACE_Z)
    glass = rgb(0.035, 0.045, 0.055, u) * (0.6 + 1.6 * v / height)
    return mix(paint, glass, glazed)


def foliage_albedo(
    points: SurfacePoints, table: SolidTable, textures: TextureStack
) -> torch.Tensor:
    """Leaves, light above and dark inside the crown, float32[3, N]."""
    seed = torch.remainder(table.get('seed', points.solid), 64.0)
    x, y, z = points.local
    u, v = crown_coordinates(x, y, z, seed)
    size = 0.7 * (points.du + points.dv).clamp(max=1.0)
    leaves = textures.sample(Texture.LEAVES, u * 0.9, v * 0.9, size, size)
    top = 0.75 + 0.35 * z / table.get('hz', points.solid)
    return table.colour(points.solid) * (leaves * leaves * 3.6 + 0.12) * top


def plain_albedo(points: SurfacePoints, table: SolidTable, textures: TextureStack) -> torch.Tensor:
    """Painted metal, stone and bark with some dirt, float32[3, N]."""
    u = points.u + 0.37 * points.local[1]
    dirt = textures.sample(Texture.PLASTER, u, points.v, points.du, points.dv)
    return table.colour(points.solid) * (0.55 + 0.9 * dirt)
