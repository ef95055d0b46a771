# SPDX-License-Identifier: Apache-2.0
"""How far apart the clocks of pictures and odometry are, from the turns that both saw.

When a vehicle turns, everything in its picture moves sideways, near and far alike, in proportion
to the rate of turn. The shift in time at which the odometry's turns explain that motion best is
the offset of the clocks. It shows only where a recording turns; leaving out one quarter of the
time after another tells how sure it is.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.geometry.poses import rotation_matrices
from monodepth2_ros.inference.travelled import MOST_GAP_S
from monodepth2_training.data.frame_store import FrameStore, FrameTable
from monodepth2_training.data.runs import runs_of

Floats = NDArray[np.float64]

MOST_OFFSET_S = 1.0
"""Offsets are searched for up to this."""

_STEP_S = 0.05
_LEAST_PAIRS = 60
_MOST_PAIRS = 4000
_QUARTERS = 4
_SURE_S = 0.08
_LEAST_EXPLAINED = 0.5
_LEAST_SHARPNESS = 0.15
_WORTH_CORRECTING_S = 0.03


@dataclass(frozen=True, kw_only=True)
class ClockOffset:
    """How far the stamps of odometry lie behind those of pictures."""

    offset_s: float
    """The odometry of a picture stamped t is that stamped t + offset_s."""
    spread_s: float
    """Most by which it changes when a quarter of the time is left out."""
    explained: float
    """Share of the pictures' sideways motion that the odometry's turns explain, 0 to 1."""
    sharpness: float
    """By how much that share is less at offsets of ``MOST_OFFSET_S``."""

    @property
    def is_sure(self) -> bool:
        """Whether the recording turns enough to tell."""
        return (
            self.spread_s <= _SURE_S
            and self.explained >= _LEAST_EXPLAINED
            and self.sharpness >= _LEAST_SHARPNESS
            and abs(self.offset_s) < MOST_OFFSET_S - _STEP_S
        )

    @property
    def correction_s(self) -> float:
        """What to add to a picture's stamp to find its odometry; 0 unless sure and large."""
        worth = abs(self.offset_s) > max(_WORTH_CORRECTING_S, self.spread_s)
        return self.offset_s if self.is_sure and worth else 0.0

    def text(self) -> str:
        """In words."""
        if not self.is_sure:
            return (
                'whether odometry and pictures share a clock cannot be told: the recording turns '
                'too little, or the odometry holds no turns'
            )
        found = (
            f'odometry is {abs(self.offset_s):.2f} s {"late" if self.offset_s > 0 else "early"} '
            f'against the pictures (within {max(self.spread_s, 0.01):.2f} s)'
        )
        return f'{found}; corrected' if self.correction_s else f'{found}; left as it is'


@functools.lru_cache(maxsize=8)
def estimate_clock_offset(store: FrameStore, camera: int) -> ClockOffset | None:
    """Estimate the offset for one camera.

    Returns:
        None where fewer than ``_LEAST_PAIRS`` pairs of pictures have odometry all around, and for
        generated drives, which have one clock.
    """
    if store.is_generated:
        return None
    offsets_s = np.arange(-MOST_OFFSET_S, MOST_OFFSET_S + 0.5 * _STEP_S, _STEP_S)
    shifts, turns = _signals(store, camera, offsets_s)
    if len(shifts) < _LEAST_PAIRS:
        return None
    shares = _explained(shifts, turns)
    quarters = np.arange(len(shifts)) * _QUARTERS // len(shifts)
    others = [
        _peak(offsets_s, _explained(shifts[quarters != q], turns[:, quarters != q]))
        for q in range(_QUARTERS)
    ]
    offset_s = _peak(offsets_s, shares)
    return ClockOffset(
        offset_s=offset_s,
        spread_s=float(np.abs(np.array(others) - offset_s).max()),
        explained=float(shares.max()),
        sharpness=float(shares.max() - max(shares[0], shares[-1])),
    )


