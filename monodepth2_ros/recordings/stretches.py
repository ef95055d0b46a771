# SPDX-License-Identifier: Apache-2.0
"""Merges the messages of a file's stretches in time, holding only those whose times overlap."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple

from rosbags.interfaces import Connection

_LAST_STAMP_NS = 2**63 - 1


class Found(NamedTuple):
    """A whole message."""

    stamp_ns: int
    """When it was recorded."""
    link: int
    """Number of its connection."""
    data: Callable[[], bytes | None]
    """Gives its bytes; None if they turn out to be lost."""


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A piece of the file that is read at once."""

    start_ns: int
    """Earliest stamp in it."""
    end_ns: int
    """Latest stamp in it."""
    place: Any
    """Where it is, as the file's reader understands it."""

    @classmethod
    def over(cls, place: Any, stamps_ns: Collection[int]) -> Stretch:
        """The stretch at a place with messages of these stamps."""
        return cls(start_ns=min(stamps_ns), end_ns=max(stamps_ns), place=place)


def in_time_order(
    stretches: Iterable[Stretch],
    read: Callable[[Stretch, Collection[int]], Iterable[Found]],
    connections: Collection[Connection],
    start_ns: int | None,
    end_ns: int | None,
) -> Iterator[tuple[Connection, int, bytes]]:
    """Stream (connection, stamp in ns, data) as rosbags does.

    Args:
        stretches: where messages are.
        read: gives the messages of a stretch that are of some connections, by number.
        connections: whose messages to give.
        start_ns: first stamp to give.
        end_ns: first stamp not to give.
    """
    links = {link.id: link for link in connections}
    first = 0 if start_ns is None else start_ns
    end = _LAST_STAMP_NS if end_ns is None else end_ns
    waiting: list[Found] = []
    for stretch in sorted(stretches, key=lambda stretch: stretch.start_ns):
        if stretch.end_ns < first or stretch.start_ns >= end:
            continue
        # What came first stays first among equal stamps: sorting is stable.
        waiting.sort(key=_stamp_ns)
        ready = bisect_left(waiting, stretch.start_ns, key=_stamp_ns)
        yield from _given(waiting[:ready], links)
        del waiting[:ready]
        found = read(stretch, links)
        waiting += [item for item in found if first <= item.stamp_ns < end]
    waiting.sort(key=_stamp_ns)
    yield from _given(waiting, links)


_stamp_ns = attrgetter('stamp_ns')


def _given(
    found: Iterable[Found], links: Mapping[int, Connection]
) -> Iterator[tuple[Connection, int, bytes]]:
    for stamp_ns, link, read in found:
        data = read()
        if data is not None:
            yield links[link], stamp_ns, data
