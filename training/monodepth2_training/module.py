# SPDX-License-Identifier: Apache-2.0
"""One step of training and of validation, as a LightningModule; nothing is built here.

All randomness of a step follows from (seed, epoch, batch, process): a run that was interrupted
draws the same numbers as one that was not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from lightning.pytorch import LightningModule

from monodepth2_training.data.augmentation import augment
from monodepth2_training.finite_guard import FiniteGuard
from monodepth2_training.loss.velocity import share_of_known

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

    from monodepth2_training.config import TrainingConfig
    from monodepth2_training.data.augmentation import Views
    from monodepth2_training.data.dataset import TripletBatch
    from monodepth2_training.loss.objective import LossTerms, Objective
    from monodepth2_training.model.depth_pose import DepthPoseModel, Prediction

MONITOR = 'validation_photometric'
"""Photometric error on the validation samples; see :func:`validation_error`."""

TERMS = (
    'total',
    'photometric',
    'smoothness',
    'mask_regularisation',
    'velocity',
    'moving_share',
)
"""Scalars of ``LossTerms`` that are written down."""

_LR_DROP = 0.1


class DepthTraining(LightningModule):
    """Trains a model with an objective.

    Attributes:
        model: the networks.
        guard: keeps steps with NaN or infinity out of the weights.
        provenance: where the first weights come from; kept in checkpoints.
        validation_skipped: set to leave out the rest of a validation, in all processes alike,
            when the run has to end.
    """

    def __init__(
        self,
        model: DepthPoseModel,
        objective: Objective,
        config: TrainingConfig,
        *,
        precision: torch.dtype = torch.float32,
        provenance: Mapping[str, str] | None = None,
        describe: Callable[[torch.Tensor], str] = str,
        say: Callable[[str], None] = print,
    ) -> None:
        """Put the parts together.

        Args:
            model: networks in the memory layout that they shall be trained in.
            objective: what is minimised.
            config: learning rate, schedule, augmentation, seed.
            precision: arithmetic of the networks; weights and loss are float32 all the same.
            provenance: where the first weights come from, for the model file.
            describe: turns a batch's ids, int64 [B, 2], into words.
            say: where lines for people go.
        """
        super().__init__()
        self.model = model
        self.objective = objective
        self.guard = FiniteGuard(config.optimisation.bad_steps, describe)
        self.provenance = dict(provenance or {})
        self.validation_skipped = False
        self._config = config
        self._precision = precision
        self._say = say
        self._ids = torch.empty(0, 2, dtype=torch.int64)

    def forward(self, views: Views) -> Prediction:
        """Run the networks in their arithmetic."""
        with torch.autocast(
            self.device.type, self._precision, enabled=self._precision != torch.float32
        ):
            prediction: Prediction = self.model(views)
        return prediction

    def training_step(self, batch: TripletBatch, batch_idx: int) -> dict[str, torch.Tensor]:
        """Loss of one batch, and the scalars ``TERMS``."""
        self._ids = batch.ids
        augmentation, noise = self._generators(self.current_epoch, batch_idx)
        views = augment(batch, self._config.augmentation, augmentation)
        velocity: torch.Tensor | float = self._config.loss.velocity_at(self.global_step)
        if velocity:
            velocity *= share_of_known(views.travelled_units)
        terms = self.objective(views, self(views), noise, velocity=velocity)
        return {'loss': terms.total, **scalars(terms)}

    def validation_step(self, batch: TripletBatch, batch_idx: int) -> None:
        """Judge one batch as it is, with the same noise each time."""
        if self.validation_skipped:
            return
        for name, value in scalars(self.judge(batch, batch_idx)[2]).items():
            self.log(f'validation_{name}', value, batch_size=len(batch.target), sync_dist=True)

    def judge(
        self, batch: TripletBatch, batch_idx: int = 0
    ) -> tuple[Views, Prediction, LossTerms]:
        """What networks and objective make of a batch as it is, with noise of its number alone."""
        views = augment(batch, self._config.augmentation, None)
        _, noise = self._generators(0, batch_idx)
        prediction = self(views)
        return views, prediction, self.objective(views, prediction, noise)

    def configure_optimizers(self) -> Any:
        """Adam, its rate divided by ten after each ``lr_drop_epoch`` epochs (section 4)."""
        settings = self._config.optimisation
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        optimizer = torch.optim.Adam(parameters, settings.learning_rate, fused=True)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, settings.lr_drop_epoch, _LR_DROP)
        return {'optimizer': optimizer, 'lr_scheduler': schedule}

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Any,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        """Take a step unless loss or gradient is not finite."""
        compute = cast('Callable[[], torch.Tensor]', optimizer_closure)
        adam = optimizer.optimizer

        def guarded() -> torch.Tensor:
            loss = compute()
            if self.global_step < self._config.optimisation.hold_depth_steps:
                self.model.depth_net.zero_grad(set_to_none=True)
            clip = self._config.optimisation.gradient_clip
            adam.found_inf = self.guard.judge(loss, adam.param_groups[0]['params'], clip)
            self.guard.note(self.global_step + 1, adam.found_inf, loss, self._ids)
            return loss

        optimizer.step(closure=guarded)

    def on_train_batch_end(self, outputs: Any, batch: TripletBatch, batch_idx: int) -> None:
        """Report skipped steps, on a GPU one step late."""
        self._report(wait=False)

    def skipped_steps(self) -> int:
        """How many steps were skipped so far, the last one, too; reports those that are new."""
        self._report(wait=True)
        return self.guard.skipped

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the count of skipped steps, this one too, and where the first weights came from."""
        checkpoint['skipped_steps'] = self.skipped_steps()
        checkpoint['provenance'] = self.provenance

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on counting."""
        self.guard.skipped = int(checkpoint['skipped_steps'])
        self.provenance = dict(checkpoint['provenance'])
        self._set_schedule(checkpoint)

    def _set_schedule(self, checkpoint: dict[str, Any]) -> None:
        """Let a resumed run follow a rate and a schedule that were changed meanwhile."""
        settings, schedule = self._config.optimisation, checkpoint['lr_schedulers'][0]
        first, period = settings.learning_rate, settings.lr_drop_epoch
        if (schedule['base_lrs'][0], schedule['step_size']) == (first, period):
            return
        rate = first * _LR_DROP ** (schedule['last_epoch'] // period)
        schedule.update(base_lrs=[first], step_size=period, _last_lr=[rate])
        for group in checkpoint['optimizer_states'][0]['param_groups']:
            group.update(lr=rate, initial_lr=first)

    def _report(self, *, wait: bool) -> None:
        """Say which steps were skipped."""
        for line in self.guard.read(wait=wait):
            self._say(line)

    def _generators(self, epoch: int, batch_idx: int) -> tuple[torch.Generator, torch.Generator]:
        """Sources of a step's augmentation (CPU) and noise (this device)."""
        entropy = (self._config.optimisation.seed, epoch, batch_idx, self.global_rank)
        seeds = np.random.SeedSequence(entropy).generate_state(3, np.uint32).tolist()
        torch.manual_seed(seeds[2])
        noise = torch.Generator(self.device).manual_seed(seeds[1])
        return torch.Generator().manual_seed(seeds[0]), noise


def found_by_validation(trainer: Trainer, module: LightningModule) -> dict[str, float]:
    """Means of ``TERMS`` as ``validation_*``; none without validation or if it was cut short."""
    if cast('DepthTraining', module).validation_skipped:
        return {}
    found = trainer.callback_metrics.items()
    return {name: float(value) for name, value in found if name.startswith('validation_')}


def validation_error(found: Mapping[str, float]) -> float | None:
    """What the best weights are chosen by, of ``validation_*``; None without validation.

    The photometric error and what a predictive mask pays for the pixels that it hides from it.
    """
    if MONITOR not in found:
        return None
    return float(found[MONITOR] + found['validation_mask_regularisation'])


def scalars(terms: LossTerms) -> dict[str, torch.Tensor]:
    """The terms by name, without gradient."""
    return {name: getattr(terms, name).detach() for name in TERMS}
