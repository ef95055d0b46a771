# SPDX-License-Identifier: Apache-2.0
"""What the executables of the nodes call: says in a line what the Python that runs them lacks."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def depth_node() -> int:
    """Run the depth node; give the exit status."""
    return _run('depth_node')


def player_node() -> int:
    """Run the player; give the exit status."""
    return _run('player_node')


def recorder_node() -> int:
    """Run the recorder; give the exit status."""
    return _run('recorder_node')


def _run(name: str) -> int:
    try:
        with _quietly_interrupted():
            node = import_module(f'monodepth2_ros.nodes.{name}')
    except ModuleNotFoundError as err:
        remedy = 'run make venv and build with .venv/bin/python -m colcon (docs/deployment.md)'
        print(f'{name}: {sys.executable} has no {err.name}: {remedy}', file=sys.stderr)
        return 1
    status: int = node.main()
    return status


@contextmanager
def _quietly_interrupted() -> Iterator[None]:
    """Let Ctrl-C end the process at once, with no traceback out of the middle of an import."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is not signal.default_int_handler:
        # Whoever started the process ignores it.
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
