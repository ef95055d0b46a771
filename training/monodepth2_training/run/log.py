# SPDX-License-Identifier: Apache-2.0
"""What a run writes down: ``metrics.jsonl`` for programs and the report, TensorBoard for people.

Each line of ``metrics.jsonl`` is one object with ``kind``, ``epoch`` (whole epochs so far) and
``step``. Kind ``step`` has the means since the line before: ``total``, ``photometric``,
``smoothness``, ``mask_regularisation``, ``velocity``, ``moving_share``, ``learning_rate`` and
``samples_per_s``. Kind ``epoch`` has the same terms as ``validation_*``, where there are
validation samples and all of them were judged, ``skipped_steps`` and ``seconds``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from lightning.pytorch.callbacks import Callback
from torch.utils.tensorboard import SummaryWriter

from monodepth2_training.module import TERMS, found_by_validation

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer

    from monodepth2_training.module import DepthTraining

_DIGITS = 6


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """All lines of a metrics file; one that a killed process left unfinished is dropped."""
    if not path.exists():
        return []
    entries = []
    for line in path.read_text().splitlines():
        try:
            entries.append(dict(json.loads(line)))
        except ValueError:
            break
    return entries


class RunLog(Callback):
    """Writes the figures of a run; a resumed run goes on where its checkpoint was."""

    def __init__(
        self,
        metrics: Path,
        tensorboard: Path,
        every_steps: int,
        *,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare.

        Args:
            metrics: the file for programs.
            tensorboard: the folder for TensorBoard.
            every_steps: steps between two entries.
            clock_s: a steady clock.
        """
        self._metrics = metrics
        self._folder = tensorboard
        self._every_steps = every_steps
        self._clock_s = clock_s
        self._sums: torch.Tensor | None = None
        self._steps = self._samples = 0
        self._learning_rate = 0.0
        self._since_s = self._epoch_s = clock_s()
        self._writer: SummaryWriter | None = None

    @property
    def writer(self) -> SummaryWriter | None:
        """TensorBoard's writer while training, in the first process."""
        return self._writer

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the files, and drop what a killed run wrote after its last checkpoint."""
        self._since_s = self._epoch_s = self._clock_s()
        if not trainer.is_global_zero:
            return
        entries = [e for e in read_metrics(self._metrics) if e['step'] <= trainer.global_step]
        self._rewrite(entries)
        self._writer = SummaryWriter(str(self._folder), purge_step=trainer.global_step + 1)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Note the rate of this step: after an epoch's last one it is that of the next."""
        self._learning_rate = float(trainer.optimizers[0].param_groups[0]['lr'])

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Add one step up; write the means when it is time to."""
        values = torch.stack(
            [*(outputs[name] for name in TERMS), torch.ones_like(outputs['loss'])]
        )
        values = torch.where(torch.isfinite(values).all(), values, 0.0)
        self._sums = values if self._sums is None else self._sums + values
        self._steps += 1
        self._samples += len(batch.target) * trainer.world_size
        if self._steps >= self._every_steps or trainer.is_last_batch:
            self._write_steps(trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the epoch's clock."""
        self._epoch_s = self._clock_s()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write what validation found."""
        values = found_by_validation(trainer, pl_module)
        values['skipped_steps'] = cast('DepthTraining', pl_module).skipped_steps()
        values['seconds'] = self._clock_s() - self._epoch_s
        self._write('epoch', trainer.current_epoch + 1, trainer.global_step, values)
        self._since_s = self._clock_s()

    def add_validation(self, epochs: int, values: Mapping[str, float]) -> None:
        """Add to the line after that many epochs what a validation found later."""
        entries = read_metrics(self._metrics)
        with SummaryWriter(str(self._folder)) as writer:
            for entry in entries:
                if (entry['kind'], entry['epoch']) == ('epoch', epochs):
                    entry.update(_rounded(values))
                    _draw(writer, values, entry['step'])
        self._rewrite(entries)

    def close(self) -> None:
        """Close TensorBoard's file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _write_steps(self, trainer: Trainer) -> None:
        """Write the means since the last time and begin anew."""
        if self._sums is None:
            return
        *sums, used = self._sums.tolist()
        values = {name: total / max(used, 1) for name, total in zip(TERMS, sums, strict=True)}
        values['learning_rate'] = self._learning_rate
        values['samples_per_s'] = self._samples / max(self._clock_s() - self._since_s, 1e-9)
        self._write('step', trainer.current_epoch, trainer.global_step, values)
        self._sums, self._steps, self._samples = None, 0, 0
        self._since_s = self._clock_s()

    def _write(self, kind: str, epoch: int, step: int, values: Mapping[str, float]) -> None:
        """One entry for programs and one for TensorBoard, in the first process."""
        if self._writer is None:
            return
        entry = {'kind': kind, 'epoch': epoch, 'step': step, **_rounded(values)}
        with self._metrics.open('a') as file:
            file.write(f'{json.dumps(entry)}\n')
        _draw(self._writer, values, step)

    def _rewrite(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Replace the entries for programs."""
        self._metrics.write_text(''.join(f'{json.dumps(entry)}\n' for entry in entries))


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    """As many digits as are written down."""
    return {name: float(f'{value:.{_DIGITS}g}') for name, value in values.items()}


def _draw(writer: SummaryWriter, values: Mapping[str, float], step: int) -> None:
    """One entry for TensorBoard."""
    for name, value in values.items():
        writer.add_scalar(f'{_group(name)}/{name}', value, step)


def _group(name: str) -> str:
    """TensorBoard's group for a figure."""
    if name.startswith('validation_'):
        return 'validation'
    return 'loss' if name in TERMS else 'run'
