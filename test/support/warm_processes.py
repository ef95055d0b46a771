# SPDX-License-Identifier: Apache-2.0
"""Processes of the trainer that begin with it imported, which takes longer than a short run."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from multiprocessing import forkserver
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.context import ForkServerProcess
    from pathlib import Path

_IMPORTED = ('support.warm_processes', 'monodepth2_training.run.training')
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def warm_up() -> None:
    """Start the process that all others are copied from: one thread, nothing of this one."""
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload([*_IMPORTED])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('PYTHONPATH', os.pathsep.join(path for path in sys.path if path))
        patch.setenv('OMP_NUM_THREADS', '1')
        forkserver.ensure_running()


def start(arguments: list[str], said: Path) -> ForkServerProcess:
    """Start ``monodepth2`` with these arguments; what it says goes to a file, and its output to
    one beside it that ends in ``.out``.
    """
    context = multiprocessing.get_context('forkserver')
    process = context.Process(target=_exit_with, args=(arguments, said))
    process.start()
    return process


def start_two(
    arguments: list[str], folder: Path, prepare: Callable[[], object] = bool
) -> dict[int, int]:
    """Run ``monodepth2`` in two processes under torchrun's agent; gives the status of each.

    What they say goes to ``0`` and ``1`` in a folder, their output to ``0.out`` and ``1.out``.
    Each calls ``prepare``, a function of a module, first.
    """
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=2,
        run_id=folder.name,
        rdzv_backend='c10d',
        rdzv_endpoint='localhost:0',
        start_method='forkserver',
        max_restarts=0,
    )
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        found: dict[int, int] = elastic_launch(config, _of_rank)(arguments, folder, prepare)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return found


def _exit_with(arguments: list[str], said: Path) -> None:
    sys.exit(_run(arguments, said))


def _of_rank(arguments: list[str], folder: Path, prepare: Callable[[], object]) -> int:
    prepare()
    return _run(arguments, folder / os.environ['RANK'])


def _run(arguments: list[str], said: Path) -> int:
    """Run without a report, which takes as long as the training."""
    import torch
    from monodepth2_training import cli
    from monodepth2_training.commands import train

    for stream, path in ((sys.stdout, said.with_suffix('.out')), (sys.stderr, said)):
        with path.open('w') as file:
            os.dup2(file.fileno(), stream.fileno())
    torch.set_num_threads(1)
    train._write_report = lambda *_: ''
    return cli.main(arguments)
