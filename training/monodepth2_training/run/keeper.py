# SPDX-License-Identifier: Apache-2.0
"""Decides when a checkpoint is written, which ones are kept, and ends a run that is interrupted.

Weights and optimiser are only ever saved between two steps. A signal is therefore remembered and
answered after the step; a second one ends the run at once, without saving. A validation is broken
off by a signal, and made up for when the run is resumed. All processes answer at the same point.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from lightning.pytorch.callbacks import Checkpoint

from monodepth2_training.checkpoints import checkpoint_name, find_checkpoints
from monodepth2_training.module import found_by_validation, validation_error

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer

    from monodepth2_training.module import DepthTraining

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""What interrupts a run."""

_NEWEST = 2
_NOTHING, _SAVE, _STOP = 0, 1, 2


class TrainingInterrupted(Exception):
    """A signal has ended the run; ``checkpoint`` is where it can be resumed, or None."""

    def __init__(self, checkpoint: Path | None) -> None:
        """Remember where to go on."""
        super().__init__('training was interrupted')
        self.checkpoint = checkpoint


class CheckpointKeeper(Checkpoint):
    """Saves after each epoch, at intervals within long ones, and when interrupted.

    The newest two checkpoints and the one with the lowest validation error are kept.

    Attributes:
        validated: whether all whole epochs so far have been judged.
        best_epochs: whole epochs behind the best weights; 0 while there are none.
        best_value: their validation error.
    """

    def __init__(
        self,
        folder: Path,
        save_every_s: float,
        *,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare.

        Args:
            folder: of the checkpoints.
            save_every_s: seconds between checkpoints within an epoch; 0 for none.
            clock_s: a steady clock.
        """
        self.validated = True
        self.best_epochs = 0
        self.best_value = float('inf')
        self._folder = folder
        self._save_every_s = save_every_s
        self._clock_s = clock_s
        self._saved_s = clock_s()
        self._stop = False
        self._handlers: dict[int, Any] = {}
        self._common_batches = 0

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run has to know about the best weights."""
        return {
            'validated': self.validated,
            'best_epochs': self.best_epochs,
            'best_value': self.best_value,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the best weights so far; without a note, all epochs were judged."""
        self.validated = bool(state_dict.get('validated', True))
        self.best_epochs = int(state_dict['best_epochs'])
        self.best_value = float(state_dict['best_value'])

    @property
    def best_path(self) -> Path | None:
        """Checkpoint of the best weights, if there is one."""
        path = self._folder / checkpoint_name(self.best_epochs)
        return path if self.best_epochs else None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listen to signals, after Lightning has set its own handlers."""
        self._saved_s = self._clock_s()
        self._listen()

    def close(self) -> None:
        """Stop listening, unless Lightning has put back the handlers already."""
        for number, handler in self._handlers.items():
            if signal.getsignal(number) == self._on_signal:
                signal.signal(number, handler)
        self._handlers = {}

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listen, if nothing was trained yet, and count the batches that all processes have."""
        self._listen()
        (batches,) = trainer.num_val_batches
        self._common_batches = -_largest(trainer, -int(batches))

    def on_validation_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Leave out the rest, in all processes, when one was told to stop."""
        module = cast('DepthTraining', pl_module)
        if batch_idx < self._common_batches and not module.validation_skipped:
            module.validation_skipped = self._agree(trainer) == _STOP

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Save within the epoch where it is time to; its last step is left to the epoch's end."""
        if trainer.is_last_batch:
            return
        action = self._agree(trainer)
        if action != _NOTHING:
            path = self._folder / checkpoint_name(trainer.current_epoch, trainer.global_step)
            self._save(trainer, path)
        if action == _STOP:
            raise TrainingInterrupted(path)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the epoch, note whether it is the best so far, and drop what is not needed."""
        epochs = trainer.current_epoch + 1
        self.validated = not cast('DepthTraining', pl_module).validation_skipped
        self.compare(epochs, found_by_validation(trainer, pl_module))
        path = self._folder / checkpoint_name(epochs)
        self._save(trainer, path)
        if self._agree(trainer) == _STOP:
            raise TrainingInterrupted(path)

    def compare(self, epochs: int, found: Mapping[str, float]) -> None:
        """Note whether the weights after that many epochs are the best so far."""
        value = validation_error(found)
        if value is not None and value < self.best_value:
            self.best_epochs, self.best_value = epochs, value

    def _save(self, trainer: Trainer, path: Path) -> None:
        """Write a checkpoint, then remove those that are no longer needed."""
        trainer.save_checkpoint(path)
        self._saved_s = self._clock_s()
        if trainer.is_global_zero:
            for old in find_checkpoints(self._folder)[_NEWEST:]:
                if old not in (path, self.best_path):
                    old.unlink(missing_ok=True)

    def _agree(self, trainer: Trainer) -> int:
        """What to do now, the same in all processes."""
        due = self._save_every_s > 0 and self._clock_s() - self._saved_s >= self._save_every_s
        return _largest(trainer, _STOP if self._stop else _SAVE if due else _NOTHING)

    def _listen(self) -> None:
        """Take the signals, unless they are taken already."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in SIGNALS:
            if signal.getsignal(number) != self._on_signal:
                self._handlers[number] = signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: object) -> None:
        """Remember the first signal; end at once by the second."""
        if self._stop:
            raise TrainingInterrupted(None)
        self._stop = True


def _largest(trainer: Trainer, value: int) -> int:
    """The largest value among those of all processes; no GPU is waited for."""
    if trainer.world_size == 1:
        return value
    found = torch.tensor(value)
    torch.distributed.all_reduce(found, torch.distributed.ReduceOp.MAX)
    return int(found)
