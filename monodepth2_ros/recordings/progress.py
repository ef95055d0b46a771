# SPDX-License-Identifier: Apache-2.0
"""Counts what a player has published and says how far it is.

Times named ``clock_s`` are seconds of one steady clock.
"""

from __future__ import annotations

from collections import Counter

from monodepth2_ros.recordings.playback import Clip


class Tally:
    """What has been played so far."""

    def __init__(self, started_clock_s: float) -> None:
        self.started_clock_s = started_clock_s
        self.last_clock_s = started_clock_s
        self.counts: Counter[str] = Counter()
        self.frames = 0
        self.latest_s = 0.0

    @property
    def messages(self) -> int:
        """Messages on all topics."""
        return sum(self.counts.values())

    def add(self, topic: str, clock_s: float, *, frame: bool, late_s: float) -> None:
        """One more message has been published, this long after it was due."""
        self.last_clock_s = clock_s
        self.counts[topic] += 1
        self.frames += frame
        self.latest_s = max(self.latest_s, late_s)

    def summary(self) -> str:
        """All of it in one line."""
        elapsed_s = max(self.last_clock_s - self.started_clock_s, 1e-9)
        return (
            f'{self.frames} frames, {self.messages} messages in {elapsed_s:.1f} s '
            f'({self.frames / elapsed_s:.1f} frames/s), at most {self.latest_s * 1e3:.0f} ms late'
        )


class Progress:
    """Says at intervals how far the playback of a clip is."""

    def __init__(self, clip: Clip, tally: Tally, period_s: float, *, clock_s: float) -> None:
        self._clip = clip
        self._tally = tally
        self._period_s = period_s
        self._said_s = clock_s
        self._said_frames = tally.frames

    def line(self, stamp_ns: int, clock_s: float) -> str | None:
        """Where the playback is, once a period; None in between and when the period is 0."""
        elapsed_s = clock_s - self._said_s
        if not self._period_s or elapsed_s < self._period_s:
            return None
        played_s = max(0, stamp_ns - self._clip.start_ns) / 1e9
        share = played_s / max(self._clip.duration_s, 1e-9)
        rate = (self._tally.frames - self._said_frames) / elapsed_s
        self._said_s, self._said_frames = clock_s, self._tally.frames
        return (
            f'{share:4.0%}  {played_s:.1f} of {self._clip.duration_s:.1f} s  '
            f'{self._tally.frames} frames ({rate:.1f}/s)  {self._tally.messages} messages  '
            f'at most {self._tally.latest_s * 1e3:.0f} ms late'
        )
