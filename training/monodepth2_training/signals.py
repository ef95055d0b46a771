# SPDX-License-Identifier: Apache-2.0
"""Another answer to a signal for a while."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Handler = Callable[[int, object], None] | signal.Handlers


@contextmanager
def answered_by(handler: Handler, number: signal.Signals) -> Iterator[None]:
    """Answer a signal otherwise until the block ends; only the main thread can, others do not."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)
