# SPDX-License-Identifier: Apache-2.0
"""Measures the scale between frames: metres travelled over the motion in network units."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.inference.frame_motion import FrameMotion, frame_motion

if TYPE_CHECKING:
    from monodepth2_ros.geometry.camera import PinholeCamera
    from monodepth2_ros.inference.running_scale import RunningScale
    from monodepth2_ros.inference.travelled import TravelledWay

STANDING = 'standing still'
TURNING = 'turning'
NO_ODOMETRY = 'no odometry for these frames'
NO_MOTION = 'too little to follow in the picture'

_LEAST_STEP_M = 0.3
_STANDING_M = 0.05
_LONGEST_STEP_NS = 1_000_000_000
_MOST_TURN_PER_M = 0.1
_WAITING = 20


@dataclass(frozen=True, kw_only=True)
class SeenFrame:
    """A frame as the network saw it."""

    stamp_ns: int
    """Header stamp."""
    grey: NDArray[np.uint8]
    """uint8 [h, w]."""
    depth: NDArray[np.float32]
    """float32 [h, w] in network units."""
    camera: PinholeCamera
    """Of that size."""


class OdometrySteps:
    """Compares frames with earlier ones, and the motions with odometry once that has come."""

    def __init__(
        self, way: TravelledWay, running: RunningScale, clock_s: Callable[[], float]
    ) -> None:
        """Begin without a frame.

        Args:
            way: the vehicle's odometry, written to by another thread.
            running: is told of every measurement, and why there is none.
            clock_s: monotonic time.
        """
        self._way, self._running, self._clock_s = way, running, clock_s
        self._key: SeenFrame | None = None
        self._waiting: deque[tuple[int, int, FrameMotion]] = deque(maxlen=_WAITING)

    def look(self, seen: SeenFrame) -> None:
        """Take a frame in."""
        key = self._key
        step_ns = 0 if key is None else seen.stamp_ns - key.stamp_ns
        if key is None or not 0 < step_ns <= _LONGEST_STEP_NS or key.camera != seen.camera:
            if step_ns < 0:  # Time jumped back: their odometry comes no more.
                self._waiting.clear()
            self._key = seen
            return
        self._settle()
        # Odometry may come late: the way of the latest time of that length that is known.
        end_ns = min(seen.stamp_ns, self._way.newest_ns)
        so_far_m = self._way.between_m(end_ns - step_ns, end_ns)
        if so_far_m is not None and so_far_m < _LEAST_STEP_M:
            if step_ns > 0.5 * _LONGEST_STEP_NS:
                self._running.hold(STANDING if so_far_m < _STANDING_M else NO_MOTION)
            return
        motion = frame_motion(key.grey, key.depth, seen.grey, seen.camera)
        self._key = seen
        if motion is None:
            self._running.hold(NO_MOTION)
            return
        self._waiting.append((key.stamp_ns, seen.stamp_ns, motion))

    def _settle(self) -> None:
        """Use the motions whose odometry has come in meanwhile."""
        if not self._way.newest_ns:
            self._running.hold(NO_ODOMETRY)
        while self._waiting and self._waiting[0][1] <= self._way.newest_ns:
            first_ns, second_ns, motion = self._waiting.popleft()
            way_m = self._way.between_m(first_ns, second_ns)
            if way_m is None:
                self._running.hold(NO_ODOMETRY)
            elif way_m < _LEAST_STEP_M:
                self._running.hold(STANDING if way_m < _STANDING_M else NO_MOTION)
            elif motion.turn_rad > _MOST_TURN_PER_M * way_m:
                self._running.hold(TURNING)
            elif motion.distance_units > 0.0:
                self._running.add(way_m / motion.distance_units, self._clock_s())
