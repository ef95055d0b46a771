# SPDX-License-Identifier: Apache-2.0
"""Colours of houses: walls of plaster or brick, windows, doors, shop fronts, and tiled roofs."""

from __future__ import annotations

import torch

from monodepth2_training.world.patterns import band, hashed, mix, rgb, stripes
from monodepth2_training.world.surface import FACE_Z, SolidTable, SurfacePoints
from monodepth2_training.world.textures import Texture, TextureStack

_FRAME_M = 0.11


def facade_albedo(
    points: SurfacePoints, table: SolidTable, textures: TextureStack
) -> torch.Tensor:
    """Colour of points on house walls, float32[3, N] linear reflectance."""
    solid, u, v = points.solid, points.u, points.v
    seed, style = table.get('seed', solid), table.get('detail_3', solid)
    colour = table.colour(solid) * _wall(points, seed, style, textures)
    trim = table.colour(solid, 'trim_')
    storey = table.get('detail_1', solid)
    level = torch.floor(v / storey)
    ledge = stripes(v, storey, storey * 0.0, 0.16, points.dv) * (style < 2)
    colour = mix(colour, trim * 0.9, ledge * (level > 0) * 0.8)
    window, glass, pane = _windows(points, table)
    colour = mix(colour, trim, window)
    colour = mix(colour, glass, pane)
    dirt = torch.exp(-v / 0.5)
    return torch.where(points.face == FACE_Z, rgb(0.2, 0.2, 0.2, u), colour * (1 - 0.35 * dirt))


def _wall(
    points: SurfacePoints, seed: torch.Tensor, style: torch.Tensor, textures: TextureStack
) -> torch.Tensor:
    """Brightness of the bare wall, about 1."""
    u, v, du, dv = points.u + seed * 0.37, points.v, points.du, points.dv
    bricks = (style == 1) | (style == 3)
    layer = torch.where(bricks, int(Texture.BRICK), int(Texture.PLASTER))
    tone = textures.sample(layer, u, v, du, dv)
    fine = torch.where(bricks, 0.35 + 1.3 * tone, 0.5 + tone)
    broad = textures.sample(Texture.CLOUDS, u * 0.07, v * 0.05, du * 0.07, dv * 0.05)
    return fine * (0.72 + 0.56 * broad)


def _windows(
    points: SurfacePoints, table: SolidTable
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Share of window with its frame, colour of the panes, share of panes."""
    solid, u, v, du, dv = points.solid, points.u, points.v, points.du, points.dv
    along_y = points.face == 0
    half = torch.where(along_y, table.get('hy', solid), table.get('hx', solid))
    pitch, storey = table.get('detail_0', solid), table.get('detail_1', solid)
    share, seed = table.get('detail_2', solid), table.get('seed', solid)
    columns = torch.floor((2 * half - 0.8) / pitch)
    offset = u + columns * pitch / 2
    column, level = torch.floor(offset / pitch), torch.floor(v / storey)
    within = band(offset, 0.0, columns * pitch, du)
    ground = level == 0
    door = ground & (column == torch.floor(hashed(seed, seed, seed) * columns))
    shop = ground & (table.get('detail_3', solid) >= 2)
    width = torch.where(shop, pitch * 0.84, pitch * share).clamp(max=1.9)
    width = torch.where(door, 1.15, width)
    width = torch.where(shop & ~door, pitch * 0.86, width)
    left, right = (pitch - width) / 2, (pitch + width) / 2
    bottom = torch.where(door, 0.05, torch.where(shop, 0.5, 0.92))
    top = torch.where(ground, 2.45, storey - 0.45)
    height = v - level * storey
    inside = (column >= 0) & (column < columns) & (v < 2 * table.get('hz', solid) - 0.7)
    outer = _pane(offset, height, pitch, (left, right, bottom, top), (du, dv), 0.0)
    inner = _pane(offset, height, pitch, (left, right, bottom, top), (du, dv), _FRAME_M)
    mullion = stripes(offset, pitch, pitch / 2 - 0.035, pitch / 2 + 0.035, du)
    bar = band(height, bottom + (top - bottom) * 0.68, bottom + (top - bottom) * 0.68 + 0.06, dv)
    inner = inner * (1 - torch.maximum(mullion, bar) * (~shop | door))
    return (
        outer * within * inside,
        _glass(points, table, column, level, door),
        inner * within * inside,
    )


def _pane(
    offset: torch.Tensor,
    height: torch.Tensor,
    pitch: torch.Tensor,
    edges: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor],
    extent: tuple[torch.Tensor, torch.Tensor],
    inset: float,
) -> torch.Tensor:
    left, right, bottom, top = edges
    across = stripes(offset, pitch, left + inset, right - inset, extent[0])
    return across * band(height, bottom + inset, top - inset, extent[1])


def _glass(
    points: SurfacePoints,
    table: SolidTable,
    column: torch.Tensor,
    level: torch.Tensor,
    door: torch.Tensor,
) -> torch.Tensor:
    """Dark rooms that mirror some sky; curtains in some, doors of wood."""
    seed = table.get('seed', points.solid)
    chance = hashed(column, level, seed)
    storey = table.get('detail_1', points.solid)
    height = points.v / storey - level
    glass = rgb(0.055, 0.070, 0.085, points.u) * (0.5 + 2.2 * height * (0.35 + chance))
    curtain = rgb(0.50, 0.48, 0.43, points.u) * (0.8 + 0.2 * torch.sin(points.u * 40))
    glass = torch.where((chance > 0.62) & (height > 0.48 + 0.3 * chance), 0.7 * curtain, glass)
    wood = rgb(0.15, 0.09, 0.06, points.u) * (0.5 + table.colour(points.solid, 'trim_'))
    return torch.where(door, wood, glass)


def roof_albedo(points: SurfacePoints, table: SolidTable, textures: TextureStack) -> torch.Tensor:
    """Colour of tiled roofs, float32[3, N]."""
    rows = stripes(points.v, 0.35, 0.0, 0.07, points.dv)
    plaster = textures.sample(Texture.PLASTER, points.u, points.v, points.du, points.dv)
    return table.colour(points.solid) * (0.4 + 1.2 * plaster) * (1 - 0.5 * rows)
