# SPDX-License-Identifier: Apache-2.0
"""Which picture a scan belongs to, against a plain search over all of both."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from monodepth2_training.evaluation.matching import match

STAMPS = st.lists(st.integers(0, 60), unique=True, max_size=12).map(sorted)


def named(stamps: list[int]) -> list[tuple[int, str]]:
    return [(stamp_ns, f'at {stamp_ns}') for stamp_ns in stamps]


def searched(ours: list[int], theirs: list[int]) -> list[tuple[int, int]]:
    """Each of theirs goes to its nearest of ours, which keeps the nearest that came to it."""
    kept: dict[int, int] = {}
    for their_ns in theirs if ours else ():
        nearest = min(ours, key=lambda our_ns: (abs(our_ns - their_ns), our_ns))
        before = kept.setdefault(nearest, their_ns)
        if abs(their_ns - nearest) < abs(before - nearest):
            kept[nearest] = their_ns
    return sorted(kept.items())


@given(ours=STAMPS, theirs=STAMPS)
def test_streaming_finds_what_a_search_over_everything_finds(
    ours: list[int], theirs: list[int]
) -> None:
    found = list(match(named(ours), named(theirs)))
    pairs = [(one.stamp_ns, one.stamp_ns + one.later_ns) for one in found]
    assert pairs == searched(ours, theirs)
    assert [(one.ours, one.theirs) for one in found] == [
        (f'at {our_ns}', f'at {their_ns}') for our_ns, their_ns in pairs
    ]


@given(ours=st.lists(st.integers(0, 60), max_size=12), theirs=STAMPS)
def test_stamps_that_go_back_count_as_if_they_had_never_come(
    ours: list[int], theirs: list[int]
) -> None:
    ascending = [stamp for i, stamp in enumerate(ours) if all(stamp > b for b in ours[:i])]
    assert list(match(named(ours), named(theirs))) == list(match(named(ascending), named(theirs)))


def test_neither_stream_is_read_further_than_it_has_to_be() -> None:
    """A recording of hours is not held in memory."""
    taken = {'ours': 0, 'theirs': 0}

    def stream(name: str, step_ns: int):
        for index in range(1000):
            taken[name] += 1
            yield index * step_ns, index

    pairs = match(stream('ours', 10), stream('theirs', 100))
    for _ in range(3):
        next(pairs)
    assert taken == {'ours': 31, 'theirs': 4}
