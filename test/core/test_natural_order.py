# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monodepth2_ros.recordings.natural_order import natural_key


@pytest.mark.parametrize(
    'ordered',
    [
        ['part_1', 'part_2', 'part_10'],
        ['1.png', '2.png', '10.png', '100.png'],
        ['a1b2', 'a1b10', 'a2b1'],
        ['frame_007.png', 'frame_8.png', 'frame_010.png'],
        ['a.png', 'b.png'],
        ['', 'a'],
    ],
)
def test_numbers_in_names_are_ordered_by_value(ordered: list[str]) -> None:
    mixed = ordered[::-1]
    assert sorted(mixed, key=natural_key) == ordered


@given(st.lists(st.integers(0, 10**6), unique=True))
def test_padding_changes_nothing(numbers: list[int]) -> None:
    plain = sorted((f'{number}.png' for number in numbers), key=natural_key)
    padded = sorted((f'{number:07d}.png' for number in numbers), key=natural_key)
    assert [int(name[:-4]) for name in plain] == [int(name[:-4]) for name in padded]


@given(st.lists(st.text()))
def test_any_names_have_one_order(names: list[str]) -> None:
    """Two that differ never compare as equal, whatever digits there are in the world's scripts."""
    mixed = names[::-1]
    assert sorted(names, key=natural_key) == sorted(mixed, key=natural_key)
