# SPDX-License-Identifier: Apache-2.0
"""A true and a predicted path as they are drawn: from above."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Trajectory:
    """Both paths in the plane that the true one spreads in most, N poses each."""

    name: str
    """What the path is called."""
    true_m: NDArray[np.float64]
    """[N, 2]"""
    predicted_m: NDArray[np.float64]
    """[N, 2] after alignment."""
    axes: tuple[str, str]
    """What both axes are called."""
