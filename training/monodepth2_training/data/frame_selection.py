# SPDX-License-Identifier: Apache-2.0
"""Which frames of a recording are taken, and where a cut lies between two of a camera."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from statistics import median

from monodepth2_ros.errors import ConfigError

LONGEST_GAP_S = 1.0
"""Frames farther apart than this are no neighbours."""

_REMEMBERED = 16
_LATE_PERIODS = 2.5


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What becomes of one frame."""

    outcome: str
    """``taken``, ``thinned out``, ``repeated stamp`` or ``out of order``."""
    cut: bool = False
    """Whether this frame and the one taken before it are no neighbours."""


@dataclass(frozen=True, kw_only=True)
class _Instant:
    """When one or more cameras took a picture."""

    stamp_ns: int
    """Stamp of the first of them."""
    taken: bool
    """Whether its frames are taken."""
    cameras: set[int]
    """Whose frames were seen."""


class FrameSelection:
    """Chooses among the frames of one recording, in the order in which they were recorded.

    The frames of several cameras that are nearer than half the time between two frames of one
    camera are one instant: all of them are taken or none, whichever frames are missing.
    """

    def __init__(self, cameras: int, *, keep_every: int = 1) -> None:
        """Take every ``keep_every``-th instant of ``cameras`` cameras.

        Raises:
            ConfigError: ``keep_every`` is not a positive number.
        """
        if keep_every < 1:
            raise ConfigError(f'keep_every {keep_every} is not usable: expected 1 or more')
        self._keep_every = keep_every
        self._instants: deque[_Instant] = deque(maxlen=_REMEMBERED)
        self._count = 0
        self._last_ns: list[int | None] = [None] * cameras
        self._elapsed_ns = [deque[int](maxlen=_REMEMBERED) for _ in range(cameras)]
        self._cut = [True] * cameras

    def choose(self, camera: int, stamp_ns: int) -> Choice:
        """Decide about the next frame."""
        last_ns = self._last_ns[camera]
        if stamp_ns == last_ns:
            return Choice(outcome='repeated stamp')
        if last_ns is not None and self._is_late(camera, last_ns - stamp_ns):
            return Choice(outcome='out of order')
        if last_ns is not None:
            self._elapse(camera, stamp_ns - last_ns)
        self._last_ns[camera] = stamp_ns
        if not self._instant(camera, stamp_ns).taken:
            return Choice(outcome='thinned out')
        cut, self._cut[camera] = self._cut[camera], False
        return Choice(outcome='taken', cut=cut)

    def _is_late(self, camera: int, behind_ns: int) -> bool:
        """Whether a frame comes a little after a later one of its camera.

        Taken for a leap back in time, it would part all that follows from the other camera of a
        pair, which has no leap there.
        """
        elapsed_ns = self._elapsed_ns[camera]
        return bool(elapsed_ns) and 0 < behind_ns <= _LATE_PERIODS * median(elapsed_ns)

    def _elapse(self, camera: int, elapsed_ns: int) -> None:
        """Remember the time between two frames, or the cut that it makes."""
        if 0 < elapsed_ns <= LONGEST_GAP_S * 1e9:
            self._elapsed_ns[camera].append(elapsed_ns)
        else:
            self._cut[camera] = True

    def _instant(self, camera: int, stamp_ns: int) -> _Instant:
        """The instant that a frame belongs to, made if there is none."""
        periods_ns = [median(elapsed) for elapsed in self._elapsed_ns if elapsed]
        same_ns = 0.5 * min(periods_ns, default=LONGEST_GAP_S * 1e9)
        others = [instant for instant in self._instants if camera not in instant.cameras]
        nearest = min(others, key=lambda other: abs(stamp_ns - other.stamp_ns), default=None)
        if nearest is not None and abs(stamp_ns - nearest.stamp_ns) <= same_ns:
            nearest.cameras.add(camera)
            return nearest
        taken = self._count % self._keep_every == 0
        self._count += 1
        self._instants.append(_Instant(stamp_ns=stamp_ns, taken=taken, cameras={camera}))
        return self._instants[-1]
