# SPDX-License-Identifier: Apache-2.0
"""Keeps the garbage collector away from long-lived objects, gives freed memory back, counts it."""

from __future__ import annotations

import ctypes
import gc
from pathlib import Path
from resource import getpagesize


def settle() -> None:
    """Collect once, then exempt all that is left: later collections take no time over a model."""
    gc.collect()
    gc.freeze()


def give_back() -> None:
    """Free what ``settle`` exempted and nobody uses now; glibc hands the pages back."""
    gc.unfreeze()
    gc.collect()
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)
    if trim is not None:
        trim(0)


def resident_bytes() -> int:
    """Bytes of this process in memory; 0 if the system does not say."""
    statm = Path('/proc/self/statm')
    return int(statm.read_text().split()[1]) * getpagesize() if statm.exists() else 0
