# SPDX-License-Identifier: Apache-2.0
"""Draws a world for a drive from one seed: the street's curve, crossings, light, traffic."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from monodepth2_training.world.motion import EgoMotion
from monodepth2_training.world.path import StreetPath
from monodepth2_training.world.people import PeoplePlanner
from monodepth2_training.world.scene import Light, Scene, StreetLayout, Vehicle
from monodepth2_training.world.snapshot import REACH_M
from monodepth2_training.world.solids import Solids
from monodepth2_training.world.speed import RUN_OUT_S, speed_profile
from monodepth2_training.world.street import StreetBuilder
from monodepth2_training.world.traffic import (
    MODELS,
    PAINTS,
    car_across,
    car_on_street,
    car_parts,
)
from monodepth2_training.world.weather import draw_weather

_BEHIND_M = 50.0
_LANE_M = 1.65
_LEAD_GAP_M, _LEAD_DELAY_S = 9.0, 1.1
_STOP_LINE_TO_CROSSING_M = 11.5
_TEXTURE_SEEDS = 4

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A world and the drive through it."""

    scene: Scene
    """The world."""
    ego: EgoMotion
    """The vehicle's motion."""
    moving_instances: tuple[int, ...]
    """Instance numbers of moving cars and people."""


def plan_world(
    *,
    seed: int,
    duration_s: float,
    speed_m_s: float,
    moving_cars: bool,
    standstill: bool,
    variety: bool = False,
) -> Plan:
    """Draw a world in which a vehicle drives for ``duration_s`` at about ``speed_m_s``.

    Args:
        seed: decides everything; the first two switches below do not change the street.
        duration_s: length of the drive.
        speed_m_s: usual speed.
        moving_cars: whether there is traffic, and people who walk.
        standstill: whether the vehicle stops at a crossing.
        variety: whether to draw weather, people, signs and the street's width as well.
    """
    motion = plan_motion(
        seed=seed, duration_s=duration_s, speed_m_s=speed_m_s, standstill=standstill
    )
    ego, path, street = motion.ego, motion.path, motion.rng
    cars, more = (np.random.default_rng([seed, part]) for part in (2, 3))
    end = float(ego.along_m(duration_s + RUN_OUT_S))
    layout = StreetLayout(crossings_m=_crossings(ego, end, street))
    if variety:
        layout = _draw_width(layout, more)
    builder = StreetBuilder(path, layout, street, detailed=variety)
    solids = Solids.of(builder.build(-_BEHIND_M, end + REACH_M))
    first = builder.instances
    vehicles = _traffic(ego, path, layout, builder, cars, duration_s) if moving_cars else ()
    if variety and moving_cars:
        walkers = PeoplePlanner(ego, path, layout, vehicles, more)
        vehicles = (*vehicles, *walkers.people(duration_s, builder.new_instance))
    light = _draw_light(street)
    scene = Scene(
        path=path,
        layout=layout,
        light=draw_weather(more) if variety else light,
        solids=solids,
        vehicles=vehicles,
        seed=seed % _TEXTURE_SEEDS if variety else seed,
        extent_m=(-_BEHIND_M, end + 120.0),
        moving_shadows=variety,
    )
    return Plan(scene=scene, ego=ego, moving_instances=tuple(range(first, builder.instances)))


@dataclass(frozen=True, kw_only=True)
class Motion:
    """The vehicle's way, which does not depend on what stands beside it."""

    ego: EgoMotion
    """Where it is when."""
    path: StreetPath
    """The street's centre line."""
    rng: np.random.Generator
    """Goes on to draw the street."""


def plan_motion(*, seed: int, duration_s: float, speed_m_s: float, standstill: bool) -> Motion:
    """Draw the way of the vehicle in ``plan_world``, much faster than all of it."""
    street, driving = (np.random.default_rng([seed, part]) for part in range(2))
    path = _draw_path(street)
    profile = speed_profile(duration_s, speed_m_s, standstill=standstill, rng=driving)
    return Motion(ego=EgoMotion(path, profile, driving), path=path, rng=street)


def _draw_width(layout: StreetLayout, rng: np.random.Generator) -> StreetLayout:
    return replace(
        layout,
        road_half_width_m=float(rng.uniform(5.3, 6.6)),
        pavement_width_m=float(rng.uniform(2.8, 5.5)),
    )


