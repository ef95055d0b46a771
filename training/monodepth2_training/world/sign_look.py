# SPDX-License-Identifier: Apache-2.0
"""Faces of traffic signs: rings, arrows, triangles and letters, gray from behind."""

from __future__ import annotations

from enum import IntEnum

import torch

from monodepth2_training.world.patterns import band, disc, mix, rgb
from monodepth2_training.world.surface import SolidTable, SurfacePoints
from monodepth2_training.world.textures import Texture, TextureStack

Colour = tuple[float, float, float]

RED: Colour = (0.55, 0.03, 0.03)
BLUE: Colour = (0.03, 0.12, 0.45)
WHITE: Colour = (0.72, 0.72, 0.70)
BLACK: Colour = (0.03, 0.03, 0.03)


class SignKind(IntEnum):
    """What a sign says."""

    PROHIBITION = 0
    MANDATORY = 1
    WARNING = 2
    STOP = 3
    PARKING = 4
    NAME = 5


def sign_albedo(points: SurfacePoints, table: SolidTable, textures: TextureStack) -> torch.Tensor:
    """Colour of a sign's board, float32[3, N]."""
    solid = points.solid
    kind, front = table.get('detail_0', solid), table.get('detail_1', solid)
    # From -1 to 1 over the board, as its reader sees it.
    across = points.local[1] * front / table.get('hy', solid)
    up = points.local[2] / table.get('hz', solid)
    extent = torch.maximum(points.du, points.dv) / table.get('hz', solid)
    face = torch.zeros_like(table.colour(solid))
    for number, draw in _FACES.items():
        face = torch.where(kind == float(number), draw(across, up, extent), face)
    dirt = textures.sample(Texture.CLOUDS, points.u, points.v, points.du, points.dv)
    behind = points.local[0] * front <= 0.0
    face = torch.where(behind, rgb(0.30, 0.31, 0.32, across), face)
    return face * (0.8 + 0.4 * dirt)


def _prohibition(across: torch.Tensor, up: torch.Tensor, extent: torch.Tensor) -> torch.Tensor:
    """A red ring around dark figures."""
    face = mix(rgb(*RED, up), rgb(*WHITE, up), disc(across, up, 0.0, 0.0, 0.72, extent))
    digits = band(across.abs(), 0.12, 0.46, extent) * band(up.abs(), -1.0, 0.38, extent)
    hole = band(across.abs(), 0.24, 0.34, extent) * band(up.abs(), 0.08, 0.26, extent)
    return mix(face, rgb(*BLACK, up), digits * (1 - hole))


def _mandatory(across: torch.Tensor, up: torch.Tensor, extent: torch.Tensor) -> torch.Tensor:
    """A white arrow on blue."""
    shaft = band(across, -0.14, 0.14, extent) * band(up, -0.65, 0.2, extent)
    head = band(across.abs() + 0.9 * up, -1.0, 0.62, extent) * band(up, 0.05, 0.7, extent)
    return mix(rgb(*BLUE, up), rgb(*WHITE, up), torch.maximum(shaft, head))


def _warning(across: torch.Tensor, up: torch.Tensor, extent: torch.Tensor) -> torch.Tensor:
    """A black mark in a white triangle with a red rim."""
    inner = band(across.abs() + 0.5 * up, -9.0, 0.28, extent) * band(up, -0.72, 9.0, extent)
    face = mix(rgb(*RED, up), rgb(*WHITE, up), inner)
    mark = band(across.abs(), -1.0, 0.09, extent) * band(up, -0.5, 0.12, extent)
    return mix(face, rgb(*BLACK, up), mark)


def _stop(across: torch.Tensor, up: torch.Tensor, extent: torch.Tensor) -> torch.Tensor:
    """White letters on red."""
    letters = band(torch.remainder(across * 2.6 + 0.06, 1.0), 0.15, 0.62, extent * 2.6)
    line = band(up.abs(), -1.0, 0.26, extent) * band(across.abs(), -1.0, 0.76, extent)
    rim = 1 - disc(across, up, 0.0, 0.0, 0.9, extent)
    return mix(rgb(*RED, up), rgb(*WHITE, up), torch.maximum(letters * line, rim))


def _parking(across: torch.Tensor, up: torch.Tensor, extent: torch.Tensor) -> torch.Tensor:
    """A white P on blue, in a white frame."""
    stem = band(across, -0.32, -0.08, extent) * band(up, -0.6, 0.6, extent)
    bow = disc(across, up, 0.02, 0.24, 0.36, extent) * band(across, -0.2, 1.0, extent)
    hole = disc(across, up, 0.02, 0.24, 0.14, extent)
    frame = 1 - band(across.abs(), -1.0, 0.9, extent) * band(up.abs(), -1.0, 0.9, extent)
    white = torch.maximum(torch.maximum(stem, bow * (1 - hole)), frame)
    return mix(rgb(*BLUE, up), rgb(*WHITE, up), white)


def _name(across: torch.Tensor, up: torch.Tensor, extent: torch.Tensor) -> torch.Tensor:
    """A line of dark letters on white."""
    letters = band(torch.remainder(across * 5.3, 1.0), 0.2, 0.8, extent * 5.3)
    line = band(up.abs(), -1.0, 0.45, extent) * band(across.abs(), -1.0, 0.85, extent)
    return mix(rgb(*WHITE, up), rgb(*BLUE, up), letters * line)


_FACES = {
    SignKind.PROHIBITION: _prohibition,
    SignKind.MANDATORY: _mandatory,
    SignKind.WARNING: _warning,
    SignKind.STOP: _stop,
    SignKind.PARKING: _parking,
    SignKind.NAME: _name,
}
