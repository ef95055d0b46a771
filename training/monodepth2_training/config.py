# SPDX-License-Identifier: Apache-2.0
"""Everything that decides what a training run computes, in one tree of frozen dataclasses.

Each part is defined where it is used; this module puts them together and checks what only
shows when they are. ``config_files`` reads the tree from YAML.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from monodepth2_ros.errors import ConfigError
from monodepth2_ros.geometry.depth import DepthRange
from monodepth2_ros.inference.engines import PRECISIONS
from monodepth2_ros.typed_document import nearest
from monodepth2_training.data.augmentation import AugmentationSettings
from monodepth2_training.data.generated_settings import GeneratedSettings
from monodepth2_training.data.triplets import TripletSettings, learns_motion
from monodepth2_training.loss.config import LossConfig
from monodepth2_training.model.depth_pose import ModelConfig

COMPILE_CHOICES = ('auto', 'always', 'never')
"""When the loss is compiled; ``auto`` does so in runs that are long enough to win by it."""

STORED_PRECISIONS = ('float32', 'float16')
"""How a model file keeps its weights; the second takes half the room."""


@dataclass(frozen=True, kw_only=True)
class OptimisationConfig:
    """How the weights are found (section 4 of the paper)."""

    epochs: int = 20
    """Times that every sample is seen, or ``epoch_samples`` of them."""
    epoch_samples: int = 0
    """Most samples of an epoch, drawn anew for each, so that a long drive takes no longer than a
    short one; validation is thinned alike. 0 for all."""
    batch_size: int = 12
    """Samples of one step, on each device."""
    learning_rate: float = 1e-4
    """Adam's step size in the first epochs."""
    lr_drop_epoch: int = 15
    """Epochs at the full learning rate; after every such number it is divided by ten."""
    hold_depth_steps: int = 0
    """First steps that leave the depth network's weights as they are: a new pose network learns
    how the camera moves from depth that is known, before it can spoil it."""
    precision: str = 'auto'
    """Arithmetic of the networks, one of ``PRECISIONS``; the loss is always float32."""
    gradient_clip: float = 0.0
    """Greatest norm of a step's gradient; longer ones are shortened. 0 leaves all as they are."""
    seed: int = 0
    """Another number, other initial weights, order of samples and augmentation."""
    workers: int = 0
    """Processes that read frames; 0 reads them in the trainer's own."""
    compile: str = 'auto'
    """One of ``COMPILE_CHOICES``."""
    bad_steps: int = 5
    """Steps in a row without a finite loss and gradient that end the training; each is skipped."""
    save_every_min: float = 15.0
    """Minutes between checkpoints within a long epoch; 0 saves at the end of each epoch alone."""

    def __post_init__(self) -> None:
        """Refuse numbers outside their range and unknown names."""
        for name, low in _LOWEST.items():
            value = getattr(self, name)
            if not low <= value < math.inf:
                raise ConfigError(f'optimisation.{name} is {value}: expected {low} or more')
        if self.seed > _HIGHEST_SEED:
            raise ConfigError(
                f'optimisation.seed is {self.seed}: expected {_HIGHEST_SEED} at most'
            )
        if not self.learning_rate > 0.0:
            raise ConfigError(f'optimisation.learning_rate is {self.learning_rate}: expected > 0')
        _check_choice('optimisation.precision', self.precision, PRECISIONS)
        _check_choice('optimisation.compile', self.compile, COMPILE_CHOICES)

    def steps(self, samples: int, processes: int) -> int:
        """Steps of a whole run on so many training samples, shared by so many processes.

        Each epoch leaves its last, incomplete step out, and has one however few samples there are.
        """
        seen = min(samples, self.epoch_samples or samples)
        return self.epochs * max(seen // (self.batch_size * processes), 1)


_HIGHEST_SEED = 2**63 - 1

_LOWEST: dict[str, int] = {
    'epochs': 1,
    'epoch_samples': 0,
    'batch_size': 1,
    'learning_rate': 0,
    'lr_drop_epoch': 1,
    'hold_depth_steps': 0,
    'gradient_clip': 0,
    'seed': 0,
    'workers': 0,
    'bad_steps': 1,
    'save_every_min': 0,
}


@dataclass(frozen=True, kw_only=True)
class LogConfig:
    """What a run writes down on its way."""

    every_steps: int = 20
    """Steps between two entries of losses, learning rate and throughput."""
    pictures: int = 4
    """Validation samples whose pictures are kept after each epoch; 0 for none."""

    def __post_init__(self) -> None:
        """Refuse intervals that never come."""
        if self.every_steps < 1 or self.pictures < 0:
            raise ConfigError(
                f'log.every_steps {self.every_steps} and log.pictures {self.pictures} are not '
                'usable: expected at least 1 and 0'
            )


@dataclass(frozen=True, kw_only=True)
class ModelFileConfig:
    """What a run's model file holds and says."""

    precision: str = 'float32'
    """One of ``STORED_PRECISIONS``: how weights are kept; the robot computes as it likes."""
    licence: str = ''
    """Licence of the weights; empty says that the recordings decide."""

    def __post_init__(self) -> None:
        """Refuse unknown names."""
        _check_choice('model_file.precision', self.precision, STORED_PRECISIONS)


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """One experiment."""

    name: str = 'custom'
    """What the experiment is called; that of its file unless it says otherwise."""
    about: str = ''
    """What it is for, in one line."""
    starts_from: str = ''
    """Name of the experiment whose weights have to be given to this one; empty for none."""
    mode: str = 'mono'
    """``mono``, ``stereo``, ``mono_stereo`` or ``trinocular``: what the target is reconstructed
    from."""
    network: ModelConfig = field(default_factory=ModelConfig)
    """Networks, the size of their input, and the weights that they begin with."""
    depth_range: DepthRange = field(default_factory=DepthRange)
    """Depths at disparity 1 and 0."""
    loss: LossConfig = field(default_factory=LossConfig)
    """The parts of the objective."""
    generated: GeneratedSettings = field(default_factory=GeneratedSettings)
    """Drives that are rendered to train on where no recording is given."""
    triplets: TripletSettings = field(default_factory=TripletSettings)
    """Which frames become samples."""
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)
    """How pictures are varied."""
    optimisation: OptimisationConfig = field(default_factory=OptimisationConfig)
    """How the weights are found."""
    log: LogConfig = field(default_factory=LogConfig)
    """What is written down on the way."""
    model_file: ModelFileConfig = field(default_factory=ModelFileConfig)
    """What comes out."""

    def __post_init__(self) -> None:
        """Refuse an unknown mode, and settings that cannot work together."""
        held = self.optimisation.hold_depth_steps
        if not learns_motion(self.mode) and held:
            raise ConfigError(
                f'optimisation.hold_depth_steps is {held}, but mode {self.mode} predicts no '
                'motion: nothing would learn in these steps; set optimisation.hold_depth_steps=0'
            )
        workers, generated = self.optimisation.workers, self.generated
        if workers and generated.drives and generated.device != 'cpu':
            raise ConfigError(
                f'optimisation.workers is {workers} with generated.device {generated.device}: '
                'worker processes render on cpu alone; set optimisation.workers=0'
            )


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a name that is not among the choices."""
    if value not in choices:
        raise ConfigError(
            f'{name} is {value!r}: expected one of {", ".join(choices)} '
            f'({nearest(value, choices)})'
        )
