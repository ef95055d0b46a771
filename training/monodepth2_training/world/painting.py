# SPDX-License-Identifier: Apache-2.0
"""Colours what the rays have hit: reflectance of each material, sunlight and shadow, haze."""

from __future__ import annotations

import numpy as np
import torch

from monodepth2_training.world import facade_look, object_look, sign_look
from monodepth2_training.world.ground_look import ground_albedo
from monodepth2_training.world.moving_shadows import Sunlight
from monodepth2_training.world.patterns import mix, rgb
from monodepth2_training.world.scene import Light
from monodepth2_training.world.sky_look import sky_radiance
from monodepth2_training.world.snapshot import Snapshot
from monodepth2_training.world.solids import Material, Solids
from monodepth2_training.world.surface import (
    SolidTable,
    SurfacePoints,
    View,
    plane_extent,
    solid_points,
)
from monodepth2_training.world.textures import TextureStack
from monodepth2_training.world.tracing import GROUND, SKY, Hits, pavement_side

_BLOB_WITHIN_M, _BLOB_WITHIN_SIZES = 90.0, 100.0
_PATCH_M = 0.5

_LOOKS = {
    Material.FACADE: facade_look.facade_albedo,
    Material.ROOF: facade_look.roof_albedo,
    Material.CAR_BODY: object_look.car_body_albedo,
    Material.CAR_CABIN: object_look.car_cabin_albedo,
    Material.FOLIAGE: object_look.foliage_albedo,
    Material.PAINTED: object_look.plain_albedo,
    Material.BARK: object_look.plain_albedo,
    Material.SIGN: sign_look.sign_albedo,
}


class Painter:
    """Paints one moment of a world."""

    def __init__(
        self,
        moment: Snapshot,
        light: Light,
        textures: TextureStack,
        sun: Sunlight,
        device: torch.device,
    ) -> None:
        """Prepare to paint ``moment`` under ``light``."""
        self._moment, self._sunlight, self._device = moment, light, device
        self._textures, self._sun = textures, sun
        self._table = SolidTable(moment.solids, device)

    def radiance(self, view: View, hits: Hits) -> torch.Tensor:
        """Linear RGB of all pixels, float32[3, H*W], where the rays of ``view`` hit."""
        t, surface = hits.t.reshape(-1), hits.surface.reshape(-1)
        radiance = torch.empty((3, len(t)), device=self._device)
        sky = (surface == SKY).nonzero(as_tuple=True)[0]
        far = sky_radiance(
            *view.directions(sky),
            pixel_angle=float(np.linalg.norm(view.right)),
            light=self._sunlight,
            textures=self._textures,
        )
        radiance.index_copy_(1, sky, far)
        ground = (surface == GROUND).nonzero(as_tuple=True)[0]
        below = self._ground(ground, t.index_select(0, ground), view)
        radiance.index_copy_(1, ground, below)
        solid = (surface >= 0).nonzero(as_tuple=True)[0]
        depth = t.index_select(0, solid)
        points = solid_points(solid, surface.index_select(0, solid), depth, view, self._table)
        radiance.index_copy_(1, solid, self._lit(points, self._albedo(points), depth))
        return radiance

    def _ground(self, pixel: torch.Tensor, t: torch.Tensor, view: View) -> torch.Tensor:
        dx, dy, dz = view.directions(pixel)
        x, y, z = view.origin[0] + t * dx, view.origin[1] + t * dy, view.origin[2] + t * dz
        path, layout = self._moment.path, self._moment.layout
        up = (0.0, 0.0, 1.0)
        du = plane_extent((1.0, 0.0, 0.0), up, (dx, dy, dz), t, view)
        dv = plane_extent((0.0, 1.0, 0.0), up, (dx, dy, dz), t, view)
        side = pavement_side(path, layout, x, y)
        albedo = ground_albedo(x, path.lateral(x, y), side, du, dv, layout, self._textures)
        shade = self._sun.lit(x, y, z)
        for parts in self._moment.moving:
            within_m = min(_BLOB_WITHIN_M, _BLOB_WITHIN_SIZES * float(parts.half[0, 0]))
            if float(np.hypot(*(parts.centre[0] - view.origin)[:2])) > within_m:
                continue
            below = _near(parts, x, y)
            cover = _shadow_below(parts, x[below], y[below])
            albedo[:, below] *= 1 - 0.45 * cover
            if not self._sun.moves:
                shade[below] *= 1 - cover
        light = self._light(self._sunlight.to_sun[2] * shade, torch.ones_like(x))
        return self._haze(albedo * light, t)

    def _albedo(self, points: SurfacePoints) -> torch.Tensor:
        material = self._table.get('material', points.solid)
        albedo = torch.empty((3, len(material)), device=self._device)
        for kind, look in _LOOKS.items():
            chosen = (material == float(kind)).nonzero(as_tuple=True)[0]
            albedo.index_copy_(1, chosen, look(points.part(chosen), self._table, self._textures))
        return albedo

    def _lit(self, points: SurfacePoints, albedo: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        nx, ny, nz = points.normal
        sx, sy, sz = self._sunlight.to_sun
        facing = (nx * sx + ny * sy + nz * sz).clamp(min=0.0)
        # A little off the surface, so that it does not shade itself.
        reach = 0.25
        lit = self._sun.lit(points.x + reach * nx, points.y + reach * ny, points.z + reach * nz)
        radiance = albedo * self._light(facing * lit, 0.72 + 0.28 * nz)
        if self._sunlight.lit_windows:
            self._add_lamps(radiance, points)
        return self._haze(radiance, t)

    def _add_lamps(self, radiance: torch.Tensor, points: SurfacePoints) -> None:
        """Add to float32[3, N] what shines by itself."""
        material = self._table.get('material', points.solid)
        walls, cars = (
            (material == float(kind)).nonzero(as_tuple=True)[0]
            for kind in (Material.FACADE, Material.CAR_BODY)
        )
        share = self._sunlight.lit_windows
        windows = facade_look.facade_glow(points.part(walls), self._table, share)
        radiance.index_add_(1, walls, windows)
        lamps = object_look.car_body_glow(points.part(cars), self._table)
        radiance.index_add_(1, cars, lamps)

    def _light(self, sun: torch.Tensor, sky: torch.Tensor) -> torch.Tensor:
        light = self._sunlight
        return rgb(*light.sun_colour, sun) * sun + rgb(*light.sky_colour, sun) * sky

    def _haze(self, radiance: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        light = self._sunlight
        return mix(radiance, rgb(*light.horizon_colour, t), 1 - torch.exp(-t / light.haze_m))


def _near(parts: Solids, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Which points can lie in the soft shadow below a car, int64[M]."""
    cx, cy, _ = parts.centre[0].tolist()
    reach = float(np.linalg.norm(parts.half[0, :2])) + _PATCH_M
    near: torch.Tensor = ((x - cx).abs() < reach) & ((y - cy).abs() < reach)
    return near.nonzero()[:, 0]


def _shadow_below(parts: Solids, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Soft shadow on the ground below a car, float32[N] in [0, 1]."""
    cx, cy, _ = parts.centre[0].tolist()
    yaw, (hx, hy, _) = float(parts.yaw[0]), parts.half[0].tolist()
    cos, sin = float(np.cos(yaw)), float(np.sin(yaw))
    forward = ((x - cx) * cos + (y - cy) * sin).abs() - hx
    left = ((y - cy) * cos - (x - cx) * sin).abs() - hy
    outside = torch.hypot(forward.clamp(min=0.0), left.clamp(min=0.0))
    return (1 - outside / _PATCH_M).clamp(min=0.0)
