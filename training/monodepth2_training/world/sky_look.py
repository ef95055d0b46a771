# SPDX-License-Identifier: Apache-2.0
"""The sky: bright and hazy at the horizon, blue above, with clouds."""

from __future__ import annotations

import torch

from monodepth2_training.world.patterns import mix, rgb
from monodepth2_training.world.scene import Light
from monodepth2_training.world.textures import Texture, TextureStack


def sky_radiance(
    dx: torch.Tensor,
    dy: torch.Tensor,
    dz: torch.Tensor,
    *,
    pixel_angle: float,
    light: Light,
    textures: TextureStack,
) -> torch.Tensor:
    """Colour of the sky in directions of any length.

    Args:
        dx: float32[N] world direction.
        dy: float32[N]
        dz: float32[N]
        pixel_angle: angle of a pixel in radians.
        light: colours of the sky, and its share of clouds.
        textures: the texture stack.

    Returns:
        float32[3, N] linear radiance.
    """
    azimuth = torch.atan2(dy, dx)
    elevation = torch.atan2(dz, torch.hypot(dx, dy))
    height = (elevation / 0.6).clamp(0.0, 1.0).pow(0.6)
    colour = mix(rgb(*light.horizon_colour, dx), rgb(*light.zenith_colour, dx), height)
    extent = torch.full_like(dx, pixel_angle)
    u, v = azimuth * 0.55, elevation * 1.5
    thick = textures.sample(Texture.CLOUDS, u, v, extent * 0.55, extent * 1.5)
    thin = textures.sample(Texture.CLOUDS, u * 2.7 + 0.3, v * 2.7, extent * 1.5, extent * 4.0)
    density = ((0.75 * thick + 0.25 * thin - (0.72 - 0.5 * light.cloud_cover)) / 0.22).clamp(
        0.0, 1.0
    )
    density = density * density * (3 - 2 * density)
    cloud = rgb(*light.cloud_colour, dx) * (1.06 - 0.38 * density * thin)
    return mix(colour, cloud, 0.9 * density)
