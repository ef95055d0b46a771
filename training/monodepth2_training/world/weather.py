# SPDX-License-Identifier: Apache-2.0
"""Draws the weather: sun, overcast, a low sun, dusk, fog; and how a camera exposes it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from monodepth2_training.world.scene import Light

_USUAL_LIGHT, _ADAPTATION = 1.4, 0.8


def draw_weather(rng: np.random.Generator) -> Light:
    """Some kind of weather, in this order of frequency: sun, overcast, low sun, dusk, fog."""
    kinds: tuple[Callable[[np.random.Generator], Light], ...] = (
        _sunny,
        _overcast,
        _low_sun,
        _dusk,
        _fog,
    )
    kind = int(rng.choice(len(kinds), p=[0.36, 0.26, 0.18, 0.12, 0.08]))
    return kinds[kind](rng)


def exposure_gain(light: Light) -> float:
    """Exposure of a camera that adapts to the light on road and walls, against a usual day."""
    up = light.to_sun[2]
    sun = float(np.mean(light.sun_colour)) * (0.5 * up + 0.4 * float(np.sqrt(1.0 - up * up)))
    level = sun + float(np.mean(light.sky_colour))
    return float((_USUAL_LIGHT / level) ** _ADAPTATION)


def _sunny(rng: np.random.Generator) -> Light:
    return Light(
        sun_azimuth=_any_azimuth(rng),
        sun_elevation=float(rng.uniform(0.5, 1.1)),
        cloud_cover=float(rng.uniform(0.1, 0.65)),
        haze_m=float(rng.uniform(400.0, 2500.0)),
    )


def _overcast(rng: np.random.Generator) -> Light:
    level = float(rng.uniform(0.6, 1.0))
    return Light(
        sun_azimuth=_any_azimuth(rng),
        sun_elevation=0.8,
        sun_colour=_scaled((0.10, 0.10, 0.10), level),
        sky_colour=_scaled((1.00, 1.03, 1.08), level),
        cloud_cover=float(rng.uniform(0.9, 1.2)),
        haze_m=float(rng.uniform(200.0, 1200.0)),
        horizon_colour=_scaled((0.86, 0.88, 0.90), level),
        zenith_colour=_scaled((0.62, 0.66, 0.72), level),
        cloud_colour=_scaled((0.90, 0.92, 0.95), level),
    )


def _low_sun(rng: np.random.Generator) -> Light:
    return Light(
        sun_azimuth=_any_azimuth(rng),
        sun_elevation=float(rng.uniform(0.2, 0.42)),
        sun_colour=(1.75, 1.25, 0.75),
        sky_colour=(0.27, 0.30, 0.38),
        cloud_cover=float(rng.uniform(0.1, 0.6)),
        haze_m=float(rng.uniform(250.0, 1200.0)),
        horizon_colour=(0.80, 0.66, 0.50),
        zenith_colour=(0.17, 0.29, 0.52),
        cloud_colour=(0.88, 0.76, 0.66),
    )


def _dusk(rng: np.random.Generator) -> Light:
    level = float(rng.uniform(0.5, 1.0))
    return Light(
        sun_azimuth=0.0,
        sun_elevation=1.2,
        sun_colour=(0.0, 0.0, 0.0),
        sky_colour=_scaled((0.17, 0.18, 0.23), level),
        cloud_cover=float(rng.uniform(0.2, 0.9)),
        haze_m=float(rng.uniform(250.0, 1000.0)),
        horizon_colour=_scaled((0.20, 0.16, 0.16), level),
        zenith_colour=_scaled((0.05, 0.08, 0.16), level),
        cloud_colour=_scaled((0.15, 0.13, 0.15), level),
        lit_windows=float(rng.uniform(0.15, 0.5)),
    )


def _fog(rng: np.random.Generator) -> Light:
    level = float(rng.uniform(0.55, 0.85))
    return Light(
        sun_azimuth=0.0,
        sun_elevation=1.2,
        sun_colour=(0.0, 0.0, 0.0),
        sky_colour=_scaled((1.00, 1.02, 1.05), level),
        cloud_cover=1.0,
        haze_m=float(rng.uniform(45.0, 130.0)),
        horizon_colour=_scaled((0.80, 0.82, 0.84), level),
        zenith_colour=_scaled((0.78, 0.80, 0.83), level),
        cloud_colour=_scaled((0.80, 0.82, 0.84), level),
    )


def _any_azimuth(rng: np.random.Generator) -> float:
    return float(rng.uniform(-np.pi, np.pi))


def _scaled(colour: tuple[float, float, float], level: float) -> tuple[float, float, float]:
    red, green, blue = colour
    return red * level, green * level, blue * level
