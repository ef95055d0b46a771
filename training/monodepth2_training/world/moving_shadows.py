# SPDX-License-Identifier: Apache-2.0
"""Sunlight at one moment: what moves casts its shadow on top of those of all that stands still.

The foot of a point is where the line from the sun through it meets the plane z = 0. A solid
darkens only points whose feet are among its own. A shadow is as dark as its solid is thick along
the sunlight, which softens its outline.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from monodepth2_training.world.intersect import (
    Rays,
    cylinder_span,
    ellipsoid,
    leaning_slab,
    slab,
)
from monodepth2_training.world.scene import Light
from monodepth2_training.world.solids import Shape, Solids
from monodepth2_training.world.sunlight import SunMap
from monodepth2_training.world.surface import SolidTable

_OPAQUE_M = 0.12
_SUN_AGAINST_SKY = 0.5
_WITHIN_HEIGHTS = 40.0


class Sunlight:
    """Says which points the sun reaches at one moment.

    Attributes:
        moves: whether what moves casts shadows.
    """

    def __init__(
        self,
        fixed: SunMap,
        moving: Sequence[Solids],
        light: Light,
        eye: NDArray[np.float64],
        device: torch.device,
    ) -> None:
        """Prepare for a camera at ``eye``, float64[3]; ``moving`` are the parts of each mover."""
        self._fixed = fixed
        self.moves = bool(moving) and has_sun(light)
        seen = [parts for parts in moving if self.moves and _is_seen(parts, eye)]
        self._casters = _Casters(Solids.joined(seen), light, device) if seen else None

    def lit(self, x: torch.Tensor, y: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Share of sunlight that reaches world points, float32[N] in [0, 1]."""
        lit = self._fixed.lit(x, y, z)
        if self._casters is not None:
            open_ = ((lit > 0) & (z < self._casters.top_m)).nonzero(as_tuple=True)[0]
            lit[open_] *= 1.0 - self._casters.cover(x[open_], y[open_], z[open_])
        return lit


def has_sun(light: Light) -> bool:
    """Whether the sun is so much brighter than the sky that shadows have an outline."""
    return max(light.sun_colour) > _SUN_AGAINST_SKY * max(light.sky_colour)


def _is_seen(parts: Solids, eye: NDArray[np.float64]) -> bool:
    height_m = float((parts.centre + parts.half)[:, 2].max())
    return float(np.hypot(*(parts.centre[0] - eye)[:2])) < _WITHIN_HEIGHTS * height_m


