# SPDX-License-Identifier: Apache-2.0
"""Work in several threads whose results come in order, with no more of it begun than is needed."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import cv2
import pytest
import torch
from monodepth2_training.data.ordered_work import in_order

PATIENCE_S = 60.0


def test_results_come_in_the_order_of_the_items_though_later_work_ends_first() -> None:
    second_done = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert second_done.wait(PATIENCE_S)
        if item == 1:
            second_done.set()
        return 10 * item

    found = list(in_order(range(8), work, workers=2))
    assert found == [(item, 10 * item) for item in range(8)]


def test_no_more_items_are_taken_than_keep_the_threads_busy() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for item in range(1000):
            taken += 1
            yield item

    results = in_order(items(), lambda item: item, workers=3)
    next(results)
    assert taken == 2 * 3 + 1
    results.close()


def test_a_failure_is_raised_at_its_place_and_not_before() -> None:
    def work(item: int) -> int:
        if item == 2:
            raise ZeroDivisionError('third')
        return item

    results = in_order(range(9), work, workers=2)
    assert [next(results)[0] for _ in range(2)] == [0, 1]
    with pytest.raises(ZeroDivisionError, match='third'):
        next(results)


def test_items_that_end_in_an_error_end_the_work_with_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError('the disk is gone')

    with pytest.raises(OSError, match='the disk is gone'):
        list(in_order(items(), lambda item: item, workers=2))


def test_the_libraries_have_their_threads_back_afterwards_even_after_a_failure() -> None:
    before = cv2.getNumThreads(), torch.get_num_threads()
    inside: list[int] = []

    def work(item: int) -> None:
        inside.append(torch.get_num_threads())
        raise ValueError

    with pytest.raises(ValueError):
        list(in_order([0], work, workers=2))
    assert inside == [1]
    assert (cv2.getNumThreads(), torch.get_num_threads()) == before


def test_work_on_nothing_gives_nothing() -> None:
    assert list(in_order([], lambda item: item, workers=2)) == []
