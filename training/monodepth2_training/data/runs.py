# SPDX-License-Identifier: Apache-2.0
"""Runs of neighbours for which something holds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def runs_of(holds: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Begin and end (the first that is no longer in it) [N, 2] of each run of true values [M]."""
    outside = np.zeros(1, bool)
    edges = np.diff(np.concatenate((outside, holds, outside)).astype(np.int8))
    return np.flatnonzero(edges).reshape(-1, 2)