class _Casters:
    """Solids in the sunlight, tested all at once; none is higher than ``top_m``."""

    def __init__(self, solids: Solids, light: Light, device: torch.device) -> None:
        self._to_sun = light.to_sun
        sx, sy, sz = self._to_sun
        self._lean = np.array([sx / sz, sy / sz])
        corners = solids.corners()
        self.top_m = float(corners[..., 2].max())
        feet = corners[..., :2] - corners[..., 2:] * self._lean
        low, high = feet.min(axis=1), feet.max(axis=1)
        self._start, map_ = _map_of_feet(low, high)
        self._columns = map_.shape[1]
        self._map = torch.from_numpy(map_.reshape(-1)).to(device)
        bounds = np.ascontiguousarray(np.concatenate([low, high], axis=1).T, np.float32)
        self._bounds = torch.from_numpy(bounds).to(device)
        self._table = SolidTable(solids, device)
        self._shape = torch.from_numpy(solids.shape).to(device)

    def cover(self, x: torch.Tensor, y: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Share of sunlight that is kept from points, float32[N] in [0, 1]."""
        foot_x, foot_y = x - z * float(self._lean[0]), y - z * float(self._lean[1])
        point = self._on_map(foot_x, foot_y).nonzero(as_tuple=True)[0]
        solid, which = self._pairs(foot_x[point], foot_y[point])
        point = point[which]
        thickness = self._thickness(solid, x[point], y[point], z[point])
        thickest = torch.zeros_like(x).scatter_reduce_(0, point, thickness, 'amax')
        return (thickest / _OPAQUE_M).clamp_(max=1.0)

    def _pairs(
        self, foot_x: torch.Tensor, foot_y: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Solids, int64[M], and the points with feet in their bounds, one pair after the other."""
        x0, y0, x1, y1 = self._bounds
        foot_x, order = foot_x.sort()
        first = torch.searchsorted(foot_x, x0)
        count = torch.searchsorted(foot_x, x1) - first
        solid = torch.repeat_interleave(count)
        # The k-th of all pairs is the (k - those of the solids before)-th of its solid.
        skip = (first - count.cumsum(0) + count)[solid]
        which = order[torch.arange(len(solid), device=skip.device) + skip]
        y = foot_y[which]
        inside = ((y > y0[solid]) & (y < y1[solid])).nonzero(as_tuple=True)[0]
        return solid[inside], which[inside]

    def _on_map(self, foot_x: torch.Tensor, foot_y: torch.Tensor) -> torch.Tensor:
        rows = len(self._map) // self._columns
        i = (foot_x - self._start[0]).clamp_(0, rows - 1).to(torch.int64)
        j = (foot_y - self._start[1]).clamp_(0, self._columns - 1).to(torch.int64)
        return self._map.take(i * self._columns + j)

    def _thickness(
        self, solid: torch.Tensor, x: torch.Tensor, y: torch.Tensor, z: torch.Tensor
    ) -> torch.Tensor:
        """Metres of each int64[M] solid between a point and the sun, float32[M]."""
        thickness = torch.zeros_like(x)
        shape = self._shape[solid]
        for kind, span in _SPANS.items():
            chosen = (shape == int(kind)).nonzero(as_tuple=True)[0]
            some = solid[chosen]
            near, far = span(self._local(some, x[chosen], y[chosen], z[chosen]), some, self._table)
            # Rays that miss a round solid give NaN or two infinities.
            through = (far - near.clamp(min=0.0)).nan_to_num(nan=0.0).clamp(min=0.0)
            thickness.index_copy_(0, chosen, through)
        return thickness

    def _local(
        self, solid: torch.Tensor, x: torch.Tensor, y: torch.Tensor, z: torch.Tensor
    ) -> Rays:
        """Rays from points to the sun in the axes of a solid each."""
        get = self._table.get
        cos, sin = get('cos', solid), get('sin', solid)
        rx, ry = x - get('cx', solid), y - get('cy', solid)
        sx, sy, sz = self._to_sun
        return Rays(
            ox=rx * cos + ry * sin,
            oy=ry * cos - rx * sin,
            oz=z - get('cz', solid),
            dx=sx * cos + sy * sin,
            dy=sy * cos - sx * sin,
            dz=sz,
        )


def _map_of_feet(
    low: NDArray[np.float64], high: NDArray[np.float64]
) -> tuple[tuple[float, float], NDArray[np.bool_]]:
    """Where it begins, and which cells of 1 m hold feet of any solid: bool, with a free border."""
    start = np.floor(low.min(axis=0)) - 1.0
    first, last = np.floor(low - start).astype(int), np.ceil(high - start).astype(int)
    cells = np.zeros(last.max(axis=0) + 1, dtype=bool)
    for (i0, j0), (i1, j1) in zip(first, last, strict=True):
        cells[i0:i1, j0:j1] = True
    return (float(start[0]), float(start[1])), cells


def _frustum_span(
    rays: Rays, solid: torch.Tensor, table: SolidTable
) -> tuple[torch.Tensor, torch.Tensor]:
    hx, hy, hz = (table.get(name, solid) for name in ('hx', 'hy', 'hz'))
    height = rays.oz + hz
    near, far = slab(rays.oz, rays.dz, hz)
    for origin, direction, half, taper in (
        (rays.ox, rays.dx, hx, 'taper_x'),
        (rays.oy, rays.dy, hy, 'taper_y'),
    ):
        enter, leave = leaning_slab(
            origin, direction, height, rays.dz, half, table.get(taper, solid)
        )
        near, far = torch.maximum(near, enter), torch.minimum(far, leave)
    return near, far


def _cylinder_span(
    rays: Rays, solid: torch.Tensor, table: SolidTable
) -> tuple[torch.Tensor, torch.Tensor]:
    return cylinder_span(rays, table.get('hx', solid), table.get('hz', solid))


def _ellipsoid_span(
    rays: Rays, solid: torch.Tensor, table: SolidTable
) -> tuple[torch.Tensor, torch.Tensor]:
    hx, hy, hz = (table.get(name, solid) for name in ('hx', 'hy', 'hz'))
    return ellipsoid(rays, (hx, hy, hz))


_SPANS = {
    Shape.FRUSTUM: _frustum_span,
    Shape.CYLINDER: _cylinder_span,
    Shape.ELLIPSOID: _ellipsoid_span,
}
