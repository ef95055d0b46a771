# SPDX-License-Identifier: Apache-2.0
"""Colours of the ground: asphalt with markings, kerb stones, paving and lawn."""

from __future__ import annotations

import torch

from monodepth2_training.world.patterns import band, mix, rgb, stripes
from monodepth2_training.world.scene import StreetLayout
from monodepth2_training.world.textures import Texture, TextureStack

_ZEBRA_FROM_M, _ZEBRA_TO_M = 1.2, 4.2
_STOP_LINE_M = 5.4
_KERB_STONE_M = 0.22


def ground_albedo(
    x: torch.Tensor,
    lateral: torch.Tensor,
    side: torch.Tensor,
    du: torch.Tensor,
    dv: torch.Tensor,
    layout: StreetLayout,
    textures: TextureStack,
) -> torch.Tensor:
    """Colour of ground points.

    Args:
        x: float32[N] world x.
        lateral: float32[N] metres to the left of the centre line.
        side: float32[N] distance from the kerb, positive on the pavement.
        du: float32[N] extent of the pixel along the street.
        dv: float32[N] extent of the pixel across the street.
        layout: the street's cross section.
        textures: the texture stack.

    Returns:
        float32[3, N] linear reflectance.
    """
    lawn_from = layout.pavement_width_m + 0.3
    layer = torch.where(side > lawn_from, int(Texture.LEAVES), int(Texture.PAVING))
    layer = torch.where(side < 0, int(Texture.ASPHALT), layer)
    fine = textures.sample(layer, x, lateral, du, dv)
    broad = textures.sample(Texture.CLOUDS, x * 0.06, lateral * 0.1, du * 0.06, dv * 0.1)
    across = torch.minimum(dv, du)
    kerb = rgb(0.40, 0.39, 0.37, x) * (
        (0.7 + 0.6 * fine) * (1 - 0.5 * stripes(x, 1.0, 0.0, 0.025, du))
    )
    colour = mix(
        _road(x, lateral, du, dv, fine, broad, layout), kerb, band(side, 0.0, 1e4, across)
    )
    paving = rgb(0.35, 0.33, 0.30, x) * (0.25 + fine + 0.5 * broad)
    colour = mix(colour, paving, band(side, _KERB_STONE_M, 1e4, across))
    lawn = rgb(0.13, 0.17, 0.06, x) * (0.1 + 1.3 * fine + 0.5 * broad)
    return mix(colour, lawn, band(side, lawn_from, 1e4, across))


def _road(
    x: torch.Tensor,
    lateral: torch.Tensor,
    du: torch.Tensor,
    dv: torch.Tensor,
    fine: torch.Tensor,
    broad: torch.Tensor,
    layout: StreetLayout,
) -> torch.Tensor:
    worn = band((lateral.abs() - layout.lane_width_m / 2).abs(), 0.5, 0.95, dv + 0.35)
    gutter = band(layout.road_half_width_m - lateral.abs(), 0.0, 0.3, dv)
    tone = (0.30 + 0.95 * fine + 0.65 * broad - 0.16 * worn) * (1 - 0.25 * gutter)
    paint = _markings(x, lateral, du, dv, layout) * (0.45 + 0.9 * fine).clamp(max=1.0)
    return mix(rgb(0.120, 0.119, 0.121, x) * tone, rgb(0.60, 0.60, 0.57, x), paint)


def _markings(
    x: torch.Tensor,
    lateral: torch.Tensor,
    du: torch.Tensor,
    dv: torch.Tensor,
    layout: StreetLayout,
) -> torch.Tensor:
    """Share of paint: broken centre line, edges of parking bays, zebra crossings, stop lines."""
    centre = band(lateral, -0.07, 0.07, dv) * stripes(x, 7.5, 0.0, 3.0, du)
    bays = band(lateral.abs(), layout.lane_width_m - 0.05, layout.lane_width_m + 0.05, dv)
    paint = torch.maximum(centre, bays * stripes(x, 2.0, 0.0, 1.0, du))
    bars = stripes(lateral, 1.0, 0.0, 0.5, dv) * band(
        lateral.abs(), -1.0, layout.road_half_width_m - 0.3, dv
    )
    for crossing in layout.crossings_m:
        beyond = (x - crossing).abs() - layout.crossing_half_width_m
        paint = paint * band(beyond, _STOP_LINE_M, 1e4, du)
        zebra = band(beyond, _ZEBRA_FROM_M, _ZEBRA_TO_M, du) * bars
        approaching = band(lateral * torch.sign(x - crossing), 0.1, layout.lane_width_m, dv)
        stop = band(beyond, _STOP_LINE_M, _STOP_LINE_M + 0.4, du) * approaching
        paint = torch.maximum(paint, torch.maximum(zebra, stop))
    return paint
