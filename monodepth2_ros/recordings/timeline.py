# SPDX-License-Identifier: Apache-2.0
"""Says when a player publishes each message, and with which stamps.

Times named ``clock_s`` are seconds of one steady clock. Due times follow from the start alone, so
that lateness never adds up.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from monodepth2_ros.errors import RecordingError
from monodepth2_ros.recordings import cdr
from monodepth2_ros.recordings.messages import Message

_STAMPS_END_NS = 2**31 * 10**9
_DAY_NS = 24 * 3600 * 10**9


class HeaderClocks:
    """The clocks that headers were stamped by, told apart by their distance from the recording's.

    A simulator's stamps begin at 0 and are recorded at the time of day. What is within a day of
    another is the same clock, so that an image and its calibration keep one stamp.
    """

    def __init__(self) -> None:
        self._ahead_ns = [0]

    def recorded_stamp(self, header_ns: int, recorded_ns: int) -> int:
        """A header's stamp on the recording's clock.

        Args:
            header_ns: the stamp in the header.
            recorded_ns: when its message was recorded; the first of a clock gets this stamp.
        """
        ahead_ns = header_ns - recorded_ns
        for known_ns in self._ahead_ns:
            if abs(ahead_ns - known_ns) <= _DAY_NS:
                return header_ns - known_ns
        self._ahead_ns.append(ahead_ns)
        return recorded_ns


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """When each message of one pass through a clip is due, and which stamp it gets."""

    start_ns: int
    """Recorded stamp that is due at ``start_clock_s``."""
    start_clock_s: float
    """Steady clock at the start of the pass."""
    rate: float = 1.0
    """Recorded seconds a second."""
    played_ns: int | None = None
    """Stamp that ``start_ns`` becomes; None keeps recorded stamps."""
    header_clocks: HeaderClocks = field(default_factory=HeaderClocks)
    """The clocks of header stamps that are none of the recording's."""

    def due_s(self, stamp_ns: int) -> float:
        """Steady clock at which a stamp is due; one before the start is due at once."""
        return self.start_clock_s + max(0, stamp_ns - self.start_ns) / 1e9 / self.rate

    def stamp_at(self, clock_s: float) -> int:
        """Recorded time, in ns, that a steady clock reading stands for."""
        return self.start_ns + round((clock_s - self.start_clock_s) * self.rate * 1e9)

    def played_stamp(self, stamp_ns: int) -> int:
        """The stamp to publish for a recorded one; intervals follow the rate, never negative."""
        if self.played_ns is None:
            return stamp_ns
        return max(0, self.played_ns + round((stamp_ns - self.start_ns) / self.rate))

    def played_bytes(self, message: Message) -> bytes:
        """The bytes to publish; unchanged where there is no whole header that can be shifted.

        Transforms are shifted, too. The first stamp of a clock other than the recording's becomes
        that of the time at which its message is due.
        """
        if self.played_ns is None:
            return message.data

        def played(header_ns: int) -> int:
            return self._played_header(header_ns, message.stamp_ns)

        try:
            if message.type == cdr.TRANSFORMS_TYPE:
                return cdr.restamped_transforms(message, played)
            if cdr.begins_with_header(message.type):
                return cdr.restamped(message.data, played(cdr.header_stamp_ns(message.data)))
        except RecordingError:
            pass
        return message.data

    def _played_header(self, header_ns: int, recorded_ns: int) -> int:
        """A header's stamp as played; as it is where it would exceed the 31 bits of seconds."""
        played_ns = self.played_stamp(self.header_clocks.recorded_stamp(header_ns, recorded_ns))
        return played_ns if played_ns < _STAMPS_END_NS else header_ns
