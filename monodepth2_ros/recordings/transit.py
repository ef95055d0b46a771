# SPDX-License-Identifier: Apache-2.0
"""Follows frames from a camera image to the depth of the same stamp: rates, latency, losses.

Times named ``clock_s`` are seconds of one steady clock.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from monodepth2_ros.monitoring import RateWindow


@dataclass(frozen=True, kw_only=True)
class TransitSummary:
    """What became of the frames of one run."""

    camera_frames: int
    """Images received."""
    depth_frames: int
    """Depth images received."""
    without_depth: int
    """Images that no depth of their stamp followed."""
    unasked_depth: int
    """Depth images whose stamp no image had."""
    camera_hz: float
    """Mean rate of the images by their receipt."""
    depth_hz: float
    """Mean rate of the depth images by their receipt."""
    latency_p50_ms: float
    """Median from receipt of an image to receipt of its depth; NaN without any."""
    latency_p95_ms: float
    """Exceeded by one frame in twenty."""
    latency_max_ms: float
    """Longest."""

    def as_dict(self) -> dict[str, float | None]:
        """The fields by name, None in place of NaN, as JSON wants it."""
        return {
            name: None if isinstance(value, float) and np.isnan(value) else value
            for name, value in asdict(self).items()
        }


class Transit:
    """Matches images and depth images by stamp."""

    def __init__(self) -> None:
        self.latencies_s: list[float] = []
        self._waiting: dict[int, float] = {}
        self._newest_answered_ns = -1
        self._early: set[int] = set()
        self._camera = _Arrivals()
        self._depth = _Arrivals()

    def image(self, stamp_ns: int, clock_s: float) -> None:
        """An image has arrived."""
        self._camera.add(clock_s)
        if stamp_ns in self._early:
            self._early.discard(stamp_ns)
        else:
            self._waiting[stamp_ns] = clock_s

    def depth(self, stamp_ns: int, clock_s: float) -> None:
        """A depth image has arrived."""
        self._depth.add(clock_s)
        asked_s = self._waiting.pop(stamp_ns, None)
        if asked_s is None:
            self._early.add(stamp_ns)
            return
        self.latencies_s.append(clock_s - asked_s)
        self._newest_answered_ns = max(self._newest_answered_ns, stamp_ns)

    @property
    def overtaken(self) -> int:
        """Images still without depth though a later one has got it."""
        return sum(stamp_ns < self._newest_answered_ns for stamp_ns in self._waiting)

    def line(self, clock_s: float) -> str:
        """The present state for people."""
        p50, p95, _ = _percentiles_ms(self.latencies_s[-50:])
        return (
            f'camera {self._camera.recent.rate_hz(clock_s):5.1f} Hz  '
            f'depth {self._depth.recent.rate_hz(clock_s):5.1f} Hz  '
            f'latency {p50:5.0f} ms median {p95:5.0f} ms p95  '
            f'{self._camera.count} in  {self._depth.count} out  {self.overtaken} dropped'
        )

    def summary(self) -> TransitSummary:
        """The figures of the whole run."""
        p50, p95, longest = _percentiles_ms(self.latencies_s)
        return TransitSummary(
            camera_frames=self._camera.count,
            depth_frames=self._depth.count,
            without_depth=len(self._waiting),
            unasked_depth=len(self._early),
            camera_hz=self._camera.mean_hz,
            depth_hz=self._depth.mean_hz,
            latency_p50_ms=p50,
            latency_p95_ms=p95,
            latency_max_ms=longest,
        )


class _Arrivals:
    """Counts arrivals, recent and in all."""

    def __init__(self) -> None:
        self.count = 0
        self.recent = RateWindow(3.0)
        self._first_s = 0.0
        self._last_s = 0.0

    def add(self, clock_s: float) -> None:
        """One more."""
        self._first_s = clock_s if not self.count else self._first_s
        self._last_s = clock_s
        self.count += 1
        self.recent.add(clock_s)

    @property
    def mean_hz(self) -> float:
        """Rate from the first to the last; 0 below two."""
        span_s = self._last_s - self._first_s
        return (self.count - 1) / span_s if span_s > 0 else 0.0


def _percentiles_ms(values_s: list[float]) -> tuple[float, float, float]:
    if not values_s:
        return float('nan'), float('nan'), float('nan')
    p50, p95, longest = np.percentile(np.array(values_s) * 1e3, (50, 95, 100))
    return float(p50), float(p95), float(longest)
