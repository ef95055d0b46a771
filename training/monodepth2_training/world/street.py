# SPDX-License-Identifier: Apache-2.0
"""Builds the street: houses, trees, lamps, signs and parked cars on both sides, from a seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from monodepth2_training.world.path import StreetPath
from monodepth2_training.world.scene import StreetLayout
from monodepth2_training.world.solids import Material, Shape, Solid
from monodepth2_training.world.traffic import MODELS, PAINTS, car_parts, placed

Colour = tuple[float, float, float]

WALLS: tuple[Colour, ...] = (
    (0.62, 0.55, 0.43),
    (0.66, 0.62, 0.54),
    (0.50, 0.30, 0.22),
    (0.42, 0.24, 0.18),
    (0.58, 0.45, 0.30),
    (0.47, 0.47, 0.46),
    (0.60, 0.50, 0.45),
    (0.38, 0.40, 0.42),
    (0.64, 0.57, 0.36),
)
ROOFS: tuple[Colour, ...] = ((0.24, 0.13, 0.10), (0.16, 0.16, 0.18), (0.29, 0.19, 0.14))
CROWNS: tuple[Colour, ...] = (
    (0.13, 0.20, 0.06),
    (0.17, 0.23, 0.07),
    (0.10, 0.17, 0.07),
    (0.21, 0.23, 0.07),
)


class StreetBuilder:
    """Collects the solids of a street; every object gets an instance number of its own."""

    def __init__(self, path: StreetPath, layout: StreetLayout, rng: np.random.Generator) -> None:
        """Start with an empty street; ``rng`` decides everything."""
        self.path, self.layout = path, layout
        self.solids: list[Solid] = []
        self.instances = 2
        self._rng = rng

    def build(self, start_m: float, end_m: float) -> list[Solid]:
        """Build both sides between two world x and return all solids."""
        for side in (1.0, -1.0):
            self._buildings(side, start_m, end_m)
            self._furniture(side, start_m, end_m)
            self._parked_cars(side, start_m, end_m)
        return self.solids

    def new_instance(self) -> int:
        """A number for the next object."""
        self.instances += 1
        return self.instances - 1

    def stand(
        self, part: Solid, along: float, lateral: float, *, z: float = 0.0, turn: float = 0.0
    ) -> None:
        """Put a solid, given in its object's axes, on the street, turned with it."""
        x, y = self.path.point(along, lateral)
        yaw = float(self.path.heading(along)) + turn
        self.solids.append(placed(part, float(x), float(y), z, yaw))

    def _near_crossing(self, along: float, margin: float) -> bool:
        reach = self.layout.crossing_half_width_m + margin
        return any(abs(along - crossing) < reach for crossing in self.layout.crossings_m)

    def _buildings(self, side: float, start: float, end: float) -> None:
        along = start
        while along < end:
            width = float(self._rng.uniform(9.0, 22.0))
            if self._near_crossing(along + width / 2, width / 2 + 2.0):
                along += 2.0
                continue
            self._building(side, along + width / 2, width)
            gap = self._rng.random() < 0.28
            along += width + (float(self._rng.uniform(3.0, 9.0)) if gap else 0.05)

    def _building(self, side: float, along: float, width: float) -> None:
        rng = self._rng
        storeys, storey = int(rng.integers(2, 6)), float(rng.uniform(2.9, 3.5))
        height, depth = storeys * storey + 0.7, float(rng.uniform(9.0, 13.0))
        setback = float(rng.choice([0.0, 0.0, 0.4, 1.5, 3.5]))
        front = self.layout.road_half_width_m + self.layout.pavement_width_m + setback
        lateral = side * (front + depth / 2)
        wall = _varied(rng, WALLS)
        house = Solid(
            shape=Shape.FRUSTUM,
            centre=(0.0, 0.0, height / 2),
            half=(width / 2, depth / 2, height / 2),
            material=Material.FACADE,
            colour=wall,
            trim=_varied(rng, ((0.78, 0.77, 0.74), (0.70, 0.68, 0.62), (0.30, 0.28, 0.26))),
            detail=(
                float(rng.uniform(2.1, 3.3)),
                storey,
                float(rng.uniform(0.38, 0.60)),
                float(rng.integers(0, 4)),
            ),
            seed=int(rng.integers(0, 1 << 16)),
            instance=self.new_instance(),
        )
        self.stand(house, along, lateral)
        self._roof(house, along, lateral, height)

    def _roof(self, house: Solid, along: float, lateral: float, height: float) -> None:
        half_x, half_y, _ = house.half
        cornice = replace(
            house,
            centre=(0.0, 0.0, height + 0.15),
            half=(half_x + 0.02, half_y + 0.35, 0.15),
            material=Material.PAINTED,
            colour=house.trim,
        )
        self.stand(cornice, along, lateral)
        if self._rng.random() < 0.4:
            return
        rise = float(self._rng.uniform(2.2, 4.2))
        roof = replace(
            house,
            centre=(0.0, 0.0, height + 0.3 + rise / 2),
            half=(half_x, half_y + 0.25, rise / 2),
            taper=(0.0 if self._rng.random() < 0.7 else 1.0, (half_y + 0.2) / rise),
            material=Material.ROOF,
            colour=_varied(self._rng, ROOFS),
        )
        self.stand(roof, along, lateral)

    def _furniture(self, side: float, start: float, end: float) -> None:
        kerb = self.layout.road_half_width_m
        along = start + float(self._rng.uniform(0.0, 10.0))
        while along < end:
            if not self._near_crossing(along, 3.0):
                kind = self._rng.random()
                if kind < 0.62:
                    self._tree(along, side * (kerb + float(self._rng.uniform(0.8, 1.1))))
                elif kind < 0.88:
                    self._lamp(along, side * (kerb + 0.5), side)
                else:
                    self._sign(along, side * (kerb + 0.45))
            along += float(self._rng.uniform(6.0, 13.0))

    def _tree(self, along: float, lateral: float) -> None:
        rng, number = self._rng, self.new_instance()
        size = float(rng.uniform(0.75, 1.2))
        trunk = 2.6 * size + 0.4
        self.stand(
            Solid(
                shape=Shape.CYLINDER,
                centre=(0.0, 0.0, trunk / 2 + 0.4),
                half=(0.15 * size, 0.15 * size, trunk / 2 + 0.4),
                material=Material.BARK,
                colour=(0.17, 0.13, 0.09),
                instance=number,
            ),
            along,
            lateral,
        )
        colour = _varied(rng, CROWNS)
        for _ in range(int(rng.integers(4, 7))):
            offset = rng.normal(0.0, 0.75, 3) * size
            radius = rng.uniform(0.95, 1.6, 3) * size
            blob = Solid(
                shape=Shape.ELLIPSOID,
                centre=(
                    float(offset[0]),
                    float(offset[1]) * 0.8,
                    trunk + 1.5 * size + float(offset[2]) * 0.8,
                ),
                half=(float(radius[0]), float(radius[1]), float(radius[2]) * 0.85),
                material=Material.FOLIAGE,
                colour=colour,
                seed=int(rng.integers(0, 1 << 16)),
                instance=number,
            )
            self.stand(blob, along, lateral)

    def _lamp(self, along: float, lateral: float, side: float) -> None:
        number, gray = self.new_instance(), (0.20, 0.22, 0.22)
        pole = Solid(
            shape=Shape.CYLINDER,
            centre=(0.0, 0.0, 3.3),
            half=(0.075, 0.075, 3.3),
            colour=gray,
            instance=number,
        )
        arm = replace(
            pole, shape=Shape.FRUSTUM, centre=(0.0, -side * 0.9, 6.6), half=(0.06, 1.0, 0.05)
        )
        head = replace(
            arm, centre=(0.0, -side * 1.8, 6.55), half=(0.14, 0.4, 0.09), colour=(0.5, 0.5, 0.48)
        )
        for part in (pole, arm, head):
            self.stand(part, along, lateral)

    def _sign(self, along: float, lateral: float) -> None:
        number = self.new_instance()
        pole = Solid(
            shape=Shape.CYLINDER,
            centre=(0.0, 0.0, 1.3),
            half=(0.04, 0.04, 1.3),
            colour=(0.45, 0.46, 0.47),
            instance=number,
        )
        colour = _varied(self._rng, ((0.55, 0.06, 0.05), (0.05, 0.15, 0.45), (0.62, 0.60, 0.55)))
        plate = replace(
            pole,
            shape=Shape.FRUSTUM,
            centre=(-0.06, 0.0, 2.3),
            half=(0.015, 0.32, 0.32),
            colour=colour,
        )
        self.stand(pole, along, lateral)
        self.stand(plate, along, lateral)

    def _parked_cars(self, side: float, start: float, end: float) -> None:
        rng = self._rng
        along = start + float(rng.uniform(0.0, 15.0))
        while along < end:
            model = MODELS[int(rng.integers(len(MODELS)))]
            if not self._near_crossing(along, 9.0) and rng.random() < 0.62:
                lateral = side * (
                    self.layout.road_half_width_m
                    - model.width_m / 2
                    - float(rng.uniform(0.12, 0.3))
                )
                turn = (0.0 if side < 0 else np.pi) + float(rng.normal(0.0, 0.012))
                paint = PAINTS[int(rng.integers(len(PAINTS)))]
                for part in car_parts(model, paint, self.new_instance()):
                    self.stand(part, along, lateral, turn=turn)
            along += model.length_m + float(rng.uniform(0.9, 5.0))


def _varied(rng: np.random.Generator, colours: tuple[Colour, ...]) -> Colour:
    """One of the colours, a little lighter, darker or tinted."""
    chosen = np.array(colours[int(rng.integers(len(colours)))])
    red, green, blue = (chosen * rng.uniform(0.85, 1.15) * rng.uniform(0.96, 1.04, 3)).tolist()
    return red, green, blue
