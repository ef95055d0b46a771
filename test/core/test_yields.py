# SPDX-License-Identifier: Apache-2.0
"""A thread keeps its turn beside a busy program, and so do the threads that it starts."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from monodepth2_ros.yields import ignore_yields

YIELDS = 400


@pytest.fixture
def shared_core() -> Iterator[int]:
    """A core that another program keeps busy."""
    core = min(os.sched_getaffinity(0))
    spin = f'import os; os.sched_setaffinity(0, {{{core}}}); print(flush=True)\nwhile True: pass'
    with subprocess.Popen([sys.executable, '-c', spin], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield core
        process.kill()


def in_thread(work: Callable[[], int]) -> int:
    """What ``work`` gives in a thread of its own."""
    results: list[int] = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join()
    return results[0]


def turns_lost(core: int) -> int:
    """How often this thread left the core while it yielded."""
    os.sched_setaffinity(0, {core})
    before = resource.getrusage(resource.RUSAGE_THREAD)
    for _ in range(YIELDS):
        os.sched_yield()
    after = resource.getrusage(resource.RUSAGE_THREAD)
    return after.ru_nivcsw - before.ru_nivcsw + after.ru_nvcsw - before.ru_nvcsw


@pytest.mark.skipif(
    not sys.platform.startswith('linux') or platform.machine() not in ('x86_64', 'aarch64'),
    reason='only Linux on x86-64 and arm64 is asked',
)
def test_yields_cost_turns_until_they_are_ignored(shared_core: int) -> None:
    def ignoring() -> int:
        assert ignore_yields()
        return in_thread(lambda: turns_lost(shared_core))

    assert in_thread(lambda: turns_lost(shared_core)) > YIELDS // 10
    assert in_thread(ignoring) < YIELDS // 20
    assert in_thread(lambda: turns_lost(shared_core)) > YIELDS // 10


def test_an_unknown_machine_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, 'machine', lambda: 'riscv64')
    assert not ignore_yields()
