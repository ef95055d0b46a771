# SPDX-License-Identifier: Apache-2.0
"""Says in words which frames became samples, which did not, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from monodepth2_training.data.frame_store import FrameTable
from monodepth2_training.data.neighbours import Indices, period_ns, periods_ns

STILL = 'stand still'
UNREACHED = 'have no earlier or no later frame near enough in time'
ALONE = 'have no frame of the other camera at their moment'
"""Reasons why a frame is no target, as said after a number."""

_MUCH = 0.1


def targets_note(samples: int, frames: int, drops: Mapping[str, int]) -> str:
    """How many frames are targets, and why the others are not."""
    text = f'{samples} of {frames} frames are targets'
    return f'{text}: {_reasons(drops)}' if any(drops.values()) else text


def unused_note(table: FrameTable, targets: Indices) -> str:
    """What is known of a part without a target that is a tenth of a camera's frames; or nothing.

    Args:
        table: the frames of the camera.
        targets: int64 [N], which of them are targets.
    """
    frames = np.bincount(table.part, minlength=1)
    frames[table.part[targets]] = 0
    if not frames.any() or frames.max() < _MUCH * len(table):
        return ''
    period_s = 1e-9 * np.median(periods_ns(table)[table.part == frames.argmax()])
    return f'{frames.max()} frames in a row, one every {period_s:.3g} s, give no target'


def split_note(*, training: int, validation: int, left_out: int, blocks: int) -> str:
    """How many samples are on each side."""
    return (
        f'{training} samples train, {validation} in {blocks} block(s) of time validate, '
        f'{left_out} have frames on both sides and are left out'
    )


def unsplit_note(samples: int, share: float) -> str:
    """Why there is no validation though it was asked for."""
    return (
        f'nothing validates: {samples} samples are too few to set {share:g} of the time aside '
        'without a frame on both sides; record longer, or raise triplets.validation'
    )


def nothing_left(
    tables: Sequence[FrameTable], drops: Mapping[str, int], *, max_step_s: float
) -> str:
    """Why there is not a single sample, and the fix for the commonest reason."""
    period_s = max(map(period_ns, tables)) * 1e-9
    fixes = {
        STILL: 'record while driving, or set triplets.keep_standstill',
        UNREACHED: (
            f'frames come every {period_s:.3g} s and triplets.max_step_s is {max_step_s:g}: '
            'record 3 frames or more in one go, or raise it'
        ),
        ALONE: 'record both cameras with synchronised stamps, or train in mode mono',
    }
    commonest = max(fixes, key=lambda reason: drops.get(reason, 0))
    reasons = _reasons(drops) or 'none is stored'
    return f'no sample is left of {sum(map(len, tables))} frames: {reasons}; {fixes[commonest]}'


def _reasons(drops: Mapping[str, int]) -> str:
    return ', '.join(f'{count} {reason}' for reason, count in drops.items() if count)
