# SPDX-License-Identifier: Apache-2.0
"""How far a run is: one live line on a terminal, one line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

from lightning.pytorch.callbacks import Callback

from monodepth2_training.module import found_by_validation, validation_error

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer

_LIVE_PERIOD_S = 0.5
_PLAIN_PERIOD_S = 30.0
_BAR = 20
_CLEAR = '\r\x1b[K'


class RunProgress(Callback):
    """Shows epoch, step, loss, rate and time left; also where all other lines go."""

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        process: int = 0,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare.

        Args:
            stream: where lines go; by default to what is stderr now.
            process: number of this process among those of the run; the first speaks for all.
            clock_s: a steady clock.
        """
        stream = sys.stderr if stream is None else stream
        self._stream = stream
        self._process = process
        self._live = stream.isatty()
        self._period_s = _LIVE_PERIOD_S if self._live else _PLAIN_PERIOD_S
        self._clock_s = clock_s
        self._said_s = self._epoch_s = clock_s()
        self._epoch_samples = self._epoch_steps = 0

    def say(self, line: str) -> None:
        """Print a line that all processes have to say, once, above the live one."""
        if self._process == 0:
            print(f'{_CLEAR if self._live else ""}{line}', file=self._stream, flush=True)

    def warn(self, line: str) -> None:
        """Print a line that this process alone has to say."""
        name = f'process {self._process}: ' if self._process else ''
        print(f'{_CLEAR if self._live else ""}{name}{line}', file=self._stream, flush=True)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin an epoch."""
        self._epoch_s = self._clock_s()
        self._epoch_samples = self._epoch_steps = 0

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Show the state, once a period."""
        self._epoch_samples += len(batch.target) * trainer.world_size
        self._epoch_steps += 1
        now_s = self._clock_s()
        if trainer.is_global_zero and now_s - self._said_s >= self._period_s:
            self._said_s = now_s
            self._show(trainer, batch_idx + 1, float(outputs['loss']), now_s - self._epoch_s)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Sum the epoch up in a line that stays."""
        if not trainer.is_global_zero:
            return
        elapsed_s = self._clock_s() - self._epoch_s
        value = validation_error(found_by_validation(trainer, pl_module))
        judged = '' if value is None else f'  validation {value:.4f}'
        self.say(
            f'epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  step {trainer.global_step}'
            f'{judged}  {self._epoch_samples / max(elapsed_s, 1e-9):.1f} samples/s  '
            f'{elapsed_s:.0f} s'
        )

    def _show(self, trainer: Trainer, step: int, loss: float, elapsed_s: float) -> None:
        """One line on the state within the epoch."""
        steps, epochs = int(trainer.num_training_batches), int(trainer.max_epochs or 0)
        left = (epochs - trainer.current_epoch) * steps - step
        left_s = left * elapsed_s / self._epoch_steps
        filled = _BAR * step // steps
        line = (
            f'[{"#" * filled}{"." * (_BAR - filled)}] epoch {trainer.current_epoch + 1}/{epochs}  '
            f'step {step}/{steps}  loss {loss:.4f}  '
            f'{self._epoch_samples / max(elapsed_s, 1e-9):.1f} samples/s  {_duration(left_s)} left'
        )
        if self._live:
            print(f'{_CLEAR}{line}', end='', file=self._stream, flush=True)
        else:
            self.say(line)


def _duration(seconds: float) -> str:
    """Seconds as 45 s, 12 min or 3.4 h."""
    if seconds < 120:
        return f'{seconds:.0f} s'
    return f'{seconds / 60:.0f} min' if seconds < 7200 else f'{seconds / 3600:.1f} h'
