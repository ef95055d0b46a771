# SPDX-License-Identifier: Apache-2.0
"""How far the camera travelled between two frames by odometry, where that can be trusted.

Left out are gaps of the odometry, turns on the spot (the camera is not where the odometry's frame
is, so that it goes another way), and steps that contradict the pictures: wheels that slip, an
odometry that stands still. Stamps are shifted by the clocks' offset where that is sure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.geometry.poses import rotation_angles
from monodepth2_training.data.clock_offset import ClockOffset, estimate_clock_offset
from monodepth2_training.data.frame_store import FrameStore, FrameTable
from monodepth2_training.data.guards import STANDING_MOTION
from monodepth2_training.data.odometry import Odometry

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

LEVER_M = 2.0
"""How far the camera may be from the origin of the odometry's frame."""

_MOST_LEVER_SHARE = 0.2
_CONTRADICTION = 4.0
_NOTHING_M = 1e-3
# About the focal length of the cameras that vehicles have, in widths of their pictures.
_MOTION_PER_RAD = 0.8


@dataclass(frozen=True, kw_only=True)
class Travel:
    """Distances of N items to their S sources, and what became of them."""

    distances_m: Floats
    """[N, S]; NaN where it is not known or not trusted, and for the other camera of a pair."""
    steps: int
    """Pairs of target and source of one camera."""
    unknown: int
    """Those among them without odometry."""
    turning: int
    """Those left out because of a turn on the spot."""
    contradicting: int
    """Those left out because the picture moves otherwise than the odometry says."""
    clocks: tuple[ClockOffset | None, ...]
    """Offset of the clocks for each camera; None where it cannot be estimated."""

    @property
    def known(self) -> int:
        """Steps whose distance is known and trusted."""
        return self.steps - self.unknown - self.turning - self.contradicting

    def text(self) -> str:
        """How many steps are known, and why the others are not."""
        reasons = {
            'have no odometry': self.unknown,
            'turn on the spot': self.turning,
            'contradict the pictures (slip, standstill, a wrong clock)': self.contradicting,
        }
        left_out = ', '.join(f'{count} {reason}' for reason, count in reasons.items() if count)
        text = f'odometry gives the distance of {self.known} of {self.steps} steps'
        return f'{text}: {left_out}' if left_out else text

    def clock_lines(self) -> list[str]:
        """What is known of the clocks, each sentence once."""
        return list(dict.fromkeys(clock.text() for clock in self.clocks if clock is not None))


def travelled_m(store: FrameStore, frames: NDArray[np.int32]) -> Travel:
    """Distances between the targets and sources of items.

    Args:
        store: what the items index.
        frames: int32 [N, 1 + S, 2], camera and index of each item's target and sources.
    """
    distances_m = np.full((frames.shape[0], frames.shape[1] - 1), np.nan)
    books = {'steps': 0, 'unknown': 0, 'turning': 0, 'contradicting': 0}
    clocks = []
    for camera in range(len(store.cameras)):
        table = store.frames(camera)
        clock = estimate_clock_offset(store, camera)
        clocks.append(clock)
        own = (frames[:, :1, 0] == camera) & (frames[:, 1:, 0] == camera)
        item, source = np.nonzero(own)
        steps = _Steps.between(
            table,
            _shifted(table, clock.correction_s if clock else 0.0),
            frames[item, 0, 1],
            frames[item, 1 + source, 1],
        )
        distances_m[item, source] = np.where(steps.trusted, steps.length_m, np.nan)
        for name, count in steps.books().items():
            books[name] += count
    return Travel(distances_m=distances_m, clocks=tuple(clocks), **books)


@dataclass(frozen=True, kw_only=True)
class _Steps:
    """M pairs of frames of one camera."""

    length_m: Floats
    """Distance by odometry [M]; NaN where there is none."""
    turn_rad: Floats
    """Angle by odometry [M]."""
    motion: Floats
    """Flow between the two [M], as a share of the width; NaN where it is not known."""

    @classmethod
    def between(
        cls, table: FrameTable, rows: Floats, first: NDArray[np.int32], second: NDArray[np.int32]
    ) -> _Steps:
        flow = np.cumsum(np.nan_to_num(table.motion.astype(np.float64)))
        a, b = rows[first], rows[second]
        return cls(
            length_m=np.linalg.norm(b[:, :3] - a[:, :3], axis=1),
            turn_rad=rotation_angles(a[:, 3:7], b[:, 3:7]),
            motion=np.abs(flow[second] - flow[first]),
        )

    @property
    def known(self) -> Mask:
        return np.isfinite(self.length_m)

    @property
    def turning(self) -> Mask:
        """Where the camera may have gone quite another way than the odometry's origin."""
        least_m = np.maximum(self.length_m, _NOTHING_M)
        swings = self.turn_rad * LEVER_M > _MOST_LEVER_SHARE * least_m
        return self.known & ~self.stuck & swings

    @property
    def stuck(self) -> Mask:
        """Where the odometry stands still and the picture moves more than turning explains."""
        stands = self.known & (self.length_m < _NOTHING_M) & (self.motion > STANDING_MOTION)
        return stands & (_MOTION_PER_RAD * self.turn_rad < 0.5 * self.motion)

    @property
    def contradicting(self) -> Mask:
        """Where odometry and picture differ far more than near and far scenes explain."""
        straight = self.known & ~self.turning & (self.motion > STANDING_MOTION)
        if not straight.any():
            return self.stuck
        typical_m = float(np.median(self.length_m[straight] / self.motion[straight]))
        moved = np.maximum(self.motion, STANDING_MOTION)
        too_far = self.length_m > _CONTRADICTION * typical_m * moved
        too_near = self.length_m * _CONTRADICTION < typical_m * self.motion
        return self.known & ~self.turning & (too_far | too_near | self.stuck)

    @property
    def trusted(self) -> Mask:
        return self.known & ~self.turning & ~self.contradicting

    def books(self) -> dict[str, int]:
        return {
            'steps': len(self.motion),
            'unknown': int((~self.known).sum()),
            'turning': int(self.turning.sum()),
            'contradicting': int(self.contradicting.sum()),
        }


def _shifted(table: FrameTable, seconds: float) -> Floats:
    """The odometry [N, 8] of a camera's frames, stamped later than the frames by some seconds."""
    if not seconds:
        return table.odometry
    rows = np.full_like(table.odometry, np.nan)
    known = np.isfinite(table.odometry.sum(axis=1))
    for part in np.unique(table.part):
        frames = np.flatnonzero(table.part == part)
        source = frames[known[frames]]
        odometry = Odometry(
            topic='',
            stamps_ns=table.stamps_ns[source],
            poses=table.odometry[source, :7],
            speeds_m_s=table.odometry[source, 7],
        )
        rows[frames] = odometry.at(table.stamps_ns[frames] + round(seconds * 1e9))
    return rows
