# SPDX-License-Identifier: Apache-2.0
"""Lightning's trainer, set up so that it computes and is silent; all else is done by callbacks."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import DDPStrategy

from monodepth2_ros.errors import TrainingError
from monodepth2_training.checkpoints import VerifiedCheckpointIO

if TYPE_CHECKING:
    from pathlib import Path

    from lightning.pytorch import LightningDataModule, LightningModule
    from lightning.pytorch.callbacks import Callback

    from monodepth2_training.run.processes import Processes

_LOGGERS = ('lightning.pytorch', 'lightning.fabric', 'torch.utils.cpp_extension')
_READER_DIED = re.compile(r'DataLoader worker \(pid.*(is killed by signal|exited unexpectedly)')
_OUT_OF_MEMORY = re.compile(r'out of memory|not enough memory|can.t allocate memory', re.I)


def make_trainer(
    folder: Path,
    callbacks: Sequence[Callback],
    device: torch.device,
    processes: Processes,
    *,
    epochs: int,
) -> Trainer:
    """A trainer on a device, or on one for each of several processes."""
    several = processes.count > 1
    index = device.index or 0
    alone: Any = [index] if device.type == 'cuda' else 1
    with _quiet():
        return Trainer(
            accelerator='gpu' if device.type == 'cuda' else 'cpu',
            devices=processes.local_count if several else alone,
            num_nodes=processes.machines,
            strategy=DDPStrategy(gradient_as_bucket_view=True) if several else 'auto',
            max_epochs=epochs,
            benchmark=True,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            callbacks=list(callbacks),
            plugins=[VerifiedCheckpointIO()],
            default_root_dir=folder,
        )


def fit(
    trainer: Trainer,
    module: LightningModule,
    data: LightningDataModule,
    *,
    start: Path | None,
    batch_size: int,
) -> None:
    """Train, from a checkpoint on if one is given.

    Raises:
        TrainingError: memory is short, or a process that reads frames has died; anything that
            the callbacks raise comes through.
    """
    with _explained(batch_size), _quiet():
        trainer.fit(module, datamodule=data, ckpt_path=start)


def validate(
    trainer: Trainer, module: LightningModule, data: LightningDataModule, *, batch_size: int
) -> None:
    """Judge the weights that a module has.

    Raises:
        TrainingError: as by ``fit``.
    """
    with _explained(batch_size), _quiet():
        trainer.validate(module, datamodule=data, verbose=False)


@contextmanager
def _explained(batch_size: int) -> Iterator[None]:
    """Let failures whose cause lies outside of the program say what to do."""
    try:
        yield
    except (RuntimeError, MemoryError) as err:
        remedy = _remedy(err, batch_size)
        if not remedy:
            raise
        raise TrainingError(remedy) from err


def _remedy(err: Exception, batch_size: int) -> str:
    """What to do about a failure whose cause lies outside of the program; empty for others."""
    if _READER_DIED.search(str(err)):
        return (
            f'a process that reads frames has died ({err}): go on with --resume --set '
            'optimisation.workers=0, or give the container more shared memory (--shm-size)'
        )
    if isinstance(err, MemoryError) or _OUT_OF_MEMORY.search(str(err)):
        return (
            f'memory is too short for a batch of {batch_size}: begin another run with --set '
            f'optimisation.batch_size={max(1, batch_size // 2)}, or with a smaller '
            'network.width and network.height'
        )
    return ''


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep remarks back that Lightning and torch's compiler make on their own.

    Their errors are exceptions; that a CUDA toolkit lies beside a missing GPU says nothing.
    """
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', module=r'lightning\.')
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
