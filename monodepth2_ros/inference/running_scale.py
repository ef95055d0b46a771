# SPDX-License-Identifier: Apache-2.0
"""A scale out of many uncertain ones while they come in: the median, followed slowly.

A single wrong frame changes nothing, a lasting change is followed at no more than a percent a
second, and where a scene gives no evidence the last value stays, with the reason.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WINDOW = 60
"""Frames that the median is taken over."""

LEAST_FRAMES = 10
"""Fewer frames give no scale."""

MOST_AGE_S = 120.0
"""Older frames no longer count."""

FASTEST_PER_S = 0.01
"""Relative change in a second that the scale follows at most."""

_MOST_SPREAD = 0.35
_NORMAL_PER_MAD = 1.4826  # of a normal distribution


@dataclass(frozen=True, kw_only=True)
class ScaleReading:
    """A scale at one moment."""

    value: float
    """Metres per unit of network depth; 0 while there is none."""
    spread: float = 0.0
    """Relative standard deviation of the frames it comes from; 0 if unknown."""
    source: str
    """Where it comes from, in words."""
    age_s: float = 0.0
    """Time since the last frame that told anything about it; 0 for one that is given."""
    frames: int = 0
    """Frames that it comes from."""
    frozen: str = ''
    """Why it stays as it is at the moment; empty while it is measured."""

    @property
    def is_known(self) -> bool:
        """Whether depth is in metres."""
        return self.value > 0.0

    def text(self) -> str:
        """In words."""
        frozen = f'; frozen: {self.frozen}' if self.frozen else ''
        if not self.is_known:
            return f'none yet by {self.source}{frozen}'
        spread = f' +- {100.0 * self.spread:.1f} %' if self.spread else ''
        return f'{self.value:.4g}{spread} by {self.source}{frozen}'


class RunningScale:
    """Follows one source of scales; one thread adds, another reads."""

    def __init__(self, source: str) -> None:
        """Start without a scale."""
        self._lock = threading.Lock()
        self._source = source
        self._frames: deque[tuple[float, float]] = deque(maxlen=WINDOW)
        self._value = 0.0
        self._followed_s = -math.inf
        self._evidence_s = -math.inf
        self._frozen = 'waiting for evidence'

    def add(self, value: float, now_s: float) -> None:
        """Take what one frame says, metres per network unit."""
        if not (math.isfinite(value) and value > 0.0):
            self.hold('a frame gave no usable scale')
            return
        with self._lock:
            self._add(value, now_s)

    def _add(self, value: float, now_s: float) -> None:
        while self._frames and now_s - self._frames[0][0] > MOST_AGE_S:
            self._frames.popleft()
        self._frames.append((now_s, value))
        if len(self._frames) < LEAST_FRAMES:
            self._frozen = f'waiting for {LEAST_FRAMES} frames with evidence'
            return
        if self._spread() > _MOST_SPREAD:
            self._frozen = 'the frames contradict each other'
            return
        self._frozen, self._evidence_s = '', now_s
        self._follow(now_s)

    def hold(self, reason: str) -> None:
        """Note that a frame gave no evidence; the scale stays as it is."""
        self._frozen = reason

    def reading(self, now_s: float) -> ScaleReading:
        """The scale as it stands."""
        with self._lock:
            known = self._value > 0.0
            return ScaleReading(
                value=self._value,
                spread=self._spread() if known else 0.0,
                source=self._source,
                age_s=now_s - self._evidence_s if known else 0.0,
                frames=len(self._frames),
                frozen=self._frozen,
            )

    def _follow(self, now_s: float) -> None:
        """Move towards the median, at once at first and slowly later."""
        wanted = float(np.median([value for _, value in self._frames]))
        if self._value > 0.0:
            most = FASTEST_PER_S * min(max(now_s - self._followed_s, 0.0), 1.0)
            step = float(np.clip(math.log(wanted / self._value), -most, most))
            wanted = self._value * math.exp(step)
        self._value, self._followed_s = wanted, now_s

    def _spread(self) -> float:
        return relative_spread(np.array([value for _, value in self._frames]))


def relative_spread(values: NDArray[np.float64]) -> float:
    """Relative standard deviation of values [N] around their median, by the median deviation."""
    middle = float(np.median(values))
    return _NORMAL_PER_MAD * float(np.median(np.abs(values - middle))) / middle
