# SPDX-License-Identifier: Apache-2.0
"""Which earlier and later frames a frame is compared with, and which frame of the other camera.

A neighbour is the nearest frame that is far enough in time and in motion. Frames of two parts, or
with a gap between them, are never neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from monodepth2_training.data.frame_store import FrameTable

Indices = NDArray[np.int64]

MAX_GAP_PERIODS = 2.5
"""More than this many periods between two frames is a gap, unless they are nearer than the
shortest step and one period."""

_PERIODS_AROUND = 7


@dataclass(frozen=True, kw_only=True)
class Step:
    """How far a neighbour has to be."""

    min_motion: float
    """Motion that is enough, as a share of the image width."""
    min_ns: int
    """Shortest time."""
    max_ns: int
    """Longest time, whatever the motion."""


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """Neighbours of the N frames of one camera on one side, earlier or later."""

    index: Indices
    """The nearest frame with enough time and motion between, or else the furthest that is near
    enough in time; [N], -1 where there is none."""
    by_time: Indices
    """The nearest frame with enough time between, whatever the motion; [N], -1 as in ``index``."""
    motion: NDArray[np.float64]
    """Motion between a frame and ``by_time``, as a share of the width; [N], 0 without one."""


def find_neighbours(table: FrameTable, step: Step) -> tuple[Neighbours, Neighbours]:
    """Earlier and later neighbours of all frames of one camera."""
    earlier, later = [], []
    for stretch in stretches(table, step):
        times = table.stamps_ns[stretch]
        travelled = np.cumsum(_motion_since_last(table, stretch))
        backward = _mirrored(_ahead(-times[::-1], -travelled[::-1], step))
        earlier.append(_shifted(backward, stretch.start))
        later.append(_shifted(_ahead(times, travelled, step), stretch.start))
    return _joined(earlier), _joined(later)


def stretches(table: FrameTable, step: Step) -> list[slice]:
    """Cut the frames where a part begins, motion is not known or there is a gap in time."""
    elapsed, periods = np.diff(table.stamps_ns), periods_ns(table)[1:]
    gaps_ns = np.maximum(MAX_GAP_PERIODS * periods, step.min_ns + periods)
    cut = (np.diff(table.part) != 0) | np.isnan(table.motion[1:]) | (elapsed < 0)
    starts = np.flatnonzero(cut | (elapsed > np.minimum(gaps_ns, step.max_ns))) + 1
    edges = [0, *starts.tolist(), len(table)]
    return [slice(begin, end) for begin, end in pairwise(edges)]


def period_ns(table: FrameTable) -> float:
    """Median time between two frames of a part; 0 where there are no such two."""
    elapsed = np.diff(table.stamps_ns)[np.diff(table.part) == 0]
    elapsed = elapsed[elapsed > 0]
    return float(np.median(elapsed)) if len(elapsed) else 0.0


def periods_ns(table: FrameTable) -> NDArray[np.float64]:
    """Time between the frames of a part around each frame, the median of a few; float64 [N].

    Recordings of one store, and a camera in poor light, have frame rates of their own. A frame
    that is alone in its part has 0.
    """
    periods = np.zeros(len(table))
    begins = np.flatnonzero(np.diff(table.part)) + 1
    for begin, end in pairwise([0, *begins.tolist(), len(table)]):
        if end - begin > 1:
            running = _running_median(np.diff(table.stamps_ns[begin:end]))
            periods[begin:end] = np.concatenate([running[:1], running])
    return periods


def find_partners(
    times_ns: Indices, other_ns: Indices, own: FrameTable, other: FrameTable
) -> Indices:
    """For each time the index of the one of the other times [M], ascending, at its moment.

    Two times are of one moment if each is the nearest one to the other: of a camera that is
    twice as fast every second frame has no partner.

    Args:
        times_ns: int64 [N], ascending.
        other_ns: int64 [M].
        own: the frames of the times.
        other: those of the other times; farther apart than half the shorter one of their periods
            around there, two frames do not show the same moment.

    Returns:
        int64 [N]; -1 where there is none.
    """
    if not (len(times_ns) and len(other_ns)):
        return np.full(len(times_ns), -1)
    nearest = _nearest(times_ns, other_ns)
    mutual = _nearest(other_ns, times_ns)[nearest] == np.arange(len(times_ns))
    near_ns = 0.5 * np.minimum(periods_ns(own), periods_ns(other)[nearest])
    near = np.abs(other_ns[nearest] - times_ns) <= near_ns
    return np.where(mutual & near, nearest, -1)


def _nearest(times_ns: Indices, other_ns: Indices) -> Indices:
    """For each time [N] the index of the nearest of the other times [M], ascending; M > 0."""
    after = np.searchsorted(other_ns, times_ns).clip(max=len(other_ns) - 1)
    before = (after - 1).clip(min=0)
    nearer = np.abs(other_ns[before] - times_ns) <= np.abs(other_ns[after] - times_ns)
    return np.where(nearer, before, after)


def _running_median(values: Indices) -> NDArray[np.float64]:
    """Median of each of N values and of those around it; float64 [N]."""
    padded = np.pad(values.astype(np.float64), _PERIODS_AROUND, constant_values=np.nan)
    medians: NDArray[np.float64] = np.nanmedian(
        sliding_window_view(padded, 2 * _PERIODS_AROUND + 1), axis=1
    )
    return medians


def _motion_since_last(table: FrameTable, stretch: slice) -> NDArray[np.float64]:
    """Motion of each frame against the one before it in the stretch; 0 for the first."""
    motion = table.motion[stretch].astype(np.float64)
    motion[:1] = 0.0
    return motion


def _ahead(times: Indices, travelled: NDArray[np.float64], step: Step) -> Neighbours:
    """Later neighbours within one stretch; both arguments ascend."""
    by_time = np.searchsorted(times, times + step.min_ns)
    by_motion = np.searchsorted(travelled, travelled + step.min_motion)
    furthest = np.searchsorted(times, times + step.max_ns, side='right') - 1
    found = by_time <= furthest
    near = np.minimum(by_time, len(times) - 1)
    chosen = np.minimum(np.maximum(by_time, by_motion), furthest)
    return Neighbours(
        index=np.where(found, chosen, -1),
        by_time=np.where(found, near, -1),
        motion=np.where(found, travelled[near] - travelled, 0.0),
    )


def _mirrored(ahead: Neighbours) -> Neighbours:
    """Neighbours found in reversed time, as indices of time running forward."""
    last = len(ahead.index) - 1
    return Neighbours(
        index=np.where(ahead.index < 0, -1, last - ahead.index)[::-1],
        by_time=np.where(ahead.by_time < 0, -1, last - ahead.by_time)[::-1],
        motion=ahead.motion[::-1],
    )


def _shifted(part: Neighbours, start: int) -> Neighbours:
    """Neighbours within a stretch, as indices of the whole camera."""
    return Neighbours(
        index=np.where(part.index < 0, -1, part.index + start),
        by_time=np.where(part.by_time < 0, -1, part.by_time + start),
        motion=part.motion,
    )


def _joined(parts: Sequence[Neighbours]) -> Neighbours:
    """The neighbours of consecutive stretches as one."""
    return Neighbours(
        index=np.concatenate([part.index for part in parts]),
        by_time=np.concatenate([part.by_time for part in parts]),
        motion=np.concatenate([part.motion for part in parts]),
    )
