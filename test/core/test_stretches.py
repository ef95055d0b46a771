# SPDX-License-Identifier: Apache-2.0
"""Messages of overlapping stretches come in time order, and no more of them are held than must."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from monodepth2_ros.recordings.stretches import Found, Stretch, in_time_order

LINKS: list[Any] = [SimpleNamespace(id=number) for number in range(3)]
ITEMS = st.tuples(st.integers(0, 30), st.sampled_from([0, 1, 2]))
FILES = st.lists(st.lists(ITEMS, min_size=1, max_size=6), max_size=6)


class File:
    """Stretches of (stamp, connection) and a note of when each was read."""

    def __init__(self, content: list[list[tuple[int, int]]]) -> None:
        self.content = content
        self.read_at: list[int] = []
        self.given = 0
        self.stretches = [
            Stretch(start_ns=min(items)[0], end_ns=max(items)[0], place=number)
            for number, items in enumerate(content)
        ]

    def read(self, stretch: Stretch, links: Collection[int]) -> Iterable[Found]:
        self.read_at.append(self.given)
        for index, (stamp_ns, link) in enumerate(self.content[stretch.place]):
            if link in links:
                name = f'{stretch.place}.{index}'.encode()
                yield Found(stamp_ns, link, lambda name=name: name)


@given(content=FILES, wanted=st.sets(st.sampled_from([0, 1, 2])))
def test_the_order_is_that_of_sorting_everything(
    content: list[list[tuple[int, int]]], wanted: set[int]
) -> None:
    file = File(content)
    links = [link for link in LINKS if link.id in wanted]
    found = [
        (ns, link.id)
        for link, ns, _ in in_time_order(file.stretches, file.read, links, None, None)
    ]
    expected = [item for items in content for item in items if item[1] in wanted]
    assert sorted(found) == sorted(expected)
    assert [ns for ns, _ in found] == sorted(ns for ns, _ in expected)


@given(content=FILES, start_ns=st.integers(0, 30), end_ns=st.integers(0, 31))
def test_begin_counts_and_end_does_not(
    content: list[list[tuple[int, int]]], start_ns: int, end_ns: int
) -> None:
    file = File(content)
    found = [ns for _, ns, _ in in_time_order(file.stretches, file.read, LINKS, start_ns, end_ns)]
    stamps = [ns for items in content for ns, _ in items]
    assert found == sorted(ns for ns in stamps if start_ns <= ns < end_ns)


def test_among_equal_stamps_what_is_stored_first_comes_first() -> None:
    file = File([[(5, 0), (5, 1), (5, 0)]])
    given_ = in_time_order(file.stretches, file.read, LINKS, None, None)
    assert [data for _, _, data in given_] == [b'0.0', b'0.1', b'0.2']


def test_a_stretch_is_read_only_when_all_before_it_is_given() -> None:
    file = File([[(0, 0), (1, 0)], [(2, 0), (3, 0)], [(4, 0)]])
    for _ in in_time_order(file.stretches, file.read, LINKS, None, None):
        file.given += 1
    assert file.read_at == [0, 2, 4]


def test_stretches_outside_the_wanted_time_are_not_read() -> None:
    file = File([[(0, 0)], [(5, 0)], [(9, 0)]])
    assert len(list(in_time_order(file.stretches, file.read, LINKS, 3, 9))) == 1
    assert file.read_at == [0]


def test_a_message_whose_bytes_are_lost_is_left_out() -> None:
    found = [Found(1, 0, lambda: b'a'), Found(2, 0, lambda: None), Found(3, 0, lambda: b'c')]
    whole = [Stretch(start_ns=1, end_ns=3, place=None)]
    given_ = in_time_order(whole, lambda stretch, links: found, LINKS, None, None)
    assert [data for _, _, data in given_] == [b'a', b'c']
