# SPDX-License-Identifier: Apache-2.0
"""A whole run: from configuration and frame store to the model file, begun or resumed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from monodepth2_ros.errors import CheckpointError, TrainingError
from monodepth2_ros.inference.engines.device import choose_precision
from monodepth2_training.build import batch_describer, build_module
from monodepth2_training.checkpoints import checkpoint_epochs, newest_good, verify_checkpoint
from monodepth2_training.data.datamodule import TripletDataModule
from monodepth2_training.data.triplets import make_split
from monodepth2_training.run.fitting import fit, make_trainer
from monodepth2_training.run.keeper import CheckpointKeeper
from monodepth2_training.run.log import RunLog
from monodepth2_training.run.metric import checked_scale
from monodepth2_training.run.model import write_model
from monodepth2_training.run.odometry import read_run_odometry
from monodepth2_training.run.pictures import RunPictures
from monodepth2_training.run.processes import Processes
from monodepth2_training.run.resuming import find_start, make_up_validation

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from lightning.pytorch import Trainer

    from monodepth2_training.config import TrainingConfig
    from monodepth2_training.data.frame_store import FrameStore
    from monodepth2_training.data.triplets import Split
    from monodepth2_training.module import DepthTraining
    from monodepth2_training.run.folder import RunFolder
    from monodepth2_training.run.odometry import RunOdometry
    from monodepth2_training.run.progress import RunProgress

ALONE = Processes()
"""A run of a single process."""

_WORTH_COMPILING = 200
"""Steps that make up for the time of compiling, on small computers, too."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run has come to."""

    checkpoint: Path
    """The best weights, or the last ones without validation."""
    epochs: int
    """Whole epochs behind them."""
    best_validation: float | None
    """Their photometric error on the validation samples; None without such."""
    training_samples: int
    """Samples that were trained on."""
    validation_samples: int
    """Samples that were set aside."""
    steps: int
    """Steps of the whole run."""
    skipped_steps: int
    """Those among them that gave no finite loss or gradient."""
    seconds: float
    """Time that this call took to train."""


def train(
    config: TrainingConfig,
    store: FrameStore,
    folder: RunFolder,
    device: torch.device,
    *,
    resume: bool,
    progress: RunProgress,
    processes: Processes = ALONE,
) -> Outcome:
    """Train, and write the model file.

    Args:
        config: what to train.
        store: what to train on.
        folder: where the run lives; locked by the caller.
        device: where to train.
        resume: whether to go on from the newest good checkpoint.
        progress: shows how far it is.
        processes: this process's place among those of the run.

    Raises:
        TrainingError: the data does not suffice, the numbers are not finite, or memory is short.
        CheckpointError: a checkpoint cannot be read or written.
        TrainingInterrupted: a signal has ended the run.
    """
    _check_size(config, store)
    split = make_split(store, mode=config.mode, settings=config.triplets)
    odometry = read_run_odometry(config, store, split)
    notes = (
        *split.notes,
        *_batch_note(config, split, processes),
        *_hold_note(config, split, processes),
        *_odometry_notes(config, store, odometry),
    )
    for note in notes:
        progress.say(note)
    start = find_start(folder.checkpoints, processes, progress.say) if resume else None
    compile = _compiles(config, split, processes)
    module = _module(config, store, device, progress, resumed=start is not None, compile=compile)
    started_s = time.monotonic()
    data = _data(config, store, split, odometry, device)
    trainer, keeper = _fit(config, data, folder, module, device, start, progress, processes)
    checkpoint = _best(keeper, folder, progress.say)
    outcome = Outcome(
        checkpoint=checkpoint,
        epochs=checkpoint_epochs(checkpoint),
        best_validation=keeper.best_value if keeper.best_epochs else None,
        training_samples=len(split.training),
        validation_samples=len(split.validation),
        steps=trainer.global_step,
        skipped_steps=module.guard.skipped,
        seconds=time.monotonic() - started_s,
    )
    if processes.is_first:
        scale = checked_scale(config, store, split, odometry, checkpoint)
        if scale is not None:
            progress.say(f'a network unit is {scale.value:.4g} m: {scale.method}')
        write_model(folder.model, checkpoint, config, store, facts=_facts(outcome), scale=scale)
    return outcome


def _module(
    config: TrainingConfig,
    store: FrameStore,
    device: torch.device,
    progress: RunProgress,
    *,
    resumed: bool,
    compile: bool,
) -> DepthTraining:
    """What is trained, in the arithmetic that suits the device."""
    precision, reason = choose_precision(config.optimisation.precision, device)
    loss = 'float32, compiled in the first step' if compile else 'float32'
    progress.say(f'networks: {reason}; loss: {loss}')
    return build_module(
        config,
        precision=precision,
        compile=compile,
        resumed=resumed,
        describe=batch_describer(store),
        say=progress.warn,
    )


