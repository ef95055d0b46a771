# SPDX-License-Identifier: Apache-2.0
"""Houses as parts: walls with windows, a cornice, and a flat, gabled or hipped roof.

The solids are in the house's own axes: x along its front, y across, z up, origin on the ground.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from monodepth2_training.world.furniture import Colour, varied
from monodepth2_training.world.solids import Material, Shape, Solid

WALLS: tuple[Colour, ...] = (
    (0.70, 0.60, 0.44),
    (0.72, 0.67, 0.57),
    (0.52, 0.29, 0.20),
    (0.44, 0.24, 0.17),
    (0.64, 0.47, 0.29),
    (0.52, 0.50, 0.47),
    (0.66, 0.52, 0.43),
    (0.43, 0.44, 0.43),
    (0.70, 0.60, 0.34),
    (0.55, 0.60, 0.56),
)
TRIMS: tuple[Colour, ...] = ((0.80, 0.78, 0.74), (0.72, 0.69, 0.62), (0.30, 0.28, 0.26))
ROOFS: tuple[Colour, ...] = ((0.26, 0.13, 0.09), (0.16, 0.16, 0.17), (0.31, 0.18, 0.12))


@dataclass(frozen=True, kw_only=True)
class House:
    """One house."""

    parts: tuple[Solid, ...]
    """Walls, cornice and roof."""
    depth_m: float
    """From front to back."""


def house(rng: np.random.Generator, width_m: float, instance: int) -> House:
    """Draw a house of two to four storeys, ``width_m`` along the street."""
    storeys, storey = int(rng.choice([2, 3, 3, 4, 4])), float(rng.uniform(2.9, 3.4))
    height, depth = storeys * storey + 0.7, float(rng.uniform(9.0, 13.0))
    walls = Solid(
        shape=Shape.FRUSTUM,
        centre=(0.0, 0.0, height / 2),
        half=(width_m / 2, depth / 2, height / 2),
        material=Material.FACADE,
        colour=varied(rng, WALLS),
        trim=varied(rng, TRIMS),
        detail=(
            float(rng.uniform(2.1, 3.3)),
            storey,
            float(rng.uniform(0.38, 0.60)),
            float(rng.integers(0, 4)),
        ),
        seed=int(rng.integers(0, 1 << 16)),
        instance=instance,
    )
    return House(parts=(walls, *_roof(rng, walls, height)), depth_m=depth)


def _roof(rng: np.random.Generator, walls: Solid, height: float) -> list[Solid]:
    half_x, half_y, _ = walls.half
    cornice = replace(
        walls,
        centre=(0.0, 0.0, height + 0.15),
        half=(half_x + 0.02, half_y + 0.35, 0.15),
        material=Material.PAINTED,
        colour=walls.trim,
    )
    if rng.random() < 0.35:
        return [cornice]
    rise, hipped = float(rng.uniform(2.2, 4.0)), bool(rng.random() < 0.3)
    tiles = replace(
        walls,
        centre=(0.0, 0.0, height + 0.3 + rise / 2),
        half=(half_x, half_y + 0.25, rise / 2),
        taper=(1.0 if hipped else 0.0, (half_y + 0.2) / rise),
        material=Material.ROOF,
        colour=varied(rng, ROOFS),
    )
    return [cornice, tiles]
