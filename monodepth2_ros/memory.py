# SPDX-License-Identifier: Apache-2.0
"""Keeps the garbage collector away from long-lived objects, and gives freed memory back."""

from __future__ import annotations

import ctypes
import gc


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
