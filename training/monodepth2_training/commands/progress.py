# SPDX-License-Identifier: Apache-2.0
"""The progress line of a verb: how far it is, how fast, how long still."""

from __future__ import annotations

import sys
import time


class ProgressLine:
    """One line on a terminal that is written over; elsewhere a line each 10 s."""

    def __init__(self, total: int) -> None:
        """Begin at 0 of ``total`` frames."""
        self._total, self._done = total, 0
        self._begun: int | None = None
        self._live = sys.stderr.isatty()
        self._period_s = 0.2 if self._live else 10.0
        self._started_s = self._said_s = time.monotonic()

    def step(self) -> None:
        """One more frame is done."""
        self._begun = 0
        self.reach(self._done + 1, self._total)

    def reach(self, done: int, total: int) -> None:
        """So many frames of so many are done; the first call says where this run began."""
        self._begun = done if self._begun is None else self._begun
        self._done, self._total = done, max(total, done)
        now_s = time.monotonic()
        if now_s - self._said_s < self._period_s and (done < self._total or not self._live):
            return
        self._said_s = now_s
        rate = max(done - self._begun, 1) / max(now_s - self._started_s, 1e-9)
        filled = 24 * done // max(self._total, 1)
        line = (
            f'[{"#" * filled}{"." * (24 - filled)}] {done}/{self._total} frames  {rate:.1f}/s  '
            f'{(self._total - done) / rate:.0f} s left'
        )
        print(f'\r{line}' if self._live else line, end='' if self._live else '\n', file=sys.stderr)

    def close(self) -> None:
        """Leave the line."""
        if self._live and self._done:
            print(file=sys.stderr)