def _compiles(config: TrainingConfig, split: Split, processes: Processes) -> bool:
    """Whether the loss is compiled: it takes seconds, and saves two thirds of the loss's time."""
    settings = config.optimisation
    worth = settings.steps(len(split.training), processes.count) >= _WORTH_COMPILING
    return {'auto': worth, 'always': True, 'never': False}[settings.compile]


def _data(
    config: TrainingConfig,
    store: FrameStore,
    split: Split,
    odometry: RunOdometry | None,
    device: torch.device,
) -> TripletDataModule:
    """The samples as batches for a device."""
    settings = config.optimisation
    return TripletDataModule(
        store,
        split,
        batch_size=settings.batch_size,
        seed=settings.seed,
        workers=settings.workers,
        epoch_samples=settings.epoch_samples,
        travelled_units=None if odometry is None else odometry.units,
        device=device,
    )


def _fit(
    config: TrainingConfig,
    data: TripletDataModule,
    folder: RunFolder,
    module: DepthTraining,
    device: torch.device,
    start: Path | None,
    progress: RunProgress,
    processes: Processes,
) -> tuple[Trainer, CheckpointKeeper]:
    """Train to the last epoch; the trainer and the keeper know what came of it."""
    settings = config.optimisation
    keeper = CheckpointKeeper(folder.checkpoints, 60.0 * settings.save_every_min)
    log = RunLog(folder.metrics, folder.tensorboard, config.log.every_steps)
    pictures = RunPictures(folder.pictures, log, config.log.pictures)
    epochs = max(settings.epochs, 0 if start is None else checkpoint_epochs(start))
    callbacks = [progress, log, pictures, keeper]
    trainer = make_trainer(folder.path, callbacks, device, processes, epochs=epochs)
    try:
        if start is not None:
            make_up_validation(
                start,
                trainer,
                module,
                data,
                keeper=keeper,
                log=log,
                batch_size=settings.batch_size,
                say=progress.say,
            )
        fit(trainer, module, data, start=start, batch_size=settings.batch_size)
    finally:
        keeper.close()
        log.close()
    return trainer, keeper


def _check_size(config: TrainingConfig, store: FrameStore) -> None:
    """Refuse a store whose pictures are not the network's input."""
    network = config.network
    if (store.width, store.height) != (network.width, network.height):
        raise TrainingError(
            f'{store.path} holds pictures of {store.width}x{store.height}, but {config.name} '
            f'trains on {network.width}x{network.height}: extract them at that size, or add '
            f'--set network.width={store.width} --set network.height={store.height}'
        )


def _batch_note(config: TrainingConfig, split: Split, processes: Processes) -> list[str]:
    """A line on samples that do not fill a batch."""
    wanted = config.optimisation.batch_size * processes.count
    found = len(split.training)
    if found >= wanted:
        return []
    return [
        f'{found} training samples are fewer than a step of {wanted}: each epoch is one step of '
        f'{found // processes.count * processes.count}; record more for a useful model'
    ]


def _hold_note(config: TrainingConfig, split: Split, processes: Processes) -> list[str]:
    """A line on a run in which depth waits for motion most of the time."""
    held = config.optimisation.hold_depth_steps
    steps = config.optimisation.steps(len(split.training), processes.count)
    if 2 * held <= steps:
        return []
    held = min(held, steps)
    return [f'depth is held for {held} of {steps} steps: --epochs or a longer drive gives it more']


def _odometry_notes(
    config: TrainingConfig, store: FrameStore, odometry: RunOdometry | None
) -> list[str]:
    """What the velocity term learns from; refuses a store whose odometry cannot be used."""
    if not config.loss.velocity:
        return []
    if odometry is None:
        raise TrainingError(
            'loss.velocity is set, but mode stereo predicts no motion: its metres come from the '
            'baseline; set loss.velocity=0'
        )
    travel = odometry.travel
    if not travel.known:
        raise TrainingError(
            f'loss.velocity is set, but no step of {store.path} can be used: {travel.text()}; '
            'record nav_msgs/Odometry, a TwistStamped or /tf along with the camera, or set '
            'loss.velocity=0 for relative depth'
        )
    return [travel.text(), *travel.clock_lines()]


def _best(keeper: CheckpointKeeper, folder: RunFolder, say: Callable[[str], None]) -> Path:
    """The best weights; the newest good ones where those are damaged or unknown."""
    best = keeper.best_path
    if best is not None:
        try:
            verify_checkpoint(best)
        except CheckpointError as err:
            say(f'the best weights cannot be used, the newest good ones are: {err}')
        else:
            return best
    newest, faults = newest_good(folder.checkpoints)
    if newest is None:
        raise CheckpointError(
            f'{folder.checkpoints} holds no usable checkpoint ({"; ".join(faults) or "empty"})'
        )
    return newest


def _facts(outcome: Outcome) -> dict[str, str]:
    """What the model file says of the run."""
    best = outcome.best_validation
    return {
        'samples': str(outcome.training_samples),
        'epochs': str(outcome.epochs),
        'validation loss': 'none' if best is None else f'{best:.5f} (photometric)',
    }
