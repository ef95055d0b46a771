# SPDX-License-Identifier: Apache-2.0
"""Where a resumed run goes on, and what its checkpoint still lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monodepth2_training.checkpoints import (
    checkpoint_epochs,
    load_checkpoint,
    newest_good,
    remove_unfinished,
    save_checkpoint,
    set_newer_aside,
)
from monodepth2_training.module import found_by_validation
from monodepth2_training.run.fitting import validate
from monodepth2_training.run.keeper import TrainingInterrupted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lightning.pytorch import LightningDataModule, Trainer

    from monodepth2_training.module import DepthTraining
    from monodepth2_training.run.keeper import CheckpointKeeper
    from monodepth2_training.run.log import RunLog
    from monodepth2_training.run.processes import Processes


def find_start(checkpoints: Path, processes: Processes, say: Callable[[str], None]) -> Path | None:
    """The newest good checkpoint, None without any; newer ones are named and set aside.

    Raises:
        CheckpointError: a damaged one cannot be renamed.
    """
    remove_unfinished(checkpoints)
    start, faults = newest_good(checkpoints)
    for fault in faults:
        say(f'{fault}: it is left out and set aside')
    say('no checkpoint yet: beginning anew' if start is None else f'resuming from {start.name}')
    processes.wait()
    if processes.is_first:
        set_newer_aside(checkpoints, start)
    return start


def make_up_validation(
    start: Path,
    trainer: Trainer,
    module: DepthTraining,
    data: LightningDataModule,
    *,
    keeper: CheckpointKeeper,
    log: RunLog,
    batch_size: int,
    say: Callable[[str], None],
) -> None:
    """Judge a checkpoint's weights if a signal kept the run from it, and write down what is found.

    The checkpoint and the figures are then those of a run without the signal.

    Args:
        start: the checkpoint; replaced.
        trainer: has not begun yet.
        module: gets the checkpoint's weights.
        data: what to validate with.
        keeper: of this trainer.
        log: of this trainer.
        batch_size: for what is said when memory is short.
        say: prints a line.

    Raises:
        TrainingError: as by ``fit``.
        CheckpointError: the checkpoint cannot be read or written.
        TrainingInterrupted: another signal; the checkpoint is as it was.
    """
    checkpoint = load_checkpoint(start)
    keeper.load_state_dict(checkpoint['callbacks'][keeper.state_key])
    if keeper.validated:
        return
    say(f'validating {start.name} first: a signal had kept the run from it')
    module.load_state_dict(checkpoint['state_dict'])
    validate(trainer, module, data, batch_size=batch_size)
    if module.validation_skipped:
        raise TrainingInterrupted(start)
    found = found_by_validation(trainer, module)
    keeper.compare(checkpoint_epochs(start), found)
    keeper.validated = True
    if trainer.is_global_zero:
        log.add_validation(checkpoint_epochs(start), found)
        checkpoint['callbacks'][keeper.state_key] = keeper.state_dict()
        save_checkpoint(start, checkpoint)
    trainer.strategy.barrier()
