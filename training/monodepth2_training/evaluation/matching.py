# SPDX-License-Identifier: Apache-2.0
"""Matches what a camera saw with what was true at that time, by stamp."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

Ours = TypeVar('Ours')
Theirs = TypeVar('Theirs')


@dataclass(frozen=True, kw_only=True)
class Match(Generic[Ours, Theirs]):
    """Two things of nearly one time."""

    ours: Ours
    """Of the first stream."""
    theirs: Theirs
    """Of the second stream."""
    stamp_ns: int
    """When ours was."""
    later_ns: int
    """How much later theirs was."""


def match(
    ours: Iterable[tuple[int, Ours]], theirs: Iterable[tuple[int, Theirs]]
) -> Iterator[Match[Ours, Theirs]]:
    """Stream pairs: theirs goes to the nearest of ours, which keeps the nearest that come to it.

    However far that is; of two that are equally near, the earlier counts.

    Args:
        ours: stamps in ns and things; what is not later than the one before it is left out.
        theirs: the same of the other stream.
    """
    mine = _in_order(ours)
    before: tuple[int, Ours] | None = None
    after = next(mine, None)
    held: Match[Ours, Theirs] | None = None
    for stamp_ns, thing in _in_order(theirs):
        while after is not None and after[0] < stamp_ns:
            before, after = after, next(mine, None)
        found = _nearest(before, after, stamp_ns, thing)
        if found is None:
            return
        if held is not None and held.stamp_ns != found.stamp_ns:
            yield held
            held = None
        if held is None or abs(found.later_ns) < abs(held.later_ns):
            held = found
    if held is not None:
        yield held


def _nearest(
    before: tuple[int, Ours] | None,
    after: tuple[int, Ours] | None,
    stamp_ns: int,
    thing: Theirs,
) -> Match[Ours, Theirs] | None:
    """The nearer of two of ours, the earlier one of equally near ones."""
    candidates = [one for one in (before, after) if one is not None]
    if not candidates:
        return None
    ours_ns, chosen = min(candidates, key=lambda one: abs(one[0] - stamp_ns))
    return Match(ours=chosen, theirs=thing, stamp_ns=ours_ns, later_ns=stamp_ns - ours_ns)


def _in_order(stream: Iterable[tuple[int, Ours]]) -> Iterator[tuple[int, Ours]]:
    """What is later than all before it."""
    latest_ns: int | None = None
    for stamp_ns, thing in stream:
        if latest_ns is None or stamp_ns > latest_ns:
            latest_ns = stamp_ns
            yield stamp_ns, thing
