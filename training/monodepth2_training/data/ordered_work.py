# SPDX-License-Identifier: Apache-2.0
"""Runs work on all cores and gives the results in the order in which the work was handed in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import cv2
import torch

Item = TypeVar('Item')
Result = TypeVar('Result')


def in_order(
    items: Iterable[Item], work: Callable[[Item], Result], *, workers: int
) -> Generator[tuple[Item, Result], None, None]:
    """Work on items in several threads; give each with its result, in order.

    Items are begun in order too. No more of them are taken than are needed to keep all threads
    busy, so that memory does not grow with their number.

    Args:
        items: taken in the calling thread.
        work: called in one of the threads, each of which computes on one core.
        workers: number of threads.

    Raises:
        Exception: what ``items`` or ``work`` raised.
    """
    pending: deque[tuple[Item, Future[Result]]] = deque()
    with _single_threaded_libraries():
        pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
        try:
            for item in items:
                pending.append((item, pool.submit(work, item)))
                if len(pending) > 2 * workers:
                    yield _first(pending)
            while pending:
                yield _first(pending)
        finally:
            pool.shutdown(cancel_futures=True)


def _first(pending: deque[tuple[Item, Future[Result]]]) -> tuple[Item, Result]:
    item, future = pending.popleft()
    return item, future.result()


@contextmanager
def _single_threaded_libraries() -> Iterator[None]:
    """Keep the libraries from starting threads of their own in every thread."""
    opencv, pytorch = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(opencv)
        torch.set_num_threads(pytorch)
