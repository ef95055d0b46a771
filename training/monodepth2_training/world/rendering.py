# SPDX-License-Identifier: Apache-2.0
"""Renders pictures of a world with their exact depth: ray casting, then deferred colouring."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from monodepth2_ros.geometry.camera import PinholeCamera
from monodepth2_training.world import facade_look, object_look
from monodepth2_training.world.ground_look import ground_albedo
from monodepth2_training.world.patterns import mix, rgb
from monodepth2_training.world.raycast import cast
from monodepth2_training.world.scene import Scene
from monodepth2_training.world.sky_look import HAZE, sky_radiance
from monodepth2_training.world.solids import Material, Solids
from monodepth2_training.world.sunlight import SunMap
from monodepth2_training.world.surface import (
    SolidTable,
    SurfacePoints,
    View,
    plane_extent,
    solid_points,
)
from monodepth2_training.world.textures import TextureStack
from monodepth2_training.world.tracing import GROUND, SKY, Hits, pavement_side
from monodepth2_training.world.traffic import vehicle_solids

_BLOB_WITHIN_M = 90.0

_LOOKS = {
    Material.FACADE: facade_look.facade_albedo,
    Material.ROOF: facade_look.roof_albedo,
    Material.CAR_BODY: object_look.car_body_albedo,
    Material.CAR_CABIN: object_look.car_cabin_albedo,
    Material.FOLIAGE: object_look.foliage_albedo,
    Material.PAINTED: object_look.plain_albedo,
    Material.BARK: object_look.plain_albedo,
}


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """A picture and its truth, on the renderer's device."""

    radiance: torch.Tensor
    """float32[H, W, 3] linear RGB, about 0 to 1, before the sensor."""
    depth_m: torch.Tensor
    """float32[H, W] camera z in metres at the pixel centres; +Inf in the sky (REP 117)."""
    instance: torch.Tensor
    """int64[H, W]: 0 the sky, 1 the ground, then one number an object."""


