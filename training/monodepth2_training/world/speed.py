# SPDX-License-Identifier: Apache-2.0
"""How fast the recording vehicle drives: it varies, and can stop at a crossing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STEP_S = 0.01
"""Sampling of the speed profile."""

RUN_OUT_S = 8.0
"""The profile goes on for so long after the drive, for the traffic ahead."""

SHORTEST_WITH_STOP_S = 8.0
"""Shorter drives have no time to stop."""

_BRAKE_M_S2, _PULL_AWAY_M_S2 = 2.4, 1.7
_SMOOTH_S = 0.5


@dataclass(frozen=True, kw_only=True)
class SpeedProfile:
    """Speed over time, sampled from 0 s on every ``STEP_S``."""

    speed_m_s: NDArray[np.float64]
    """[K] speed."""
    stop_s: tuple[float, float] | None
    """From when to when the vehicle stands still, if it does."""


def speed_profile(
    duration_s: float, cruise_m_s: float, *, standstill: bool, rng: np.random.Generator
) -> SpeedProfile:
    """A drive that varies by a tenth in speed and, if wanted and long enough, stops halfway.

    Args:
        duration_s: length of the drive.
        cruise_m_s: usual speed.
        standstill: whether to stop after 45 % of the time, for 15 % of it and at most 3 s.
        rng: draws the variation.
    """
    time = np.arange(0.0, duration_s + RUN_OUT_S, STEP_S)
    swing = 0.08 * np.sin(2 * np.pi * time / 13.0 + rng.uniform(0, 2 * np.pi))
    swing = swing + 0.05 * np.sin(2 * np.pi * time / 5.3 + rng.uniform(0, 2 * np.pi))
    speed = cruise_m_s * (1.0 + swing)
    if not standstill or duration_s < SHORTEST_WITH_STOP_S:
        return SpeedProfile(speed_m_s=speed, stop_s=None)
    begin = 0.45 * duration_s
    end = begin + min(3.0, 0.15 * duration_s)
    braking, pulling = _BRAKE_M_S2 * (begin - time), _PULL_AWAY_M_S2 * (time - end)
    limit = np.maximum(np.where(time < begin, braking, pulling), 0.0)
    smooth = min(_SMOOTH_S, 0.2 * (end - begin))
    return SpeedProfile(
        speed_m_s=_smoothed(np.minimum(speed, limit), smooth),
        stop_s=(begin + smooth / 2, end - smooth / 2),
    )


def _smoothed(values: NDArray[np.float64], width_s: float) -> NDArray[np.float64]:
    """Moving average, so that the acceleration has no jumps."""
    count = 2 * int(width_s / STEP_S / 2) + 1
    padded = np.pad(values, count // 2, mode='edge')
    smooth = np.convolve(padded, np.full(count, 1.0 / count), mode='valid')
    return np.where(smooth < 1e-9, 0.0, smooth)
