# SPDX-License-Identifier: Apache-2.0
"""The hand-over from a thread that must never wait to the one thread that owns the model.

A mailbox has one slot and the newest item wins. The worker answers what lies in it, one item at a
time, and runs the jobs (load, free) that must happen on its thread.
"""

from __future__ import annotations

import threading
import traceback
from collections import deque
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Item = TypeVar('Item')
Result = TypeVar('Result')

_POLL_S = 0.1


class Mailbox(Generic[Item]):
    """One slot between threads; putting never blocks and replaces what was not taken yet."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: Item | None = None
        self._interrupted = False
        self._replaced = 0

    @property
    def replaced(self) -> int:
        """How many items a newer one has pushed out."""
        return self._replaced

    def put(self, item: Item) -> Item | None:
        """Leave ``item`` for the taker.

        Returns:
            the item that was still waiting and is now replaced, or None.
        """
        with self._changed:
            previous, self._item = self._item, item
            self._replaced += previous is not None
            self._changed.notify()
        return previous

    def take(self) -> Item | None:
        """Wait for an item and empty the slot; None once after each ``interrupt``."""
        with self._changed:
            while self._item is None and not self._interrupted:
                self._changed.wait()
            if self._interrupted:
                self._interrupted = False
                return None
            item, self._item = self._item, None
            return item

    def clear(self) -> Item | None:
        """Empty the slot and return what lay in it."""
        with self._changed:
            item, self._item = self._item, None
        return item

    def interrupt(self) -> None:
        """Let the waiting, or else the next, ``take`` return None at once."""
        with self._changed:
            self._interrupted = True
            self._changed.notify()


class Worker(Generic[Item]):
    """A thread that answers the newest item and runs jobs in between; an error never ends it."""

    def __init__(
        self,
        handle: Callable[[Item], None],
        *,
        on_error: Callable[[Exception], None],
        name: str = 'worker',
    ) -> None:
        """Start the thread.

        Args:
            handle: called on the worker's thread with each item that was not replaced.
            on_error: called there with whatever ``handle`` raised.
            name: of the thread, as debuggers show it.
        """
        self._handle = handle
        self._on_error = on_error
        self._mailbox: Mailbox[Item] = Mailbox()
        self._jobs: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def offer(self, item: Item) -> Item | None:
        """Hand over an item without waiting; returns the one it replaced, if any."""
        return self._mailbox.put(item)

    def clear(self) -> Item | None:
        """Withdraw the item that is still waiting, if any."""
        return self._mailbox.clear()

    def run(
        self, job: Callable[[], Result], *, keep_waiting: Callable[[], bool] = lambda: True
    ) -> Result:
        """Run ``job`` on the worker's thread, after the item in hand, and wait for it.

        Args:
            job: what to do; its result is returned and its error raised here.
            keep_waiting: asked ten times a second; False gives up (the job still runs).

        Raises:
            TimeoutError: ``keep_waiting`` said no, or the worker has been stopped.
        """
        if threading.current_thread() is self._thread:
            return job()
        future: Future[Result] = Future()
        self._jobs.append((job, future))
        self._mailbox.interrupt()
        while self._thread.is_alive() and keep_waiting():
            try:
                return future.result(timeout=_POLL_S)
            except FutureTimeoutError:
                if future.done():
                    raise
        raise TimeoutError(f'{self._thread.name} was stopped before the job was done')

    def stop(self, timeout_s: float) -> bool:
        """End the thread after what it has in hand; False if it was still busy at the timeout."""
        self._stopping = True
        self._mailbox.interrupt()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while not self._stopping:
            item = self._mailbox.take()
            while self._jobs:
                _run_job(*self._jobs.popleft())
            if item is not None:
                self._answer(item)
            del item

    def _answer(self, item: Item) -> None:
        try:
            self._handle(item)
        except Exception as err:
            try:
                self._on_error(err)
            except Exception:
                traceback.print_exc()


def _run_job(job: Callable[[], Any], future: Future[Any]) -> None:
    try:
        result = job()
    except Exception as err:
        future.set_exception(err)
    else:
        future.set_result(result)


class RateLimiter:
    """Thins a stream out to a highest mean rate, tolerating jitter of the arrivals."""

    def __init__(self) -> None:
        self._due_s = 0.0

    def admits(self, now_s: float, max_rate_hz: float) -> bool:
        """Whether an item that arrives now may pass; a rate of 0 admits everything."""
        if max_rate_hz <= 0.0:
            return True
        period_s = 1.0 / max_rate_hz
        early_s = 0.1 * period_s
        # Under a lower rate, before, the next item may have been due much later.
        self._due_s = min(self._due_s, now_s + period_s + early_s)
        if now_s < self._due_s - early_s:
            return False
        self._due_s = max(self._due_s, now_s - 0.5 * period_s) + period_s
        return True
