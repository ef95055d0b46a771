# SPDX-License-Identifier: Apache-2.0
"""Renders the frames of a drive on several CPU cores, in order.

Frames are independent and their tensors small, so a thread a core that renders whole frames is
faster than all cores on each operation, and waits for no one when other programs use the cores.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import torch

from monodepth2_training.world.drive import Drive, DriveFrame

_MOST_WORKERS = 4


def rendered_frames(drive: Drive, device: torch.device) -> Generator[DriveFrame, None, None]:
    """All frames of ``drive`` in order; the same ones whatever the number of cores.

    Args:
        drive: what to render.
        device: where it renders; only a CPU is shared out.
    """
    workers = min(_cores(), _MOST_WORKERS) if device.type == 'cpu' else 1
    if workers == 1:
        yield from drive
        return
    with _one_thread_an_operation(), ThreadPoolExecutor(workers) as pool:
        pending: deque[Future[DriveFrame]] = deque()
        try:
            for number in range(len(drive)):
                pending.append(pool.submit(drive.frame, number))
                if len(pending) > workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else 1


@contextmanager
def _one_thread_an_operation() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
