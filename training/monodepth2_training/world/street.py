# SPDX-License-Identifier: Apache-2.0
"""Builds the street from a seed: places houses, trees, lamps, people and parked cars along it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from monodepth2_training.world import furniture
from monodepth2_training.world.figures import figure
from monodepth2_training.world.houses import house
from monodepth2_training.world.path import StreetPath
from monodepth2_training.world.scene import StreetLayout
from monodepth2_training.world.solids import Solid
from monodepth2_training.world.traffic import MODELS, PAINTS, car_parts, placed

_SIDES = (1.0, -1.0)


class StreetBuilder:
    """Collects the solids of a street; every object gets an instance number of its own."""

    def __init__(
        self,
        path: StreetPath,
        layout: StreetLayout,
        rng: np.random.Generator,
        *,
        detailed: bool = False,
    ) -> None:
        """Start with an empty street; ``rng`` decides everything.

        ``detailed`` gives signs a face and people limbs, in place of plain ones.
        """
        self.path, self.layout, self._detailed = path, layout, detailed
        self.solids: list[Solid] = []
        self.instances = 2
        self._rng = rng

    def build(self, start_m: float, end_m: float) -> list[Solid]:
        """Build both sides between two world x and return all solids."""
        for side in _SIDES:
            self._houses(side, start_m, end_m)
            self._background(side, start_m, end_m)
            self._pavement(side, start_m, end_m)
            self._parked_cars(side, start_m, end_m)
        for crossing in self.layout.crossings_m:
            if start_m < crossing < end_m:
                self._corner(crossing)
        return self.solids

    def new_instance(self) -> int:
        """A number for the next object."""
        self.instances += 1
        return self.instances - 1

    def _stand(
        self, parts: Iterable[Solid], along: float, lateral: float, *, turn: float = 0.0
    ) -> None:
        """Put an object, given in its own axes, on the street, turned with it."""
        x, y = self.path.point(along, lateral)
        yaw = float(self.path.heading(along)) + turn
        self.solids += [placed(part, float(x), float(y), 0.0, yaw) for part in parts]

    def _near_crossing(self, along: float, margin: float) -> bool:
        reach = self.layout.crossing_half_width_m + margin
        return any(abs(along - crossing) < reach for crossing in self.layout.crossings_m)

    @property
    def _front(self) -> float:
        return self.layout.road_half_width_m + self.layout.pavement_width_m

    def _houses(self, side: float, start: float, end: float) -> None:
        """A row of houses with some gaps, and bushes in front of those that stand back."""
        rng, along = self._rng, start
        while along < end:
            width = float(rng.uniform(9.0, 21.0))
            if self._near_crossing(along + width / 2, width / 2 + 2.5):
                along += 2.0
                continue
            setback = float(rng.choice([0.0, 0.0, 0.3, 1.6, 3.5]))
            built = house(rng, width, self.new_instance())
            middle = side * (self._front + setback + built.depth_m / 2)
            self._stand(built.parts, along + width / 2, middle)
            if setback > 1.0:
                self._bushes(side, along, along + width, setback)
            gap = rng.random() < 0.3
            along += width + (float(rng.uniform(3.0, 9.0)) if gap else 0.05)

    def _bushes(self, side: float, start: float, end: float, setback: float) -> None:
        for along in np.arange(start + 1.2, end - 1.0, 2.3).tolist():
            if self._rng.random() < 0.55:
                bush = furniture.bush(self._rng, self.new_instance())
                self._stand(bush, along, side * (self._front + min(setback, 2.0) / 2 + 0.2))

    def _background(self, side: float, start: float, end: float) -> None:
        """Houses further back, seen through gaps and side streets."""
        along = start
        while along < end:
            width = float(self._rng.uniform(14.0, 24.0))
            built = house(self._rng, width, self.new_instance())
            self._stand(built.parts, along, side * float(self._rng.uniform(62.0, 90.0)))
            along += width + float(self._rng.uniform(2.0, 16.0))

    def _pavement(self, side: float, start: float, end: float) -> None:
        """Trees, lamps, signs and people."""
        rng, kerb = self._rng, self.layout.road_half_width_m
        along = start + float(rng.uniform(0.0, 10.0))
        while along < end:
            kind, number = rng.random(), self.new_instance()
            if self._near_crossing(along, 3.0):
                pass
            elif kind < 0.55:
                self._stand(furniture.tree(rng, number), along, side * (kerb + 0.95))
            elif kind < 0.75:
                self._stand(furniture.lamp(side, number), along, side * (kerb + 0.5))
            elif kind < 0.84:
                self._stand(self._sign(side, number), along, side * (kerb + 0.45))
            else:
                turn, aside = float(rng.uniform(0, np.pi)), float(rng.uniform(1.0, 2.8))
                self._stand(self._person(number), along, side * (kerb + aside), turn=turn)
            along += float(rng.uniform(4.5, 11.0))

    def _sign(self, side: float, number: int) -> list[Solid]:
        if self._detailed:
            return furniture.traffic_sign(self._rng, side, number)
        return furniture.sign(self._rng, number)

    def _person(self, number: int) -> list[Solid]:
        if self._detailed:
            return figure(self._rng, number)[0]
        return furniture.person(self._rng, number)

    def _corner(self, crossing: float) -> None:
        """Traffic lights at a crossing, and houses along the side street."""
        layout, rng = self.layout, self._rng
        beside = layout.crossing_half_width_m
        for side in _SIDES:
            light = furniture.traffic_light(-side, side, self.new_instance())
            self._stand(
                light, crossing + side * (beside + 5.6), side * (layout.road_half_width_m + 0.4)
            )
            for end in _SIDES:
                lateral = self._front + 24.0
                for _ in range(2):
                    width = float(rng.uniform(10.0, 15.0))
                    built = house(rng, width, self.new_instance())
                    along = crossing + end * (beside + 3.2 + built.depth_m / 2)
                    self._stand(built.parts, along, side * lateral, turn=np.pi / 2)
                    lateral += width + 1.0

    def _parked_cars(self, side: float, start: float, end: float) -> None:
        rng, kerb = self._rng, self.layout.road_half_width_m
        along = start + float(rng.uniform(0.0, 15.0))
        while along < end:
            model = MODELS[int(rng.integers(len(MODELS)))]
            if not self._near_crossing(along, 9.5) and rng.random() < 0.6:
                lateral = side * (kerb - model.width_m / 2 - float(rng.uniform(0.12, 0.3)))
                turn = (0.0 if side < 0 else np.pi) + float(rng.normal(0.0, 0.012))
                paint = PAINTS[int(rng.integers(len(PAINTS)))]
                self._stand(
                    car_parts(model, paint, self.new_instance()), along, lateral, turn=turn
                )
            along += model.length_m + float(rng.uniform(0.9, 5.0))
