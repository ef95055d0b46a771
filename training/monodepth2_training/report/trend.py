# SPDX-License-Identifier: Apache-2.0
"""Tells from one figure an epoch whether a curve still falls, has levelled off or rises again."""

from __future__ import annotations

from collections.abc import Sequence

SHORT, FALLING, LEVEL, RISING = 'short', 'falling', 'level', 'rising'
"""Too few epochs to tell; better by more than 1 % over the last epochs; neither; worse than 3 %
above the best, which is some epochs ago."""

_WINDOW = 3
_LEAST_GAIN = 0.01
_LEAST_LOSS = 0.03


def trend(values: Sequence[float]) -> str:
    """Judge a curve by its last epochs.

    Args:
        values: a positive error after each epoch.

    Returns:
        one of ``SHORT``, ``FALLING``, ``LEVEL`` and ``RISING``.
    """
    if len(values) < 2:
        return SHORT
    last, best = values[-1], min(values)
    since_best = len(values) - 1 - list(values).index(best)
    if last > best * (1.0 + _LEAST_LOSS):
        return RISING if since_best >= min(_WINDOW, len(values) - 1) else LEVEL
    before = values[-1 - min(_WINDOW, len(values) - 1)]
    return FALLING if last < before * (1.0 - _LEAST_GAIN) else LEVEL
