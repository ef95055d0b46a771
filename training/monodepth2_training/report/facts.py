# SPDX-License-Identifier: Apache-2.0
"""The few figures of a run that its verdict and all advice are made of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PoseFacts:
    """Predicted motion against odometry, in the median over steps."""

    residual_deg: float
    """Error of the direction, without what is common to all steps."""
    offset_deg: float
    """What is common to all steps."""
    scale: float
    """Metres of odometry per network unit."""
    scale_spread: float
    """Relative standard deviation of the scale."""
    path_drift: float
    """Distance of both paths, root mean square, as a share of their length."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The figures that rules look at."""

    epochs: int
    """Whole epochs done."""
    planned: int
    """Epochs asked for."""
    training: tuple[float, ...]
    """Photometric error on training samples, mean of each epoch."""
    validation: tuple[float, ...]
    """``validation_error`` after each epoch; empty without validation samples."""
    samples: int
    """Samples to train on."""
    validation_samples: int
    """Samples to validate with."""
    cameras: int
    """Cameras that they come from."""
    kept_share: float | None
    """Share of pixels that the auto-mask keeps at last; None without auto-masking."""
    skipped_steps: int
    """Steps left out because they were not finite."""
    scale: float | None
    """Metres in a network unit as the model has it; None if unknown."""
    scale_by_odometry: bool = False
    """Whether it was learnt from odometry, and not from a baseline."""
    depth_contrast: float | None = None
    """Depth that 10 % of a picture are beyond over that 10 % are nearer than, in the median."""
    pose: PoseFacts | None = None
    """Motion against odometry, where there is any."""
    run: str = 'RUN'
    """Path of the run's folder."""


def counted(number: int, noun: str) -> str:
    """``1 epoch``, ``12 epochs``."""
    return f'{number} {noun}{"" if number == 1 else "s"}'
