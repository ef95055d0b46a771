# SPDX-License-Identifier: Apache-2.0
"""Batches of triplets for Lightning; a run can go on at any batch of an epoch."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Thread
from typing import Any, cast

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Sampler

from monodepth2_ros.errors import TrainingError
from monodepth2_training.data.dataset import TripletBatch, TripletDataset
from monodepth2_training.data.frame_store import FrameStore
from monodepth2_training.data.sampling import EpochSampler, validation_order
from monodepth2_training.data.triplets import Split

__all__ = ['BatchLoader', 'ResumableLoader', 'TripletBatch', 'TripletDataModule']

Floats = NDArray[np.float64]

_CPU = torch.device('cpu')


class BatchLoader:
    """Gives the batches of a sampler.

    It holds a ``DataLoader`` and is none, so that Lightning leaves the sampler as it is: the
    samplers here share samples between processes themselves.
    """

    def __init__(
        self,
        dataset: TripletDataset,
        sampler: Sampler[int] | Sequence[int],
        *,
        batch_size: int,
        workers: int = 0,
        device: torch.device = _CPU,
    ) -> None:
        """Read in ``workers`` processes, or in a thread of this one if 0, for a device."""
        self._workers, self._device = workers, device
        self._loader = DataLoader(
            dataset,
            batch_size=batch_size,
            sampler=sampler,
            num_workers=workers,
            collate_fn=_as_read,
            worker_init_fn=partial(_leave_signals_to, os.getpid()),
            pin_memory=device.type == 'cuda',
            persistent_workers=workers > 0,
        )

    def __len__(self) -> int:
        """Batches of a whole epoch in this process."""
        return len(self._loader)

    def __iter__(self) -> Iterator[TripletBatch]:
        """Give the batches; nothing is read before the first is asked for."""
        yield from self._loader if self._workers else _read_ahead(self._loader, self._device)


class ResumableLoader(BatchLoader):
    """Training batches, with the place in the epoch as the state.

    Lightning keeps the state of such a loader in its checkpoints and gives it back on resuming.

    Attributes:
        sampler: the order of the samples; Lightning tells it the epoch.
    """

    def __init__(
        self,
        dataset: TripletDataset,
        sampler: EpochSampler,
        *,
        workers: int = 0,
        device: torch.device = _CPU,
    ) -> None:
        """As ``BatchLoader``, in batches of the sampler's size."""
        size = sampler.batch_size
        super().__init__(dataset, sampler, batch_size=size, workers=workers, device=device)
        self.sampler = sampler
        self._given = 0

    def __iter__(self) -> Iterator[TripletBatch]:
        """Give the batches from the sampler's first on, and count them."""
        self._given = self.sampler.first_batch
        for batch in super().__iter__():
            self._given += 1
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """Epoch, and number of its batches that were given, of how many."""
        return {'epoch': self.sampler.epoch, 'batches': self._given, 'of': len(self)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where another loader was, unless that was an epoch's end.

        Raises:
            TrainingError: it was within an epoch of another number of batches.
        """
        given, of = state['batches'], state.get('of', len(self))
        if given % of and of != len(self):
            raise TrainingError(
                f'the run stopped within an epoch of {of} batches, after {given}, but its epochs '
                f'would now have {len(self)}: resume with the batch size, the epoch_samples and '
                'the number of processes that it had, and change them at the end of an epoch'
            )
        self.sampler.set_epoch(state['epoch'])
        self.sampler.first_batch = given % of


class TripletDataModule(LightningDataModule):
    """The two sides of a split as batches, shared between the processes of a run."""

    def __init__(
        self,
        store: FrameStore,
        split: Split,
        *,
        batch_size: int,
        seed: int = 0,
        workers: int = 0,
        epoch_samples: int = 0,
        travelled_units: tuple[Floats, Floats] | None = None,
        device: torch.device = _CPU,
    ) -> None:
        """Prepare to read.

        Args:
            store: holds the pictures.
            split: samples of one mode.
            batch_size: samples of one step in each process.
            seed: decides the order of the samples, 0 or more.
            workers: processes that read for each process of the run; 0 for none.
            epoch_samples: most samples of an epoch, and validation thinned alike; 0 for all.
            travelled_units: what batches say under this name of the samples to train on and of
                those to validate with, [N, S] and [M, S]; None for NaN.
            device: where the batches are going to be used.
        """
        super().__init__()
        self._store, self._split = store, split
        self._batch_size, self._seed = batch_size, seed
        self._workers, self._device = workers, device
        self._epoch_samples = epoch_samples
        self._travelled: tuple[Floats | None, Floats | None] = travelled_units or (None, None)

    def train_dataloader(self) -> ResumableLoader:
        """Shuffled batches in whole steps; fewer samples than a batch make one smaller batch.

        Raises:
            TrainingError: there are fewer samples than processes.
        """
        rank, world_size = self._place()
        sampler = EpochSampler(
            len(self._split.training),
            batch_size=self._batch_size,
            seed=self._seed,
            most=self._epoch_samples,
            rank=rank,
            world_size=world_size,
        )
        travelled, _ = self._travelled
        dataset = TripletDataset(self._store, self._split.training, travelled_units=travelled)
        return ResumableLoader(dataset, sampler, workers=self._workers, device=self._device)

    def val_dataloader(self) -> BatchLoader | list[BatchLoader]:
        """The validation samples in fixed order, or no loader where there are none."""
        step = max(1, len(self._split.training) // (self._epoch_samples or sys.maxsize))
        samples = self._split.validation[::step]
        if not samples:
            return []
        rank, world_size = self._place()
        order = validation_order(len(samples), rank=rank, world_size=world_size)
        _, units = self._travelled
        travelled = None if units is None else units[::step]
        dataset = TripletDataset(self._store, samples, travelled_units=travelled)
        return BatchLoader(
            dataset,
            order,
            batch_size=self._batch_size,
            workers=self._workers,
            device=self._device,
        )

    def _place(self) -> tuple[int, int]:
        """Number of this process, and of all; 0 of 1 without a trainer."""
        trainer = self.trainer
        return (0, 1) if trainer is None else (trainer.global_rank, trainer.world_size)


def _read_ahead(loader: DataLoader[TripletBatch], device: torch.device) -> Iterator[TripletBatch]:
    """Give batches, each read by a thread while the one before it is used.

    Each thread has a current GPU of its own, the first one unless told; pictures that are
    rendered on ``cuda`` shall be so on that of the trainer.
    """
    batches = iter(loader)
    choose_gpu = partial(torch.cuda.set_device, device) if device.type == 'cuda' else None
    with ThreadPoolExecutor(1, initializer=choose_gpu) as thread:
        ahead = thread.submit(next, batches, None)
        while (batch := ahead.result()) is not None:
            ahead = thread.submit(next, batches, None)
            yield batch


def _leave_signals_to(trainer: int, worker: int) -> None:
    """Let signals that all processes of a run get, by Ctrl-C or torchrun, not end a reader."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    Thread(target=_end_by, args=(trainer,), daemon=True).start()


def _end_by(trainer: int) -> None:
    """End this reader by a SIGTERM of its trainer, which sends one to what is left at its exit."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != trainer:
        pass
    os._exit(0)


def _as_read(batch: object) -> TripletBatch:
    """``TripletDataset`` reads whole batches: there is nothing left to collate."""
    return cast('TripletBatch', batch)
