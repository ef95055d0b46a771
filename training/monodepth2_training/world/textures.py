# SPDX-License-Identifier: Apache-2.0
"""Procedural gray textures that tile, filtered beforehand so that they do not flicker.

Each texture is kept at every power-of-two blur in u and in v apart (a "ripmap"), because roads and
facades are seen foreshortened in one direction only. Values have mean 0.5.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

SIZE = 512
"""Texels along a side."""

LEVELS = 9
"""Blur levels in each direction: 1, 2, 4 ... 256 texels."""


class Texture(IntEnum):
    """Layers of the texture stack."""

    ASPHALT = 0
    PAVING = 1
    PLASTER = 2
    BRICK = 3
    LEAVES = 4
    CLOUDS = 5


TILE_M = (7.0, 6.0, 8.0, 5.0, 4.0, 1.0)
"""Side of one tile of each layer in metres (of the cloud layer: in units of its own)."""


class TextureStack:
    """All textures on one device."""

    def __init__(self, seed: int, device: torch.device) -> None:
        """Draw the textures from ``seed`` and filter them."""
        layers = _draw_layers(np.random.default_rng([seed, 77]))
        flat, self._offsets = _ripmaps(layers)
        self._flat = torch.from_numpy(flat).to(device)
        self._layer_stride = len(flat) // len(layers)
        self._offset_table = torch.from_numpy(self._offsets).to(device)
        self._scale = torch.tensor([SIZE / tile for tile in TILE_M], device=device)

    def sample(
        self,
        layer: Texture | torch.Tensor,
        u_m: torch.Tensor,
        v_m: torch.Tensor,
        du_m: torch.Tensor,
        dv_m: torch.Tensor,
    ) -> torch.Tensor:
        """Texture values at points of a surface.

        Args:
            layer: which texture, one for all points or int64[N].
            u_m: float32[N], first surface coordinate in metres.
            v_m: float32[N], second surface coordinate.
            du_m: float32[N], extent of the pixel along u, in metres.
            dv_m: float32[N], extent of the pixel along v.

        Returns:
            float32[N], about 0 to 1 with mean 0.5.
        """
        scale = self._scale[layer] if isinstance(layer, torch.Tensor) else SIZE / TILE_M[layer]
        level_u, level_v = _level(du_m * scale), _level(dv_m * scale)
        u0, u1, fu = _texels(u_m * scale, level_u)
        v0, v1, fv = _texels(v_m * scale, level_v)
        start = self._offset_table.index_select(0, level_u * LEVELS + level_v)
        row = start + layer * self._layer_stride
        width = SIZE >> level_u
        row0, row1 = row + v0 * width, row + v1 * width
        top = torch.lerp(self._texel(row0 + u0), self._texel(row0 + u1), fu)
        bottom = torch.lerp(self._texel(row1 + u0), self._texel(row1 + u1), fu)
        return torch.lerp(top, bottom, fv)

    def _texel(self, index: torch.Tensor) -> torch.Tensor:
        return self._flat.index_select(0, index)

    def nearest(self, layer: Texture, u_m: torch.Tensor, v_m: torch.Tensor) -> torch.Tensor:
        """The nearest texel of the first blur: float32 of any shape; metres as in ``sample``."""
        size = SIZE // 2
        scale = size / TILE_M[layer]
        u = (u_m * scale).to(torch.int64) & (size - 1)
        v = (v_m * scale).to(torch.int64) & (size - 1)
        base = int(self._offsets[LEVELS + 1]) + layer * self._layer_stride
        return self._flat.take(v * size + u + base)


@lru_cache(maxsize=4)
def shared_textures(seed: int, device: torch.device) -> TextureStack:
    """The textures of a seed; worlds of one seed share them."""
    return TextureStack(seed, device)


def _level(extent_texels: torch.Tensor) -> torch.Tensor:
    """Blur level whose box is nearest to the extent, int64."""
    return torch.log2(extent_texels).round_().clamp_(0, LEVELS - 1).to(torch.int64)


def _texels(
    coordinate: torch.Tensor, level: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    size = SIZE >> level
    scaled = coordinate * (size.to(torch.float32) * (1.0 / SIZE)) - 0.5
    whole = scaled.floor()
    index, mask = whole.to(torch.int64), size - 1
    return index & mask, (index + 1) & mask, scaled - whole


def _ripmaps(layers: list[NDArray[np.float32]]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    parts: list[NDArray[np.float32]] = []
    offsets = np.zeros(LEVELS * LEVELS, dtype=np.int64)
    for number, layer in enumerate(layers):
        total = 0
        in_u = layer
        for level_u in range(LEVELS):
            in_v = in_u
            for level_v in range(LEVELS):
                if number == 0:
                    offsets[level_u * LEVELS + level_v] = total
                parts.append(in_v.ravel())
                total += in_v.size
                in_v = 0.5 * (in_v[0::2] + in_v[1::2])
            in_u = 0.5 * (in_u[:, 0::2] + in_u[:, 1::2])
    return np.concatenate(parts).astype(np.float32), offsets


def _draw_layers(rng: np.random.Generator) -> list[NDArray[np.float32]]:
    drawers = (_asphalt, _paving, _plaster, _brick, _leaves, _clouds)
    return [np.clip(draw(rng), 0.0, 1.0).astype(np.float32) for draw in drawers]


def _noise(
    rng: np.random.Generator, *, steepness: float, smallest: float = 1.0
) -> NDArray[np.float64]:
    """Tiling noise whose amplitude falls with frequency**-steepness; mean 0, deviation 1."""
    spectrum = np.fft.rfft2(rng.standard_normal((SIZE, SIZE)))
    fy, fx = np.fft.fftfreq(SIZE)[:, None] * SIZE, np.fft.rfftfreq(SIZE)[None] * SIZE
    frequency = np.hypot(fx, fy)
    frequency[0, 0] = 1.0
    spectrum *= frequency**-steepness * np.exp(-((frequency * smallest / SIZE) ** 2))
    spectrum[0, 0] = 0.0
    noise = np.fft.irfft2(spectrum, s=(SIZE, SIZE))
    return np.asarray(noise / noise.std())


def _asphalt(rng: np.random.Generator) -> NDArray[np.float64]:
    grain = 0.13 * _noise(rng, steepness=0.75, smallest=2.5)
    stains = 0.08 * _noise(rng, steepness=1.3, smallest=3.0)
    cracks = np.exp(-((_noise(rng, steepness=1.7) / 0.022) ** 2))
    return 0.53 + grain + stains - 0.2 * cracks + _repairs(rng)


def _repairs(rng: np.random.Generator) -> NDArray[np.float64]:
    """Rectangles of newer or older asphalt with tarred edges."""
    tone = np.zeros((SIZE, SIZE))
    for _ in range(6):
        height, width = (int(n) for n in rng.integers(30, 130, 2))
        y, x = int(rng.integers(0, SIZE - height)), int(rng.integers(0, SIZE - width))
        tone[y : y + height, x : x + width] = -0.16
        inner = float(rng.uniform(-0.14, 0.07))
        tone[y + 3 : y + height - 3, x + 3 : x + width - 3] = inner
    return tone


def _paving(rng: np.random.Generator) -> NDArray[np.float64]:
    rows, columns, joint = 12, 12, 2
    y, x = np.mgrid[0:SIZE, 0:SIZE] * (rows / SIZE)
    shift = (np.floor(y) % 2) * 0.5
    tone = rng.standard_normal((rows, columns))
    slab = tone[np.floor(y).astype(int) % rows, np.floor(x + shift).astype(int) % columns]
    edge = np.minimum((x + shift) % 1, y % 1) < joint * rows / SIZE
    worn = 0.06 * _noise(rng, steepness=0.8, smallest=2.0)
    return np.asarray(0.52 + 0.07 * slab + worn - 0.22 * edge, np.float64)


def _plaster(rng: np.random.Generator) -> NDArray[np.float64]:
    stains = 0.11 * _noise(rng, steepness=1.15)
    streaks = _noise(rng, steepness=1.2).mean(axis=0, keepdims=True)
    grain = 0.08 * _noise(rng, steepness=0.7, smallest=2.0)
    return np.asarray(0.5 + stains + 0.05 * streaks / streaks.std() + grain, np.float64)


def _brick(rng: np.random.Generator) -> NDArray[np.float64]:
    rows, columns = 64, 20
    grid = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    y, x = grid[0] * rows, grid[1] * columns
    shift = (np.floor(y) % 2) * 0.5
    tone = rng.standard_normal((rows, columns))
    brick = tone[np.floor(y).astype(int) % rows, np.floor(x + shift).astype(int) % columns]
    mortar = (((x + shift) % 1) < 0.06) | ((y % 1) < 0.18)
    return np.asarray(
        np.where(mortar, 0.62, 0.46 + 0.12 * brick) + 0.05 * _noise(rng, steepness=1.4)
    )


def _leaves(rng: np.random.Generator) -> NDArray[np.float64]:
    clumps = _noise(rng, steepness=1.1, smallest=6.0)
    return 0.5 + 0.16 * clumps + 0.08 * _noise(rng, steepness=0.3, smallest=4.0)


def _clouds(rng: np.random.Generator) -> NDArray[np.float64]:
    return 0.5 + 0.2 * _noise(rng, steepness=1.75)
