# SPDX-License-Identifier: Apache-2.0
"""What stands and moves in a world: its street, solids, traffic and light."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monodepth2_training.world.path import StreetPath
from monodepth2_training.world.solids import Solids


@dataclass(frozen=True, kw_only=True)
class Light:
    """Sun and sky."""

    sun_azimuth: float
    """Direction to the sun about z, from the world's x axis towards y, in radians."""
    sun_elevation: float
    """Height of the sun above the horizon, in radians."""
    sun_colour: tuple[float, float, float] = (1.80, 1.62, 1.32)
    """Linear RGB light of the sun on a surface that faces it."""
    sky_colour: tuple[float, float, float] = (0.36, 0.39, 0.44)
    """Linear RGB light of the sky on a surface that faces up."""
    haze_m: float = 700.0
    """Distance in which haze hides 63 % of a surface."""
    cloud_cover: float = 0.45
    """Share of the sky that clouds fill, about."""
    horizon_colour: tuple[float, float, float] = (0.74, 0.80, 0.86)
    """Linear RGB of the horizon, and of what lies far away in haze."""
    zenith_colour: tuple[float, float, float] = (0.17, 0.36, 0.72)
    """Linear RGB of the clear sky above."""
    cloud_colour: tuple[float, float, float] = (0.98, 0.98, 1.0)
    """Linear RGB of thin clouds."""
    lit_windows: float = 0.0
    """Share of windows behind which lamps burn; above 0, cars on the move have theirs on."""

    @property
    def to_sun(self) -> tuple[float, float, float]:
        """Unit vector from the ground to the sun."""
        flat = float(np.cos(self.sun_elevation))
        x, y = flat * np.cos(self.sun_azimuth), flat * np.sin(self.sun_azimuth)
        return float(x), float(y), float(np.sin(self.sun_elevation))


@dataclass(frozen=True, kw_only=True)
class StreetLayout:
    """Cross section of the street, the same on both sides, and its crossings; metres."""

    road_half_width_m: float = 5.6
    """Centre line to kerb."""
    lane_width_m: float = 3.3
    """Centre line to the edge of the driven lane; parked cars stand beyond."""
    pavement_width_m: float = 3.4
    """Kerb to building front."""
    kerb_height_m: float = 0.13
    """Rise of the pavement above the road."""
    crossings_m: tuple[float, ...] = ()
    """World x of the side streets' centre lines."""
    crossing_half_width_m: float = 5.0
    """Half width of a side street between its kerbs."""


@dataclass(frozen=True, kw_only=True)
class Vehicle:
    """A moving car or person: its parts relative to its ground point, and where it is when."""

    parts: Solids
    """Solids in its own axes: x forward, y left, z up, origin on the ground."""
    times_s: NDArray[np.float64]
    """[K] increasing times; before the first and after the last it stands."""
    x_m: NDArray[np.float64]
    """[K] world x at those times."""
    y_m: NDArray[np.float64]
    """[K] world y."""
    yaw: NDArray[np.float64]
    """[K] heading in radians, without jumps."""
    swing_m: NDArray[np.float64] | None = None
    """[M] how far each part swings forward and back at every stride; None for a rigid body."""
    seen_within_m: float = 360.0
    """Farther along the street it is not drawn."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A whole world; instance 0 is the sky, 1 the ground."""

    path: StreetPath
    """Centre line."""
    layout: StreetLayout
    """Cross section."""
    light: Light
    """Sun and sky."""
    solids: Solids
    """All that stands still."""
    vehicles: tuple[Vehicle, ...] = field(default=())
    """All that moves."""
    seed: int = 0
    """Textures are drawn from it."""
    extent_m: tuple[float, float] = (-60.0, 400.0)
    """World x between which the street is built."""
    moving_shadows: bool = False
    """Whether what moves casts shadows of the sun, and not only a dark patch below."""
