# SPDX-License-Identifier: Apache-2.0
"""What became of every frame: counts by cause, rates, latencies, and whether the camera is heard.

Times named ``now_s`` are seconds of one monotonic clock. ``FrameMonitor`` does the locking.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, deque
from dataclasses import dataclass, field
from enum import Enum

_UNSTEADINESS = 0.3


class Drop(str, Enum):
    """Why a received frame gave no output; the value is how diagnostics name it."""

    REPLACED = 'a newer frame came'
    RATE_LIMITED = 'over max_rate_hz'
    NO_SUBSCRIBER = 'nobody listens'
    DISABLED = 'disabled by service'
    INACTIVE = 'node deactivated'
    BAD_IMAGE = 'image not decodable'
    UNSUPPORTED_ENCODING = 'encoding not supported'
    CAMERA_REFUSED = 'camera refused'
    NO_CALIBRATION = 'cloud or camera_info without calibration'
    FAILED = 'internal error'


@dataclass(frozen=True, kw_only=True)
class FrameCounts:
    """The balance of all frames: received = published + dropped + in flight."""

    received: int = 0
    """Frames that reached the node."""
    published: int = 0
    """Frames that were answered with at least one message."""
    dropped: dict[Drop, int] = field(default_factory=dict)
    """Frames without an answer, by cause; causes that never occurred are absent."""

    @property
    def in_flight(self) -> int:
        """Frames that wait in the mailbox or are being computed."""
        return self.received - self.published - sum(self.dropped.values())


class FrameLedger:
    """Counts what came in, what went out, and why the difference."""

    def __init__(self) -> None:
        self._received = 0
        self._published = 0
        self._dropped: Counter[Drop] = Counter()

    def received(self) -> None:
        """One more frame has reached the node."""
        self._received += 1

    def published(self) -> None:
        """One more frame has been answered."""
        self._published += 1

    def dropped(self, cause: Drop) -> None:
        """One more frame has been given up."""
        self._dropped[cause] += 1

    def counts(self) -> FrameCounts:
        """The balance so far."""
        return FrameCounts(
            received=self._received, published=self._published, dropped=dict(self._dropped)
        )


class RateWindow:
    """The rate of events over the last seconds; it decays as soon as they stop."""

    def __init__(self, window_s: float = 5.0) -> None:
        self._window_s = window_s
        self._times_s: deque[float] = deque(maxlen=10_000)

    def add(self, now_s: float) -> None:
        """An event has happened."""
        self._times_s.append(now_s)

    def count(self, now_s: float) -> int:
        """Events inside the window."""
        while self._times_s and self._times_s[0] < now_s - self._window_s:
            self._times_s.popleft()
        return len(self._times_s)

    def rate_hz(self, now_s: float) -> float:
        """Events a second; 0 below two events."""
        intervals = self.count(now_s) - 1
        span_s = self._times_s[-1] - self._times_s[0] if intervals > 0 else 0.0
        if span_s <= 0.0:
            return 0.0
        if now_s - self._times_s[-1] > 1.5 * span_s / intervals:
            span_s = now_s - self._times_s[0]
        return intervals / span_s

    def clear(self) -> None:
        """Forget all events."""
        self._times_s.clear()


@dataclass(frozen=True, kw_only=True)
class DurationSummary:
    """Median, 95th percentile and maximum of recent durations, in seconds."""

    p50_s: float
    """Median."""
    p95_s: float
    """Exceeded by one in twenty."""
    max_s: float
    """Longest."""


class DurationWindow:
    """The durations of the last frames; impossible ones are left out."""

    def __init__(self, length: int = 300, *, plausible_s: float = 60.0) -> None:
        self._values_s: deque[float] = deque(maxlen=length)
        self._plausible_s = plausible_s

    def add(self, duration_s: float) -> None:
        """Take a duration in, unless it is negative, not finite or implausibly long."""
        if 0.0 <= duration_s <= self._plausible_s:
            self._values_s.append(duration_s)

    def summary(self) -> DurationSummary | None:
        """Percentiles by the nearest-rank rule; None without any duration."""
        values_s = sorted(self._values_s)
        if not values_s:
            return None
        p50_s, p95_s = (values_s[math.ceil(q * len(values_s)) - 1] for q in (0.5, 0.95))
        return DurationSummary(p50_s=p50_s, p95_s=p95_s, max_s=values_s[-1])

    def clear(self) -> None:
        """Forget all durations."""
        self._values_s.clear()


class SilenceWatch:
    """Tells how long a source has been silent, counting from its start."""

    def __init__(self, now_s: float) -> None:
        self._since_s = now_s
        self.heard = False

    def seen(self, now_s: float) -> None:
        """The source has spoken."""
        self._since_s = now_s
        self.heard = True

    def silent_s(self, now_s: float) -> float:
        """Seconds since the source spoke last, or since the start of the watch."""
        return now_s - self._since_s


class LogThrottle:
    """Lets one line a second through for each cause and remembers how many it held back."""

    def __init__(self, period_s: float = 1.0) -> None:
        self._period_s = period_s
        self._last_s: dict[str, float] = {}
        self._held: Counter[str] = Counter()

    def admit(self, cause: str, now_s: float) -> int | None:
        """None to hold a line back, else the number of lines held back since the last one."""
        if now_s - self._last_s.get(cause, -math.inf) < self._period_s:
            self._held[cause] += 1
            return None
        self._last_s[cause] = now_s
        return self._held.pop(cause, 0)


class DeliveryCheck:
    """Notices images that their publisher sent and that never arrived.

    Two witnesses: the camera_info that travels beside each image and is too small to get lost, and
    where that is missing the stamps, whose shortest regular spacing is the camera's period. Lost
    images leave irregular gaps; a camera that pauses, takes pairs or changes its rate does not.
    """

    _LEAST = 10
    _CAMERA_INFO_SHARE = 0.8
    _STAMP_SHARE = 0.5

    def __init__(self, window_s: float = 5.0) -> None:
        self._images = RateWindow(window_s)
        self._camera_infos = RateWindow(window_s)
        self._stamps_ns: deque[tuple[float, int]] = deque(maxlen=1_000)
        self._window_s = window_s

    def image(self, now_s: float, stamp_ns: int) -> None:
        """An image has arrived."""
        self._images.add(now_s)
        self._stamps_ns.append((now_s, stamp_ns))

    def camera_info(self, now_s: float) -> None:
        """A camera_info has arrived."""
        self._camera_infos.add(now_s)

    def clear(self) -> None:
        """Forget everything, as after a jump of the stamps."""
        self._images.clear()
        self._camera_infos.clear()
        self._stamps_ns.clear()

    def finding(self, now_s: float) -> str | None:
        """What is missing, in words; None if nothing is."""
        images, infos = self._images.count(now_s), self._camera_infos.count(now_s)
        if infos < max(self._LEAST, self._CAMERA_INFO_SHARE * images):
            return self._against_stamps(now_s)
        if images >= self._CAMERA_INFO_SHARE * infos:
            return None
        return f'only {images} images arrived beside {infos} camera_info'

    def _against_stamps(self, now_s: float) -> str | None:
        while self._stamps_ns and self._stamps_ns[0][0] < now_s - self._window_s:
            self._stamps_ns.popleft()
        stamps_ns = [stamp_ns for _, stamp_ns in self._stamps_ns]
        spacings_ns = [b - a for a, b in itertools.pairwise(stamps_ns)]
        if len(spacings_ns) < self._LEAST or min(spacings_ns) < 0 or max(spacings_ns) == 0:
            return None
        period_ns = sorted(spacings_ns)[len(spacings_ns) // 4]
        expected = (stamps_ns[-1] - stamps_ns[0]) / period_ns if period_ns else 0.0
        if len(spacings_ns) >= self._STAMP_SHARE * expected or _has_rhythm(spacings_ns):
            return None
        return (
            f'only {len(spacings_ns)} of about {expected:.0f} images arrived '
            f'(their stamps are multiples of {period_ns / 1e6:.0f} ms)'
        )


def _has_rhythm(spacings_ns: list[int]) -> bool:
    """Whether more than half of the spacings are like the one before, or like that 2 or 3 before.

    So they are while every image arrives. Where more than half of the images are lost, each by
    chance, about a third of them at most is.
    """
    return any(
        2 * sum(map(_alike, spacings_ns, spacings_ns[lag:])) > len(spacings_ns) - lag
        for lag in (1, 2, 3)
    )


def _alike(one_ns: int, other_ns: int) -> bool:
    """Whether two spacings are equal but for the unsteadiness of a camera."""
    return abs(one_ns - other_ns) <= _UNSTEADINESS * max(one_ns, other_ns)
