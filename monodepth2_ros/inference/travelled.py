# SPDX-License-Identifier: Apache-2.0
"""The last seconds of a vehicle's odometry: how far it went between two moments."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import deque

import numpy as np
from numpy.typing import NDArray

KEPT = 1000
"""Poses that are kept."""

MOST_GAP_S = 0.5
"""Poses farther apart than this are not interpolated between."""

_JUMP_S = 1.0
"""Positions that are late by less have overtaken each other."""


class TravelledWay:
    """Positions of the vehicle; one thread adds, another asks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: deque[tuple[int, NDArray[np.float64]]] = deque(maxlen=KEPT)

    def add(self, stamp_ns: int, position_m: tuple[float, float, float]) -> None:
        """Add a position; one that is sent again, late or not finite is left out.

        One that is earlier by ``_JUMP_S`` or more tells of a jump of time, and starts anew.
        """
        place = np.array(position_m, np.float64)
        with self._lock:
            late_ns = self._places[-1][0] - stamp_ns if self._places else -1
            if late_ns >= _JUMP_S * 1e9:
                self._places.clear()
            elif late_ns >= 0:
                return
            if np.isfinite(place).all():
                self._places.append((stamp_ns, place))

    @property
    def newest_ns(self) -> int:
        """Stamp of the last position; 0 without any."""
        with self._lock:
            return self._places[-1][0] if self._places else 0

    def between_m(self, first_ns: int, second_ns: int) -> float | None:
        """Distance between the positions at two stamps; None where one of them is not known."""
        with self._lock:
            places = list(self._places)
        ends = _at(places, first_ns), _at(places, second_ns)
        if ends[0] is None or ends[1] is None:
            return None
        return float(np.linalg.norm(ends[1] - ends[0]))


def _at(
    places: list[tuple[int, NDArray[np.float64]]], stamp_ns: int
) -> NDArray[np.float64] | None:
    """The position at a stamp, linear between two; None outside and in gaps."""
    after = bisect_right(places, stamp_ns, key=lambda place: place[0])
    if after and places[after - 1][0] == stamp_ns:
        return places[after - 1][1]
    if not 0 < after < len(places):
        return None
    (begin_ns, begin), (end_ns, end) = places[after - 1], places[after]
    if end_ns - begin_ns > MOST_GAP_S * 1e9:
        return None
    share = (stamp_ns - begin_ns) / (end_ns - begin_ns)
    return np.asarray((1.0 - share) * begin + share * end, np.float64)
