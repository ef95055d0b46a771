# SPDX-License-Identifier: Apache-2.0
"""Renders pictures of a world with their exact depth: ray casting, then deferred colouring."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from monodepth2_training.world.lens import Lens
from monodepth2_training.world.motion_blur import paths_px, smeared
from monodepth2_training.world.moving_shadows import Sunlight
from monodepth2_training.world.painting import Painter
from monodepth2_training.world.raycast import cast
from monodepth2_training.world.scene import Scene
from monodepth2_training.world.snapshot import Snapshot, take_snapshot
from monodepth2_training.world.sunlight import SunMap
from monodepth2_training.world.surface import View
from monodepth2_training.world.textures import shared_textures
from monodepth2_training.world.tracing import Hits


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """A picture and its truth, on the renderer's device."""

    radiance: torch.Tensor
    """float32[H, W, 3] linear RGB, about 0 to 1, before the sensor."""
    depth_m: torch.Tensor
    """float32[H, W] camera z in metres at the pixel centres; +Inf in the sky (REP 117)."""
    instance: torch.Tensor
    """int64[H, W]: 0 the sky, 1 the ground, then one number an object."""


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """When and from where a picture is taken."""

    time_s: float
    """Middle of the exposure: where the traffic is."""
    T_camera_to_world: NDArray[np.float64]
    """[4, 4] points of the camera's optical frame into the world, then."""
    shutter_s: float = 0.0
    """Length of the exposure."""
    T_end_to_world: NDArray[np.float64] | None = None
    """[4, 4] the camera's pose at the end of the exposure; None for a sharp picture."""


class Renderer:
    """Renders one scene; textures and shadows are made once."""

    def __init__(self, scene: Scene, device: torch.device) -> None:
        """Prepare ``scene`` on ``device``."""
        self._scene, self._device = scene, device
        self._textures = shared_textures(scene.seed, device)
        self._sun = SunMap(scene, self._textures, device)

    @torch.inference_mode()
    def render(self, lens: Lens, exposure: Exposure) -> Rendering:
        """What a camera of H x W pixels sees during an exposure; truth is that of its middle."""
        T_camera_to_world, camera = exposure.T_camera_to_world, lens.camera
        moment = take_snapshot(self._scene, float(T_camera_to_world[0, 3]), exposure.time_s)
        rays, hits = cast(
            moment,
            camera,
            T_camera_to_world,
            self._textures,
            self._device,
            lens if lens.bends else None,
        )
        view = View.of(camera, T_camera_to_world, rays)
        painter = Painter(
            moment,
            self._scene.light,
            self._textures,
            self._sunlight(moment, T_camera_to_world[:3, 3]),
            self._device,
        )
        colours = painter.radiance(view, hits).reshape(3, camera.height, camera.width)
        radiance = soften_outlines(colours, hits.surface).permute(1, 2, 0)
        if exposure.T_end_to_world is not None:
            moved_m = self._moved_m(moment, hits, 0.5 * exposure.shutter_s)
            across, down = paths_px(
                rays, hits.t, moved_m, lens, T_camera_to_world, exposure.T_end_to_world
            )
            radiance = smeared(radiance, 2.0 * across, 2.0 * down)
        numbers = np.concatenate([moment.solids.instance, [0, 1]])
        return Rendering(
            radiance=radiance,
            depth_m=hits.t,
            instance=torch.from_numpy(numbers).to(self._device)[hits.surface],
        )

    def _sunlight(self, moment: Snapshot, eye: NDArray[np.float64]) -> Sunlight:
        casters = moment.moving if self._scene.moving_shadows else ()
        return Sunlight(self._sun, casters, self._scene.light, eye, self._device)

    def _moved_m(self, moment: Snapshot, hits: Hits, seconds: float) -> torch.Tensor | None:
        """How far what each pixel sees moves in some seconds, float32[H, W, 3]."""
        if not moment.movers:
            return None
        # Sky and ground are the last two: -2 and -1.
        moved = np.concatenate([moment.displacements_m(seconds), np.zeros((2, 3))])
        return torch.from_numpy(moved.astype(np.float32)).to(self._device)[hits.surface]


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
