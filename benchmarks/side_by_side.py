# SPDX-License-Identifier: Apache-2.0
"""Candidates that take turns, so that other work on the machine hits all of them alike."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

_WARM_UPS = 3
_SPIN = 'while True: pass'


@dataclass(kw_only=True)
class Times:
    """How long a candidate took, in milliseconds, without its first rounds."""

    wall_ms: list[float] = field(default_factory=list)
    """Of each round."""
    cpu_ms: list[float] = field(default_factory=list)
    """Processor time of each round, over all threads."""

    @property
    def p50_ms(self) -> float:
        """Median of wall time."""
        return statistics.median(self.wall_ms)

    @property
    def p90_ms(self) -> float:
        """90th percentile of wall time."""
        return statistics.quantiles(self.wall_ms, n=10)[-1]


def take_turns(candidates: Sequence[Callable[[], object]], *, rounds: int) -> list[Times]:
    """Run every candidate once a round, after three rounds that do not count.

    Args:
        candidates: what to time.
        rounds: how many count, two at least.

    Returns:
        the times of each.
    """
    all_times = [Times() for _ in candidates]
    for index in range(rounds + _WARM_UPS):
        for run, times in zip(candidates, all_times, strict=True):
            wall_s, cpu_s = time.perf_counter(), time.process_time()
            run()
            if index >= _WARM_UPS:
                times.wall_ms.append(1e3 * (time.perf_counter() - wall_s))
                times.cpu_ms.append(1e3 * (time.process_time() - cpu_s))
    return all_times


@contextmanager
def busy_cores() -> Iterator[None]:
    """Keep every core that this process may use busy with a process of its own."""
    processes = [subprocess.Popen([sys.executable, '-c', _SPIN]) for _ in os.sched_getaffinity(0)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()