def _draw_path(rng: np.random.Generator) -> StreetPath:
    return StreetPath(
        amplitudes_m=(float(rng.uniform(4.0, 9.0)), float(rng.uniform(0.6, 1.8))),
        lengths_m=(float(rng.uniform(280.0, 380.0)), float(rng.uniform(110.0, 150.0))),
        phases=(float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0, 2 * np.pi))),
    )


def _draw_light(rng: np.random.Generator) -> Light:
    return Light(
        sun_azimuth=float(rng.choice([-1.0, 1.0]) * rng.uniform(0.6, 2.2)),
        sun_elevation=float(rng.uniform(0.65, 0.95)),
        cloud_cover=float(rng.uniform(0.25, 0.6)),
    )


def _crossings(ego: EgoMotion, end: float, rng: np.random.Generator) -> tuple[float, ...]:
    """World x of side streets: one ahead of the stop, the others 80 to 130 m apart."""
    stop = ego.profile.stop_s
    first = float(rng.uniform(35.0, 75.0))
    if stop is not None:
        first = float(ego.along_m(stop[0])) + _LEAD_GAP_M + _STOP_LINE_TO_CROSSING_M + 6.0
    found = [first]
    while found[-1] < end + 200.0:
        found.append(found[-1] + float(rng.uniform(80.0, 130.0)))
    while found[0] > 50.0:
        found.insert(0, found[0] - float(rng.uniform(80.0, 130.0)))
    return tuple(round(x, 3) for x in found)


def _traffic(
    ego: EgoMotion,
    path: StreetPath,
    layout: StreetLayout,
    builder: StreetBuilder,
    rng: np.random.Generator,
    duration_s: float,
) -> tuple[Vehicle, ...]:
    """A car ahead at the same speed, oncoming cars, and cars crossing while one waits."""
    times = np.arange(0.0, duration_s + 1.0, 0.1, dtype=np.float64)
    vehicles = [_leading(ego, path, builder, rng, times, duration_s)]
    along = 28.0
    while along < float(ego.along_m(duration_s)) + 14.0 * duration_s + 60.0:
        speed = float(rng.uniform(7.0, 11.0))
        vehicles.append(
            car_on_street(path, _random_car(builder, rng), times, along - speed * times, _LANE_M)
        )
        along += float(rng.uniform(22.0, 65.0))
    if ego.profile.stop_s is not None:
        vehicles += _crossing_cars(ego, path, layout, builder, rng)
    return tuple(vehicles)


def _leading(
    ego: EgoMotion,
    path: StreetPath,
    builder: StreetBuilder,
    rng: np.random.Generator,
    times: Floats,
    duration_s: float,
) -> Vehicle:
    """Keeps ahead like a driver who reacts a second earlier, and pulls away near the end."""
    lead = np.interp(times + _LEAD_DELAY_S, ego.times_s, ego.along_m(ego.times_s))
    pulling = 1.1 * np.clip(times - 0.75 * duration_s, 0.0, None) ** 1.5
    return car_on_street(
        path, _random_car(builder, rng), times, lead + _LEAD_GAP_M + pulling, -_LANE_M
    )


def _crossing_cars(
    ego: EgoMotion,
    path: StreetPath,
    layout: StreetLayout,
    builder: StreetBuilder,
    rng: np.random.Generator,
) -> list[Vehicle]:
    stop = ego.profile.stop_s or (0.0, 0.0)
    waiting = float(ego.along_m(stop[0]))
    crossing = next(x for x in layout.crossings_m if x > waiting)
    centre = float(path.centre_y(crossing))
    vehicles = []
    for side, share in ((1.0, 0.25), (-1.0, 0.5), (1.0, 0.75)):
        middle = stop[0] + share * (stop[1] - stop[0])
        times = np.arange(middle - 6.0, middle + 6.0, 0.1, dtype=np.float64)
        y = centre + side * 8.0 * (times - middle)
        vehicles.append(car_across(_random_car(builder, rng), times, crossing + side * _LANE_M, y))
    return vehicles


def _random_car(builder: StreetBuilder, rng: np.random.Generator) -> Solids:
    model = MODELS[int(rng.integers(len(MODELS)))]
    paint = PAINTS[int(rng.integers(len(PAINTS)))]
    return Solids.of(car_parts(model, paint, builder.new_instance(), driven=True))
