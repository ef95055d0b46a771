# SPDX-License-Identifier: Apache-2.0
"""People who walk: along the pavements, and over the zebra crossings when no car comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from monodepth2_training.world.figures import figure
from monodepth2_training.world.motion import LANE_LATERAL_M, EgoMotion
from monodepth2_training.world.path import StreetPath
from monodepth2_training.world.scene import StreetLayout, Vehicle
from monodepth2_training.world.solids import Solids

Floats = NDArray[np.float64]

_BEHIND_M, _AHEAD_M = 15.0, 110.0
_SEEN_WITHIN_M = 130.0
_ZEBRA_BESIDE_M = 2.7
_CLEAR_M = 6.0
_TRIES = 4


class PeoplePlanner:
    """Draws people on a street whose traffic is known."""

    def __init__(
        self,
        ego: EgoMotion,
        path: StreetPath,
        layout: StreetLayout,
        traffic: Sequence[Vehicle],
        rng: np.random.Generator,
    ) -> None:
        """Prepare for a drive; ``rng`` decides everything."""
        self._ego, self._path, self._layout = ego, path, layout
        self._traffic, self._rng = traffic, rng

    def people(self, duration_s: float, new_instance: Callable[[], int]) -> list[Vehicle]:
        """Everybody who walks within ``duration_s`` of the drive."""
        end = float(self._ego.along_m(duration_s)) + _AHEAD_M
        spacing = float(self._rng.uniform(6.0, 40.0))
        found = []
        for side in (1.0, -1.0):
            along = -_BEHIND_M + float(self._rng.uniform(0.0, spacing))
            while along < end:
                found.append(self._strolling(side, along, duration_s, new_instance()))
                along += float(self._rng.uniform(0.4, 1.6)) * spacing
        for crossing in self._layout.crossings_m:
            if -_BEHIND_M < crossing < end:
                found += self._crossing(crossing, duration_s, new_instance)
        return found

    def _strolling(self, side: float, along: float, duration_s: float, instance: int) -> Vehicle:
        """Along the pavement, one way or the other."""
        layout, rng = self._layout, self._rng
        way = float(rng.choice([-1.0, 1.0]))
        lateral = layout.road_half_width_m + rng.uniform(1.3, layout.pavement_width_m - 0.5)
        times = np.arange(0.0, duration_s + 1.0, 0.5)
        x, y = self._path.point(
            along + way * rng.uniform(0.7, 1.7) * times, np.full_like(times, side * lateral)
        )
        return self._walker(times, x, y, instance)

    def _crossing(
        self, crossing: float, duration_s: float, new_instance: Callable[[], int]
    ) -> list[Vehicle]:
        """Over the zebras of a crossing, at times when nothing comes."""
        rng, found = self._rng, []
        for _ in range(_TRIES):
            beside = self._layout.crossing_half_width_m + _ZEBRA_BESIDE_M + rng.uniform(-0.9, 0.9)
            along = crossing + float(rng.choice([-1.0, 1.0])) * beside
            ends = float(rng.choice([-1.0, 1.0])) * (self._layout.road_half_width_m + 1.2)
            begin = float(rng.uniform(-8.0, duration_s))
            times = begin + np.linspace(0.0, 2 * abs(ends) / rng.uniform(1.0, 1.7), 24)
            lateral = np.linspace(ends, -ends, len(times))
            x, y = self._path.point(np.full_like(lateral, along), lateral)
            if self._is_clear(times, x, y):
                found.append(self._walker(times, x, y, new_instance()))
        return found

    def _is_clear(self, times: Floats, x: Floats, y: Floats) -> bool:
        """Whether no car comes near somebody who is at x, y at these times."""
        own = self._path.point(self._ego.along_m(times), np.full_like(times, LANE_LATERAL_M))
        cars = [own]
        for car in self._traffic:
            cars.append(
                (np.interp(times, car.times_s, car.x_m), np.interp(times, car.times_s, car.y_m))
            )
        return all(np.hypot(cx - x, cy - y).min() > _CLEAR_M for cx, cy in cars)

    def _walker(self, times: Floats, x: Floats, y: Floats, instance: int) -> Vehicle:
        parts, swing_m = figure(self._rng, instance)
        return Vehicle(
            parts=Solids.of(parts),
            times_s=times,
            x_m=x,
            y_m=y,
            yaw=np.unwrap(np.arctan2(np.gradient(y), np.gradient(x))),
            swing_m=np.array(swing_m),
            seen_within_m=_SEEN_WITHIN_M,
        )
