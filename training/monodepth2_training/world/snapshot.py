# SPDX-License-Identifier: Apache-2.0
"""The part of a world that a camera can see at one moment."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from monodepth2_training.world.path import StreetPath
from monodepth2_training.world.scene import Scene, StreetLayout
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
    """Parts of each moving car near by."""


def take_snapshot(scene: Scene, x: float, time_s: float) -> Snapshot:
    """The world within ``REACH_M`` of world ``x`` at ``time_s``."""
    reach = REACH_M + _LARGEST_M
    near = np.flatnonzero(np.abs(scene.solids.centre[:, 0] - x) < reach)
    parked = scene.solids.take(near)
    cars = (vehicle_solids(vehicle, time_s) for vehicle in scene.vehicles)
    moving = tuple(parts for parts in cars if abs(parts.centre[0, 0] - x) < reach)
    crossings = tuple(c for c in scene.layout.crossings_m if abs(c - x) < reach)
    return Snapshot(
        path=scene.path,
        layout=replace(scene.layout, crossings_m=crossings),
        solids=Solids.joined([parked, *moving]),
        moving=moving,
    )
