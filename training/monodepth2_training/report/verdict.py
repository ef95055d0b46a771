# SPDX-License-Identifier: Apache-2.0
"""A whole run in one sentence."""

from __future__ import annotations

from monodepth2_training.report.facts import Facts, counted
from monodepth2_training.report.trend import FALLING, RISING, trend


def verdict(facts: Facts) -> str:
    """The run in one sentence or two."""
    done = (
        f'Trained {counted(facts.epochs, "epoch")} on {counted(facts.samples, "sample")} of '
        f'{counted(facts.cameras, "camera")}'
    )
    if not facts.epochs:
        return f'Stopped within the first epoch, on {counted(facts.samples, "sample")}: resume it.'
    kind, values = ('validation', facts.validation)
    if not values:
        kind, values = 'training', facts.training
    if not values or min(values) <= 0.0:
        return f'{done}; nothing was measured on the way.'
    return f'{done}; {_course(kind, values)}'


def _course(kind: str, values: tuple[float, ...]) -> str:
    """How an error went, and what follows from it."""
    if len(values) == 1:
        return f'{kind} photometric error is {values[0]:.4f} after it: one epoch tells no trend.'
    best = min(values)
    moved = 'fell' if values[-1] < values[0] else 'went'
    text = f'{kind} photometric error {moved} from {values[0]:.4f} to {values[-1]:.4f}'
    if trend(values) == FALLING:
        return f'{text} and is still falling: train longer.'
    if trend(values) == RISING:
        place = values.index(best) + 1
        return f'{text}; it was best, {best:.4f}, after epoch {place} and rises since.'
    return f'{text} and has levelled off.'
