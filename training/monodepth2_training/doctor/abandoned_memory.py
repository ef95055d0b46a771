# SPDX-License-Identifier: Apache-2.0
"""Shared memory that Fast DDS processes left behind when they were killed."""

from __future__ import annotations

import fcntl
from pathlib import Path

_LOCK = '_el'


def abandoned_bytes(folder: Path) -> int:
    """How much the segments in a folder hold whose processes are gone.

    A process holds a lock on the file beside its segment; the system takes it back when it ends.
    """
    locks = [*folder.glob(f'fastrtps_*{_LOCK}'), *folder.glob(f'fastdds_*{_LOCK}')]
    return sum(_abandoned_bytes(lock) for lock in locks if 'port' not in lock.name)


def _abandoned_bytes(lock: Path) -> int:
    try:
        with lock.open('rb') as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return lock.with_name(lock.name.removesuffix(_LOCK)).stat().st_size
    except OSError:  # it is in use, gone by now, or another user's
        return 0
