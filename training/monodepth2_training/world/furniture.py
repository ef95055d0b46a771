# SPDX-License-Identifier: Apache-2.0
"""Small things on the pavement: trees, lamps, signs, traffic lights and people, as parts.

Every function returns the solids of one object in the object's own axes: x along the street, y to
its left, z up, origin on the ground.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from monodepth2_training.world.sign_look import SignKind
from monodepth2_training.world.solids import Material, Shape, Solid

Colour = tuple[float, float, float]

CROWNS: tuple[Colour, ...] = (
    (0.14, 0.21, 0.06),
    (0.19, 0.25, 0.07),
    (0.11, 0.18, 0.07),
    (0.24, 0.25, 0.07),
)
CLOTHES: tuple[Colour, ...] = (
    (0.05, 0.06, 0.09),
    (0.36, 0.07, 0.06),
    (0.10, 0.16, 0.30),
    (0.40, 0.38, 0.33),
    (0.16, 0.20, 0.12),
)
SIGNS: tuple[Colour, ...] = ((0.55, 0.06, 0.05), (0.05, 0.15, 0.45), (0.62, 0.60, 0.55))

_STEEL = (0.20, 0.22, 0.22)


def pole(height: float, radius: float, colour: Colour, instance: int) -> Solid:
    """An upright cylinder on the ground."""
    return Solid(
        shape=Shape.CYLINDER,
        centre=(0.0, 0.0, height / 2),
        half=(radius, radius, height / 2),
        colour=colour,
        instance=instance,
    )


def tree(rng: np.random.Generator, instance: int) -> list[Solid]:
    """A trunk and a crown of several blobs."""
    size = float(rng.uniform(0.75, 1.25))
    trunk = 2.6 * size + 0.4
    stem = pole(trunk + 0.8, 0.15 * size, (0.17, 0.13, 0.09), instance)
    parts = [replace(stem, material=Material.BARK)]
    colour = varied(rng, CROWNS)
    for _ in range(int(rng.integers(4, 7))):
        x, y, z = (rng.normal(0.0, 0.75, 3) * size).tolist()
        a, b, c = (rng.uniform(0.95, 1.6, 3) * size).tolist()
        blob = Solid(
            shape=Shape.ELLIPSOID,
            centre=(x, 0.8 * y, trunk + 1.5 * size + 0.8 * z),
            half=(a, b, 0.85 * c),
            material=Material.FOLIAGE,
            colour=colour,
            seed=int(rng.integers(0, 1 << 16)),
            instance=instance,
        )
        parts.append(blob)
    return parts


def bush(rng: np.random.Generator, instance: int) -> list[Solid]:
    """A low round bush."""
    a, b, c = rng.uniform(0.5, 0.95, 3).tolist()
    return [
        Solid(
            shape=Shape.ELLIPSOID,
            centre=(0.0, 0.0, 0.6 * c),
            half=(a, b, c),
            material=Material.FOLIAGE,
            colour=varied(rng, CROWNS),
            seed=int(rng.integers(0, 1 << 16)),
            instance=instance,
        )
    ]


def lamp(side: float, instance: int) -> list[Solid]:
    """A street lamp whose arm reaches over the road, which lies to the ``-side`` of it."""
    post = pole(6.6, 0.075, _STEEL, instance)
    arm = replace(
        post, shape=Shape.FRUSTUM, centre=(0.0, -side * 0.9, 6.6), half=(0.06, 1.0, 0.05)
    )
    head = replace(
        arm, centre=(0.0, -side * 1.8, 6.55), half=(0.14, 0.4, 0.09), colour=(0.5, 0.5, 0.48)
    )
    return [post, arm, head]


def sign(rng: np.random.Generator, instance: int) -> list[Solid]:
    """A traffic sign that faces along the street."""
    post = pole(2.6, 0.04, (0.45, 0.46, 0.47), instance)
    board = replace(
        post,
        shape=Shape.FRUSTUM,
        centre=(0.0, 0.0, 2.3),
        half=(0.03, 0.32, 0.32),
        colour=varied(rng, SIGNS),
    )
    inner = replace(board, half=(0.04, 0.22, 0.13), colour=(0.66, 0.65, 0.62))
    return [post, board, inner]


_BOARDS = {
    SignKind.PROHIBITION: (Shape.ELLIPSOID, 0.34, 0.34),
    SignKind.MANDATORY: (Shape.ELLIPSOID, 0.32, 0.32),
    SignKind.WARNING: (Shape.FRUSTUM, 0.45, 0.39),
    SignKind.STOP: (Shape.ELLIPSOID, 0.42, 0.42),
    SignKind.PARKING: (Shape.FRUSTUM, 0.32, 0.32),
    SignKind.NAME: (Shape.FRUSTUM, 0.60, 0.16),
}


def traffic_sign(rng: np.random.Generator, facing: float, instance: int) -> list[Solid]:
    """A sign with a face to read for whoever comes from the side ``facing`` (1 or -1) of x."""
    kind = SignKind(int(rng.integers(len(SignKind))))
    shape, half_y, half_z = _BOARDS[kind]
    size, height = float(rng.uniform(0.9, 1.25)), float(rng.uniform(2.2, 2.9))
    post = pole(height, 0.035, (0.45, 0.46, 0.47), instance)
    board = replace(
        post,
        shape=shape,
        centre=(facing * 0.05, 0.0, height),
        half=(0.02, half_y * size, half_z * size),
        taper=(0.0, half_y / (2 * half_z)) if kind == SignKind.WARNING else (0.0, 0.0),
        material=Material.SIGN,
        detail=(float(kind), facing, 0.0, 0.0),
    )
    return [post, board]


def traffic_light(side: float, facing: float, instance: int) -> list[Solid]:
    """A traffic light; ``facing`` is 1 if its lamps look along +x, -1 along -x."""
    post = pole(3.4, 0.06, _STEEL, instance)
    box = replace(
        post,
        shape=Shape.FRUSTUM,
        centre=(0.0, -side * 0.15, 2.9),
        half=(0.13, 0.16, 0.48),
        colour=(0.03, 0.03, 0.03),
    )
    lamps = [
        replace(
            box,
            centre=(facing * 0.1, -side * 0.15, 2.9 + dz),
            half=(0.06, 0.09, 0.09),
            colour=colour,
        )
        for dz, colour in (
            (0.3, (0.9, 0.05, 0.03)),
            (0.0, (0.10, 0.07, 0.01)),
            (-0.3, (0.01, 0.08, 0.03)),
        )
    ]
    return [post, box, *lamps]


def person(rng: np.random.Generator, instance: int) -> list[Solid]:
    """Somebody who stands on the pavement."""
    size = float(rng.uniform(0.92, 1.08))
    legs = pole(0.85 * size, 0.13, varied(rng, CLOTHES), instance)
    coat = replace(
        legs,
        shape=Shape.ELLIPSOID,
        centre=(0.0, 0.0, 1.12 * size),
        half=(0.17, 0.25, 0.40 * size),
        colour=varied(rng, CLOTHES),
    )
    head = replace(
        coat, centre=(0.0, 0.0, 1.62 * size), half=(0.10, 0.09, 0.13), colour=(0.42, 0.28, 0.20)
    )
    return [legs, coat, head]


def varied(rng: np.random.Generator, colours: tuple[Colour, ...]) -> Colour:
    """One of the colours, a little lighter, darker or tinted."""
    chosen = np.array(colours[int(rng.integers(len(colours)))])
    tinted = chosen * rng.uniform(0.85, 1.15) * rng.uniform(0.96, 1.04, 3)
    red, green, blue = tinted.tolist()
    return red, green, blue
