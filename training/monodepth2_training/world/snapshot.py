# SPDX-License-Identifier: Apache-2.0
"""The part of a world that a camera can see at one moment."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from monodepth2_training.world.path import StreetPath
from monodepth2_training.world.scene import Scene, StreetLayout, Vehicle
from monodepth2_training.world.solids import Solids
from monodepth2_training.world.traffic import vehicle_solids

REACH_M = 320.0
"""Solids farther along the street are not drawn."""

_LARGEST_M = 40.0


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Everything near a place, where it is at one moment."""

    path: StreetPath
    """Centre line."""
    layout: StreetLayout
    """Cross section, with the crossings near by."""
    solids: Solids
    """All solids near by, also the moving ones."""
    moving: tuple[Solids, ...]
    """Parts of each moving car or person near by; the last of ``solids``, in this order."""
    movers: tuple[Vehicle, ...] = ()
    """Whose parts those are."""
    time_s: float = 0.0
    """The moment."""

    def displacements_m(self, seconds: float) -> NDArray[np.float64]:
        """How far each of the solids moves in some seconds, [N, 3]."""
        moved = np.zeros_like(self.solids.centre)
        if self.movers:
            later = [vehicle_solids(v, self.time_s + seconds).centre for v in self.movers]
            now = [parts.centre for parts in self.moving]
            movement = np.concatenate(later) - np.concatenate(now)
            moved[-len(movement) :] = movement
        return moved


def take_snapshot(scene: Scene, x: float, time_s: float) -> Snapshot:
    """The world within ``REACH_M`` of world ``x`` at ``time_s``."""
    reach = REACH_M + _LARGEST_M
    near = np.flatnonzero(np.abs(scene.solids.centre[:, 0] - x) < reach)
    parked = scene.solids.take(near)
    movers = tuple(v for v in scene.vehicles if _is_near(v, x, time_s))
    moving = tuple(vehicle_solids(vehicle, time_s) for vehicle in movers)
    crossings = tuple(c for c in scene.layout.crossings_m if abs(c - x) < reach)
    return Snapshot(
        path=scene.path,
        layout=replace(scene.layout, crossings_m=crossings),
        solids=Solids.joined([parked, *moving]),
        moving=moving,
        movers=movers,
        time_s=time_s,
    )


def _is_near(vehicle: Vehicle, x: float, time_s: float) -> bool:
    here = float(np.interp(time_s, vehicle.times_s, vehicle.x_m))
    return abs(here - x) < vehicle.seen_within_m
