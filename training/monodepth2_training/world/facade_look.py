# SPDX-License-Identifier: Apache-2.0
"""Colours of houses: walls of plaster or brick, windows, doors, shop fronts, and tiled roofs."""

from __future__ import annotations

import torch

from monodepth2_training.world.patterns import band, hashed, mix, rgb, stripes
from monodepth2_training.world.surface import FACE_Z, SolidTable, SurfacePoints
from monodepth2_training.world.textures import Texture, TextureStack

_FRAME_M = 0.11
_ROOM = 0.16
"""Radiance of a lit room, a fifth of a white wall's under an overcast sky."""


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
    solid, v, du, dv = points.solid, points.v, points.du, points.dv
    pitch, storey = table.get('detail_0', solid), table.get('detail_1', solid)
    share = table.get('detail_2', solid)
    offset, columns, column, level = _cells(points, table)
    within = band(offset, 0.0, columns * pitch, du)
    ground = level == 0
    door = _is_door(columns, column, level, table.get('seed', solid))
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


def _cells(
    points: SurfacePoints, table: SolidTable
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Distance along the rows of windows, how many a row has, and which column and storey."""
    solid = points.solid
    half = torch.where(points.face == 0, table.get('hy', solid), table.get('hx', solid))
    pitch = table.get('detail_0', solid)
    columns = torch.floor((2 * half - 0.8) / pitch)
    offset = points.u + columns * pitch / 2
    level = torch.floor(points.v / table.get('detail_1', solid))
    return offset, columns, torch.floor(offset / pitch), level


def _is_door(
    columns: torch.Tensor, column: torch.Tensor, level: torch.Tensor, seed: torch.Tensor
) -> torch.Tensor:
    """Where the one door of a house is, by the ``_cells`` of its points."""
    return (level == 0) & (column == torch.floor(hashed(seed, seed, seed) * columns))


def facade_glow(points: SurfacePoints, table: SolidTable, share: float) -> torch.Tensor:
    """Light from the rooms behind a ``share`` of the windows, float32[3, N] linear radiance."""
    _, _, column, level = _cells(points, table)
    burning = hashed(column + 101, level, table.get('seed', points.solid)) < share
    index = (burning & (points.face != FACE_Z)).nonzero(as_tuple=True)[0]
    glow = torch.zeros((3, len(column)), device=column.device)
    return glow.index_copy_(1, index, _room_light(points.part(index), table))


def _room_light(points: SurfacePoints, table: SolidTable) -> torch.Tensor:
    """Light from the rooms behind windows that are all lit, float32[3, N]."""
    seed = table.get('seed', points.solid)
    _, columns, column, level = _cells(points, table)
    _, _, pane = _windows(points, table)
    mood = hashed(column, level + 57, seed)
    colour = mix(rgb(1.0, 0.60, 0.26, mood), rgb(1.0, 0.88, 0.68, mood), mood)
    height = points.v / table.get('detail_1', points.solid) - level
    brightness = _ROOM * (0.5 + mood) * (0.4 + 0.9 * height)
    return colour * (brightness * pane * ~_is_door(columns, column, level, seed))


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
