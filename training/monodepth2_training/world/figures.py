# SPDX-License-Identifier: Apache-2.0
"""Figures of people, who stand or walk: trunk, head with hair, arms and legs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from monodepth2_training.world.furniture import CLOTHES, Colour, varied
from monodepth2_training.world.solids import Shape, Solid

TROUSERS: tuple[Colour, ...] = (
    (0.03, 0.04, 0.08),
    (0.04, 0.04, 0.04),
    (0.18, 0.15, 0.11),
    (0.09, 0.10, 0.12),
)
SKINS: tuple[Colour, ...] = ((0.50, 0.33, 0.24), (0.38, 0.23, 0.15), (0.18, 0.10, 0.06))
HAIRS: tuple[Colour, ...] = ((0.02, 0.015, 0.01), (0.09, 0.05, 0.02), (0.30, 0.22, 0.12))

_LEG_SWING_M, _ARM_SWING_M = 0.16, 0.13


def figure(rng: np.random.Generator, instance: int) -> tuple[list[Solid], list[float]]:
    """Somebody, children among them, who looks along x.

    Returns:
        the parts, the trunk first, and how far in metres each swings forward in a stride.
    """
    size, wide = float(rng.uniform(0.68, 1.08)), float(rng.uniform(0.85, 1.2))
    trunk = Solid(
        shape=Shape.ELLIPSOID,
        centre=(0.0, 0.0, 1.16 * size),
        half=(0.15 * wide, 0.21 * wide, 0.36 * size),
        colour=varied(rng, CLOTHES),
        instance=instance,
    )
    hips = replace(
        trunk,
        shape=Shape.FRUSTUM,
        centre=(0.0, 0.0, 0.87 * size),
        half=(0.11 * wide, 0.16 * wide, 0.12 * size),
        colour=varied(rng, TROUSERS),
    )
    face = replace(
        trunk,
        centre=(0.02, 0.0, 1.62 * size),
        half=(0.095, 0.08, 0.125),
        colour=varied(rng, SKINS),
    )
    hair = replace(
        face,
        centre=(-0.02, 0.0, 1.66 * size),
        half=(0.10, 0.09, 0.115),
        colour=varied(rng, HAIRS),
    )
    parts, swing = [trunk, hips, face, hair], [0.0, 0.0, 0.0, 0.0]
    for side in (1.0, -1.0):
        leg = replace(
            hips,
            shape=Shape.CYLINDER,
            centre=(0.0, side * 0.09 * wide, 0.42 * size),
            half=(0.07 * wide, 0.07 * wide, 0.42 * size),
        )
        arm = replace(
            trunk,
            centre=(0.0, side * 0.25 * wide, 1.12 * size),
            half=(0.06, 0.055, 0.31 * size),
        )
        parts += [leg, arm]
        swing += [side * _LEG_SWING_M * size, -side * _ARM_SWING_M * size]
    return parts, swing