def _signals(store: FrameStore, camera: int, offsets_s: Floats) -> tuple[Floats, Floats]:
    """Sideways motion in px/s [N], and turn rates about three axes [T, N, 3] at each offset."""
    table = store.frames(camera)
    all_shifts, all_turns = [np.empty(0)], [np.empty((len(offsets_s), 0, 3))]
    for begin, end in _known_stretches(table):
        stamps_s = (table.stamps_ns[begin:end] - table.stamps_ns[begin]) / 1e9
        inside = (stamps_s[:-1] >= MOST_OFFSET_S) & (stamps_s[1:] <= stamps_s[-1] - MOST_OFFSET_S)
        if not inside.any() or sum(map(len, all_shifts)) > _MOST_PAIRS:
            continue
        elapsed_s = np.diff(stamps_s)
        turned = _turned_rad(table.odometry[begin:end])
        shifted = [
            [np.diff(np.interp(stamps_s + offset, stamps_s, axis)) for axis in turned.T]
            for offset in offsets_s
        ]
        rates = np.array(shifted).transpose(0, 2, 1) / elapsed_s[:, None]
        all_shifts.append((_shifts_px(store, camera, begin, end) / elapsed_s)[inside])
        all_turns.append(rates[:, inside])
    return np.concatenate(all_shifts), np.concatenate(all_turns, axis=1)


def _known_stretches(table: FrameTable) -> list[tuple[int, int]]:
    """Begin and end of runs of frames with odometry and without a gap."""
    known = np.isfinite(table.odometry.sum(axis=1))
    elapsed_ns = np.diff(table.stamps_ns)
    joined = known[1:] & known[:-1] & (np.diff(table.part) == 0)
    joined &= (elapsed_ns > 0) & (elapsed_ns <= MOST_GAP_S * 1e9)
    return [(int(begin), int(end) + 1) for begin, end in runs_of(joined)]


def _shifts_px(store: FrameStore, camera: int, begin: int, end: int) -> Floats:
    """Sideways motion [N - 1] between frames, by phase correlation of what is far: the top."""
    rows = store.height // 2
    window = cv2.createHanningWindow((store.width, rows), cv2.CV_32F)
    shifts, before = [], None
    for index in range(begin, end):
        picture = store.image(camera, index)[1, :rows].astype(np.float32)
        if before is not None:
            shifts.append(cv2.phaseCorrelate(before, picture, window)[0][0])
        before = picture
    return np.array(shifts, np.float64)


def _turned_rad(rows: Floats) -> Floats:
    """Sum of the small turns about the frame's own axes [N, 3] since the first of rows [N, 8]."""
    R = rotation_matrices(rows[:, 3:7])
    steps = R[:-1].transpose(0, 2, 1) @ R[1:]
    axes = np.stack(
        [
            steps[:, 2, 1] - steps[:, 1, 2],
            steps[:, 0, 2] - steps[:, 2, 0],
            steps[:, 1, 0] - steps[:, 0, 1],
        ],
        axis=1,
    )
    return np.concatenate((np.zeros((1, 3)), np.cumsum(0.5 * axes, axis=0)))


def _explained(shifts: Floats, turns: Floats) -> Floats:
    """Share of the variance of shifts [N] that turns [T, N, 3] explain linearly, [T]."""
    wanted = shifts - shifts.mean()
    total = float(wanted @ wanted)
    shares = np.zeros(len(turns))
    for number, rates in enumerate(turns if total > 0.0 else ()):
        centred = rates - rates.mean(axis=0)
        weights, *_ = np.linalg.lstsq(centred, wanted, rcond=1e-6)
        rest = wanted - centred @ weights
        shares[number] = 1.0 - float(rest @ rest) / total
    return shares


def _peak(offsets_s: Floats, shares: Floats) -> float:
    """The offset of the greatest share, by a parabola through it and its neighbours."""
    best = int(shares.argmax())
    if best in (0, len(shares) - 1):
        return float(offsets_s[best])
    before, top, after = shares[best - 1 : best + 2]
    bend = before - 2.0 * top + after
    return float(offsets_s[best] + (0.5 * (before - after) / bend * _STEP_S if bend < 0 else 0.0))
