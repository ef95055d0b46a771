# SPDX-License-Identifier: Apache-2.0
"""One camera's book-keeping, safe to write from the receiving and the computing thread."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from monodepth2_ros.monitoring import (
    DeliveryCheck,
    Drop,
    DurationSummary,
    DurationWindow,
    FrameCounts,
    FrameLedger,
    RateWindow,
    SilenceWatch,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNWANTED = (Drop.NO_SUBSCRIBER, Drop.DISABLED, Drop.INACTIVE)
"""Causes of drops while nobody waits for depth."""


@dataclass(frozen=True, kw_only=True)
class MonitorReport:
    """The state of one camera's stream at one moment."""

    counts: FrameCounts
    """Balance of all frames since the node was made."""
    input_rate_hz: float
    """Frames received a second."""
    output_rate_hz: float
    """Frames answered a second."""
    silent_s: float
    """Seconds since the last frame, or since activation."""
    heard: bool
    """Whether any frame has come since activation."""
    output_age_s: float | None
    """Seconds since the last answer; None before the first."""
    stamp_to_publish: DurationSummary | None
    """From the frame's stamp to its answer, on the node's clock; None if never plausible."""
    receive_to_publish: DurationSummary | None
    """From the frame's arrival to its answer."""
    stages: dict[str, DurationSummary]
    """Time of each stage."""
    backward_jumps: int
    """How often stamps went backwards."""
    transport_lost: int
    """Images that the middleware reports as lost."""
    delivery: str | None
    """Which images are missing, in words; None if none is."""
    consecutive_failures: int
    """Internal errors since the last answer, or since activation."""
    fruitless_s: float
    """Seconds since the first of the frames that should have been answered and were not."""
    fruitless: dict[Drop, int]
    """Those frames by cause; empty if the last one was answered, or left out on purpose."""


class FrameMonitor:
    """Counts frames by fate and keeps the windows that rates and latencies come from."""

    def __init__(self, now_s: float) -> None:
        self._lock = threading.Lock()
        self._ledger = FrameLedger()
        self._backward_jumps = 0
        self._transport_lost = 0
        self._start_windows(now_s)

    def _start_windows(self, now_s: float) -> None:
        self._input, self._output = RateWindow(), RateWindow()
        self._silence, self._answer = SilenceWatch(now_s), SilenceWatch(now_s)
        self._stamp_latency, self._receive_latency = DurationWindow(), DurationWindow()
        self._stages: dict[str, DurationWindow] = {}
        self._delivery = DeliveryCheck()
        self._last_stamp_ns = 0
        self._consecutive_failures = 0
        self._fruitless: Counter[Drop] = Counter()
        self._fruitless_since_s = now_s

    def restart(self, now_s: float) -> None:
        """Begin anew, as on activation; the counts alone go on."""
        with self._lock:
            self._start_windows(now_s)

    def received(self, now_s: float, *, stamp_ns: int) -> bool:
        """A frame has arrived; True if its stamp lies before the previous one's."""
        with self._lock:
            if not self._fruitless:
                self._fruitless_since_s = now_s
            self._ledger.received()
            self._input.add(now_s)
            self._silence.seen(now_s)
            backwards = stamp_ns < self._last_stamp_ns
            if backwards:
                self._backward_jumps += 1
                self._stamp_latency.clear()
                self._delivery.clear()
            self._last_stamp_ns = stamp_ns
            self._delivery.image(now_s, stamp_ns)
        return backwards

    def camera_info(self, now_s: float) -> None:
        """A camera_info has arrived."""
        with self._lock:
            self._delivery.camera_info(now_s)

    def lost_in_transport(self, images: int) -> None:
        """The middleware reports that many more images as lost."""
        with self._lock:
            self._transport_lost += images

    def dropped(self, cause: Drop) -> int:
        """A frame gave no answer; returns the internal errors in a row, this one included."""
        with self._lock:
            self._ledger.dropped(cause)
            self._consecutive_failures += cause is Drop.FAILED
            if cause in _UNWANTED:
                self._fruitless.clear()
            elif cause is not Drop.RATE_LIMITED:
                self._fruitless[cause] += 1
            return self._consecutive_failures

    def published(
        self,
        now_s: float,
        *,
        received_s: float,
        stamp_age_s: float,
        stages_s: Mapping[str, float],
    ) -> None:
        """A frame has been answered.

        Args:
            now_s: when, on the monotonic clock.
            received_s: when the frame had arrived, on the same clock.
            stamp_age_s: age of the frame's stamp on the clock that made the stamp.
            stages_s: seconds that each stage took.
        """
        with self._lock:
            self._ledger.published()
            self._consecutive_failures = 0
            self._fruitless.clear()
            self._output.add(now_s)
            self._answer.seen(now_s)
            self._receive_latency.add(now_s - received_s)
            self._stamp_latency.add(stamp_age_s)
            for stage, duration_s in stages_s.items():
                self._stages.setdefault(stage, DurationWindow()).add(duration_s)

    def report(self, now_s: float) -> MonitorReport:
        """The state of the stream now."""
        with self._lock:
            summaries = {stage: window.summary() for stage, window in self._stages.items()}
            return MonitorReport(
                counts=self._ledger.counts(),
                input_rate_hz=self._input.rate_hz(now_s),
                output_rate_hz=self._output.rate_hz(now_s),
                silent_s=self._silence.silent_s(now_s),
                heard=self._silence.heard,
                output_age_s=self._answer.silent_s(now_s) if self._answer.heard else None,
                stamp_to_publish=self._stamp_latency.summary(),
                receive_to_publish=self._receive_latency.summary(),
                stages={stage: s for stage, s in summaries.items() if s is not None},
                backward_jumps=self._backward_jumps,
                transport_lost=self._transport_lost,
                delivery=self._delivery.finding(now_s),
                consecutive_failures=self._consecutive_failures,
                fruitless_s=now_s - self._fruitless_since_s,
                fruitless=dict(self._fruitless),
            )
