# SPDX-License-Identifier: Apache-2.0
"""The processes of one run: a single one, or those that ``torchrun`` has started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed

_PATIENCE = timedelta(hours=24)
"""How long the others wait while the first process extracts frames."""


@dataclass(frozen=True, kw_only=True)
class Processes:
    """Which process this is, and of how many."""

    rank: int = 0
    """Number of this process among all."""
    local_rank: int = 0
    """Number of this process on its machine, and of its GPU."""
    count: int = 1
    """Processes on all machines."""
    local_count: int = 1
    """Processes on this machine."""

    @property
    def is_first(self) -> bool:
        """Whether this is the one that prints and writes."""
        return self.rank == 0

    @property
    def machines(self) -> int:
        """Number of machines."""
        return self.count // self.local_count

    def wait(self) -> None:
        """Wait for all."""
        if self.count > 1:
            distributed.barrier()


def has_others() -> bool:
    """Whether this is one of several processes."""
    return distributed.is_available() and distributed.is_initialized()


@contextmanager
def joined_processes() -> Iterator[Processes]:
    """Find out by torchrun's environment which process this is, and meet the others."""
    names = {
        'rank': 'RANK',
        'local_rank': 'LOCAL_RANK',
        'count': 'WORLD_SIZE',
        'local_count': 'LOCAL_WORLD_SIZE',
    }
    if 'TORCHELASTIC_RUN_ID' not in os.environ:
        yield Processes()
        return
    processes = Processes(**{field: int(os.environ[name]) for field, name in names.items()})
    backend = 'cpu:gloo,cuda:nccl' if torch.cuda.is_available() else 'gloo'
    distributed.init_process_group(backend, timeout=_PATIENCE)
    try:
        yield processes
    finally:
        distributed.destroy_process_group()
