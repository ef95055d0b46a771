# SPDX-License-Identifier: Apache-2.0
"""Renders pictures of a world with their exact depth: ray casting, then deferred colouring."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from monodepth2_ros.geometry.camera import PinholeCamera
from monodepth2_training.world.painting import Painter
from monodepth2_training.world.raycast import cast
from monodepth2_training.world.scene import Scene
from monodepth2_training.world.snapshot import take_snapshot
from monodepth2_training.world.sunlight import SunMap
from monodepth2_training.world.surface import View
from monodepth2_training.world.textures import TextureStack


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
        moment = take_snapshot(self._scene, float(T_camera_to_world[0, 3]), time_s)
        rays, hits = cast(moment, camera, T_camera_to_world, self._textures, self._device)
        view = View.of(camera, T_camera_to_world, rays)
        painter = Painter(moment, self._scene.light, self._textures, self._sun, self._device)
        colours = painter.radiance(view, hits).reshape(3, camera.height, camera.width)
        numbers = np.concatenate([moment.solids.instance, [0, 1]])
        return Rendering(
            radiance=soften_outlines(colours, hits.surface).permute(1, 2, 0),
            depth_m=hits.t,
            instance=torch.from_numpy(numbers).to(self._device)[hits.surface],
        )


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