class Renderer:
    """Renders one scene; textures and shadows are made once."""

    def __init__(self, scene: Scene, device: torch.device) -> None:
        """Prepare ``scene`` on ``device``."""
        self._scene, self._device = scene, device
        self._textures = TextureStack(scene.seed, device)
        self._sun = SunMap(scene, self._textures, device)

    @torch.inference_mode()
    def render(
        self, camera: PinholeCamera, T_camera_to_world: NDArray[np.float64], time_s: float
    ) -> Rendering:
        """What a camera sees at a time.

        Args:
            camera: the picture, H x W pixels.
            T_camera_to_world: float64[4, 4], points of the camera's optical frame into the world.
            time_s: where the traffic is.
        """
        solids = self._solids_at(time_s)
        rays, hits = cast(
            self._scene, solids, camera, T_camera_to_world, self._textures, self._device
        )
        view = View.of(camera, T_camera_to_world, rays)
        colours = self._colour(view, hits, SolidTable(solids, self._device), time_s)
        radiance = soften_outlines(colours.reshape(3, camera.height, camera.width), hits.surface)
        instances = torch.from_numpy(np.concatenate([solids.instance, [0, 1]])).to(self._device)
        return Rendering(
            radiance=radiance.permute(1, 2, 0),
            depth_m=hits.t,
            instance=instances[hits.surface],
        )

    def _solids_at(self, time_s: float) -> Solids:
        solids = self._scene.solids
        for vehicle in self._scene.vehicles:
            solids = solids.joined(vehicle_solids(vehicle, time_s))
        return solids

    def _colour(self, view: View, hits: Hits, table: SolidTable, time_s: float) -> torch.Tensor:
        """Linear radiance of all pixels, float32[3, H*W]."""
        t, surface = hits.t.reshape(-1), hits.surface.reshape(-1)
        radiance = torch.empty((3, len(t)), device=self._device)
        sky = (surface == SKY).nonzero(as_tuple=True)[0]
        far = sky_radiance(
            *view.directions(sky),
            pixel_angle=float(np.linalg.norm(view.right)),
            cloud_cover=self._scene.light.cloud_cover,
            textures=self._textures,
        )
        radiance.index_copy_(1, sky, far)
        ground = (surface == GROUND).nonzero(as_tuple=True)[0]
        below = self._ground(ground, t.index_select(0, ground), view, time_s)
        radiance.index_copy_(1, ground, below)
        solid = (surface >= 0).nonzero(as_tuple=True)[0]
        depth = t.index_select(0, solid)
        points = solid_points(solid, surface.index_select(0, solid), depth, view, table)
        radiance.index_copy_(1, solid, self._lit(points, self._albedo(points, table), depth))
        return radiance

    def _ground(
        self, pixel: torch.Tensor, t: torch.Tensor, view: View, time_s: float
    ) -> torch.Tensor:
        dx, dy, dz = view.directions(pixel)
        x, y, z = view.origin[0] + t * dx, view.origin[1] + t * dy, view.origin[2] + t * dz
        path, layout = self._scene.path, self._scene.layout
        up = (0.0, 0.0, 1.0)
        du = plane_extent((1.0, 0.0, 0.0), up, (dx, dy, dz), t, view)
        dv = plane_extent((0.0, 1.0, 0.0), up, (dx, dy, dz), t, view)
        side = pavement_side(path, layout, x, y)
        albedo = ground_albedo(x, path.lateral(x, y), side, du, dv, layout, self._textures)
        shade = self._sun.lit(x, y, z)
        for vehicle in self._scene.vehicles:
            parts = vehicle_solids(vehicle, time_s)
            if float(np.hypot(*(parts.centre[0] - view.origin)[:2])) > _BLOB_WITHIN_M:
                continue
            cover = _shadow_below(parts, x, y)
            shade, albedo = shade * (1 - cover), albedo * (1 - 0.45 * cover)
        light = self._light(self._scene.light.to_sun[2] * shade, torch.ones_like(x))
        return self._haze(albedo * light, t)

    def _albedo(self, points: SurfacePoints, table: SolidTable) -> torch.Tensor:
        material = table.get('material', points.solid)
        albedo = torch.empty((3, len(material)), device=self._device)
        for kind, look in _LOOKS.items():
            chosen = (material == float(kind)).nonzero(as_tuple=True)[0]
            albedo.index_copy_(1, chosen, look(points.part(chosen), table, self._textures))
        return albedo

    def _lit(self, points: SurfacePoints, albedo: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        nx, ny, nz = points.normal
        sx, sy, sz = self._scene.light.to_sun
        facing = (nx * sx + ny * sy + nz * sz).clamp(min=0.0)
        # A little off the surface, so that it does not shade itself.
        reach = 0.25
        lit = self._sun.lit(points.x + reach * nx, points.y + reach * ny, points.z + reach * nz)
        light = self._light(facing * lit, 0.72 + 0.28 * nz)
        return self._haze(albedo * light, t)

    def _light(self, sun: torch.Tensor, sky: torch.Tensor) -> torch.Tensor:
        light = self._scene.light
        return rgb(*light.sun_colour, sun) * sun + rgb(*light.sky_colour, sun) * sky

    def _haze(self, radiance: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return mix(radiance, rgb(*HAZE, t), 1 - torch.exp(-t / self._scene.light.haze_m))


def soften_outlines(radiance: torch.Tensor, surface: torch.Tensor) -> torch.Tensor:
    """Blend pixels beside an outline with their neighbours, as a lens and a pixel's area do.

    Args:
        radiance: float32[3, H, W].
        surface: int64[H, W], the surface seen at each pixel's centre.
    """
    edge = torch.zeros_like(surface, dtype=torch.bool)
    across, along = surface[:, 1:] != surface[:, :-1], surface[1:] != surface[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= along
    edge[:-1] |= along
    padded = torch.nn.functional.pad(radiance[None], (1, 1, 1, 1), mode='replicate')[0]
    rows = 0.25 * (padded[:, :-2] + padded[:, 2:]) + 0.5 * padded[:, 1:-1]
    blurred = 0.25 * (rows[..., :-2] + rows[..., 2:]) + 0.5 * rows[..., 1:-1]
    return torch.where(edge, blurred, radiance)


def _shadow_below(parts: Solids, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Soft shadow on the ground below a car, float32[N] in [0, 1]."""
    cx, cy, _ = parts.centre[0].tolist()
    yaw, (hx, hy, _) = float(parts.yaw[0]), parts.half[0].tolist()
    cos, sin = float(np.cos(yaw)), float(np.sin(yaw))
    forward = ((x - cx) * cos + (y - cy) * sin).abs() - hx
    left = ((y - cy) * cos - (x - cx) * sin).abs() - hy
    outside = torch.hypot(forward.clamp(min=0.0), left.clamp(min=0.0))
    return (1 - outside / 0.5).clamp(min=0.0)
