# SPDX-License-Identifier: Apache-2.0
"""Cars, parked and moving: their shape, and where a moving one stands at a given time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from monodepth2_training.world.path import StreetPath
from monodepth2_training.world.scene import Vehicle
from monodepth2_training.world.solids import Material, Shape, Solid, Solids

Floats = NDArray[np.float64]

STRIDE_M = 1.4
"""Way of two steps of somebody who walks."""

PAINTS = (
    (0.52, 0.53, 0.55),
    (0.74, 0.74, 0.72),
    (0.07, 0.07, 0.08),
    (0.20, 0.22, 0.25),
    (0.36, 0.05, 0.05),
    (0.06, 0.11, 0.26),
    (0.10, 0.19, 0.15),
    (0.42, 0.36, 0.26),
)
"""Linear RGB car colours."""


@dataclass(frozen=True, kw_only=True)
class CarModel:
    """Outer sizes of a car in metres."""

    length_m: float = 4.4
    """Bumper to bumper."""
    width_m: float = 1.8
    """Without mirrors."""
    body_height_m: float = 0.86
    """Ground to the bonnet and the windows' lower edge."""
    cabin_height_m: float = 0.58
    """Windows and roof."""
    cabin_length_m: float = 2.7
    """Cabin at the windows' lower edge."""
    lean: tuple[float, float] = (0.75, 0.28)
    """How far the windows lean inwards, at the ends and the sides, per metre of height."""
    cabin_shift_m: float = -0.25
    """Middle of the cabin ahead of the car's middle."""


MODELS = (
    CarModel(),
    CarModel(
        length_m=3.9,
        width_m=1.72,
        cabin_length_m=2.7,
        cabin_shift_m=-0.4,
        cabin_height_m=0.62,
        lean=(0.6, 0.25),
    ),
    CarModel(length_m=4.7, cabin_length_m=3.4, cabin_shift_m=-0.55, body_height_m=0.84),
    CarModel(
        length_m=4.5,
        width_m=1.86,
        body_height_m=0.98,
        cabin_height_m=0.64,
        cabin_length_m=3.1,
        cabin_shift_m=-0.5,
        lean=(0.5, 0.22),
    ),
    CarModel(
        length_m=4.9,
        width_m=1.92,
        body_height_m=1.08,
        cabin_height_m=0.82,
        cabin_length_m=4.2,
        cabin_shift_m=-0.3,
        lean=(0.32, 0.10),
    ),
)
"""Saloon, small car, estate, SUV, van."""


def car_parts(
    model: CarModel, paint: tuple[float, float, float], instance: int, *, driven: bool = False
) -> list[Solid]:
    """Body and cabin in the car's own axes (x forward, y left, z up, origin on the ground)."""
    body_half = model.body_height_m / 2
    cabin_half = model.cabin_height_m / 2
    width = model.width_m / 2
    body = Solid(
        shape=Shape.FRUSTUM,
        centre=(0.0, 0.0, body_half),
        half=(model.length_m / 2, width, body_half),
        taper=(0.10, 0.05),
        material=Material.CAR_BODY,
        colour=paint,
        detail=(float(driven), 0.0, 0.0, 0.0),
        instance=instance,
    )
    cabin = Solid(
        shape=Shape.FRUSTUM,
        centre=(model.cabin_shift_m, 0.0, model.body_height_m + cabin_half),
        half=(model.cabin_length_m / 2, width - 0.06, cabin_half),
        taper=model.lean,
        material=Material.CAR_CABIN,
        colour=paint,
        instance=instance,
    )
    return [body, cabin]


def placed(part: Solid, x: float, y: float, z: float, yaw: float) -> Solid:
    """A part of an object, given in the object's axes, where the object stands in the world."""
    cos, sin = float(np.cos(yaw)), float(np.sin(yaw))
    px, py, pz = part.centre
    centre = (x + cos * px - sin * py, y + sin * px + cos * py, z + pz)
    return replace(part, centre=centre, yaw=part.yaw + yaw)


def vehicle_solids(vehicle: Vehicle, time_s: float) -> Solids:
    """The parts of a moving car or person where it is at ``time_s``."""
    times = vehicle.times_s
    x, y, yaw = (np.interp(time_s, times, v) for v in (vehicle.x_m, vehicle.y_m, vehicle.yaw))
    cos, sin = np.cos(yaw), np.sin(yaw)
    local = vehicle.parts.centre
    if vehicle.swing_m is not None:
        local = local + vehicle.swing_m[:, None] * [_stride(vehicle, time_s), 0.0, 0.0]
    forward = x + cos * local[:, 0] - sin * local[:, 1]
    left = y + sin * local[:, 0] + cos * local[:, 1]
    centre = np.stack([forward, left, local[:, 2]], axis=1)
    return replace(vehicle.parts, centre=centre, yaw=vehicle.parts.yaw + yaw)


def _stride(vehicle: Vehicle, time_s: float) -> float:
    """Where in a stride somebody is, -1 to 1, by the way that was walked."""
    steps = np.hypot(np.diff(vehicle.x_m), np.diff(vehicle.y_m))
    walked_m = np.interp(time_s, vehicle.times_s, np.concatenate([[0.0], np.cumsum(steps)]))
    return float(np.sin(2 * np.pi * walked_m / STRIDE_M))


def car_on_street(
    path: StreetPath, parts: Solids, times_s: Floats, along_m: Floats, lateral_m: float
) -> Vehicle:
    """A car ``lateral_m`` left of the centre line, at ``along_m`` [K] at ``times_s`` [K]."""
    x, y = path.point(along_m, np.full_like(along_m, lateral_m))
    turn = np.pi if lateral_m > 0 else 0.0
    return Vehicle(parts=parts, times_s=times_s, x_m=x, y_m=y, yaw=path.heading(along_m) + turn)


def car_across(parts: Solids, times_s: Floats, x_m: float, y_m: Floats) -> Vehicle:
    """A car that drives along y on a side street at world ``x_m``."""
    turn = np.pi / 2 if y_m[-1] > y_m[0] else -np.pi / 2
    return Vehicle(
        parts=parts,
        times_s=times_s,
        x_m=np.full_like(y_m, x_m),
        y_m=y_m,
        yaw=np.full_like(y_m, turn),
    )
