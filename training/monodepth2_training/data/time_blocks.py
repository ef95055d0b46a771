# SPDX-License-Identifier: Apache-2.0
"""Sets blocks of time aside for validation, so that no frame serves both sides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monodepth2_training.data.frame_store import FrameTable

Times = NDArray[np.int64]

MAX_BLOCKS = 5
"""Enough to show different places, few enough that little is lost at their edges."""

_MAX_LOSS = 0.25
_LONGEST_PAUSE_NS = 3600 * 10**9


def clocks(tables: Sequence[FrameTable]) -> tuple[Times, ...]:
    """Times in ns that ascend in all cameras, even where the stamps of recordings leap back.

    Recordings of a simulator all begin at 0, and a computer without a clock begins in 1970.
    Whatever follows a leap back is moved behind everything before it, by the same time in every
    camera; pauses of more than an hour become an hour.
    """
    stamps = [table.stamps_ns for table in tables]
    times, laps = np.concatenate(stamps), np.concatenate([_leaps_before(one) for one in stamps])
    order = np.lexsort((times, laps))
    passed_ns = np.diff(times[order], prepend=times[order][:1])
    passed_ns[np.diff(laps[order], prepend=0) > 0] = _LONGEST_PAUSE_NS
    clock = np.empty_like(times)
    clock[order] = np.cumsum(np.minimum(passed_ns, _LONGEST_PAUSE_NS))
    return tuple(np.split(clock, np.cumsum([len(one) for one in stamps])[:-1]))


def choose_blocks(times: Times, clock: Times, share: float) -> Times:
    """Find blocks of validation, spread evenly over a clock.

    As many, up to ``MAX_BLOCKS``, as cost at most a quarter of the items in them, whose sources
    reach over an edge.

    Args:
        times: int64 [N, F], times of the F frames of each item, the target's first.
        clock: int64 [M], ascending times of one camera's frames; edges lie midway between them,
            so that what two cameras see at one moment is on one side.
        share: of the clock's frames, 0 to 0.5.

    Returns:
        int64 [2 * blocks], ascending: begin, end, begin, end, ...
    """
    for blocks in range(MAX_BLOCKS, 1, -1):
        edges = _spread(clock, share, blocks)
        inside = in_blocks(times, edges)
        if inside.all(axis=1).sum() >= (1.0 - _MAX_LOSS) * max(1, inside[:, 0].sum()):
            return edges
    return _spread(clock, share, 1)


def in_blocks(times: Times, edges: Times) -> NDArray[np.bool_]:
    """Which times lie behind a begin and before its end; of any shape."""
    inside: NDArray[np.bool_] = np.searchsorted(edges, times) % 2 == 1
    return inside


def _leaps_before(times: Times) -> Times:
    """How many leaps back in time come before each frame, [N]."""
    leaps = np.zeros(len(times), np.int64)
    leaps[1:] = np.cumsum(np.diff(times) < 0)
    return leaps


def _spread(clock: Times, share: float, blocks: int) -> Times:
    """Edges of equally long blocks, each in the middle of its part of the clock."""
    middles = (np.arange(blocks) + 0.5) * len(clock) / blocks
    half = 0.5 * share * len(clock) / blocks
    first = np.stack([middles - half, middles + half], axis=1).round().astype(np.int64).ravel()
    between = clock[:-1] + np.diff(clock) // 2
    if len(between) == 0:
        return clock[:0]
    edges: Times = between[(first - 1).clip(0, len(between) - 1)]
    return edges
