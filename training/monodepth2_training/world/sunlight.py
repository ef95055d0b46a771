# SPDX-License-Identifier: Apache-2.0
"""Shadows of all that stands still: a map, made once a scene, of how high the sun is blocked.

Every texel is a point of the level ground. It holds the height of the highest surface on the line
from there to the sun. A point in the air lies in shadow when its line is blocked above it.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from monodepth2_training.world.intersect import Rays
from monodepth2_training.world.scene import Scene
from monodepth2_training.world.solids import Solids
from monodepth2_training.world.textures import TextureStack
from monodepth2_training.world.tracing import hit_solid

TEXEL_M = 0.2
"""Side of a texel."""

_HALF_WIDTH_M = 34.0
_TOP_M = 60.0
_BIAS_M = 0.12


class SunMap:
    """Says which points the sun reaches."""

    def __init__(self, scene: Scene, textures: TextureStack, device: torch.device) -> None:
        """Trace the map: one ray a texel, from high up along the sunlight."""
        self._scene = scene
        sx, sy, sz = scene.light.to_sun
        self._lean = (sx / sz, sy / sz)
        start, end = scene.extent_m
        self._x = np.arange(start, end, TEXEL_M, dtype=np.float64)
        self._offset = np.arange(-_HALF_WIDTH_M, _HALF_WIDTH_M, TEXEL_M, dtype=np.float64)
        self._device = device
        t = torch.full((len(self._x), len(self._offset)), torch.inf, device=device)
        rays = self._rays()
        windows = self._windows(scene.solids)
        for index in range(len(scene.solids)):
            (x0, x1), (y0, y1) = windows[index].tolist()
            if x0 < x1 and y0 < y1:
                part = (slice(x0, x1), slice(y0, y1))
                hit = hit_solid(rays.at(part), scene.solids, index, textures)
                t[part] = torch.minimum(t[part], hit)
        height = torch.where(torch.isfinite(t), _TOP_M - t, -1.0)
        self._height = height.clamp_(min=-1.0).reshape(-1)

    def lit(self, x: torch.Tensor, y: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Share of sunlight that reaches world points, float32[N] in [0, 1]; 1 outside the map."""
        ground_x, ground_y = x - z * self._lean[0], y - z * self._lean[1]
        offset = ground_y - self._centre(ground_x)
        i = (ground_x - float(self._x[0])) / TEXEL_M
        j = (offset + _HALF_WIDTH_M) / TEXEL_M
        i0, j0 = i.floor(), j.floor()
        fi, fj = i - i0, j - j0
        rows, columns = len(self._x), len(self._offset)
        i0, j0 = i0.to(torch.int64).clamp_(0, rows - 2), j0.to(torch.int64).clamp_(0, columns - 2)
        base = i0 * columns + j0
        level = z + _BIAS_M
        near = torch.lerp(self._free(base, level), self._free(base + 1, level), fj)
        far = torch.lerp(
            self._free(base + columns, level), self._free(base + columns + 1, level), fj
        )
        return torch.lerp(near, far, fi).clamp_(0.0, 1.0)

    def _free(self, texel: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        return (self._height.index_select(0, texel) <= level).to(torch.float32)

    def _centre(self, x: torch.Tensor) -> torch.Tensor:
        return -self._scene.path.offset(x, torch.zeros_like(x))

    def _rays(self) -> Rays:
        x, offset = self._x[:, None], self._offset[None, :]
        y = self._scene.path.centre_y(x) + offset
        high_x = torch.from_numpy((x + _TOP_M * self._lean[0]).astype(np.float32))
        high_y = torch.from_numpy((y + _TOP_M * self._lean[1]).astype(np.float32))
        return Rays(
            ox=high_x.to(self._device).expand(y.shape),
            oy=high_y.to(self._device),
            oz=_TOP_M,
            dx=-self._lean[0],
            dy=-self._lean[1],
            dz=-1.0,
        )

    def _windows(self, solids: Solids) -> NDArray[np.int64]:
        """Texels that each solid can darken, [N, 2, 2]."""
        corners = solids.corners()
        x = corners[..., 0] - corners[..., 2] * self._lean[0]
        y = corners[..., 1] - corners[..., 2] * self._lean[1]
        offset = y - self._scene.path.centre_y(x)
        windows = []
        for value, axis in ((x, self._x), (offset, self._offset)):
            low = np.floor((value.min(axis=1) - 1.0 - axis[0]) / TEXEL_M)
            high = np.ceil((value.max(axis=1) + 1.0 - axis[0]) / TEXEL_M)
            windows.append(np.clip(np.stack([low, high], axis=1), 0, len(axis)))
        return np.stack(windows, axis=1).astype(np.int64)
