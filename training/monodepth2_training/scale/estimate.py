# SPDX-License-Identifier: Apache-2.0
"""One scale out of many: the median over frames, and how far they lie around it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.inference.running_scale import relative_spread
from monodepth2_ros.model_description import Scale

Floats = NDArray[np.float64]

LEAST_FRAMES = 5
"""Fewer frames give no scale."""


@dataclass(frozen=True, kw_only=True)
class ScaleEstimate:
    """What one method found."""

    method: str
    """The method in words, with what it went by."""
    value: float
    """Metres per unit of network depth: the median over frames."""
    spread: float
    """Relative standard deviation over frames, by the median absolute deviation."""
    frames: int
    """Frames, or steps between two, that it was found on."""
    notes: tuple[str, ...] = ()
    """What a user should know about it."""
    doubts: tuple[str, ...] = ()
    """What speaks against it; empty if nothing does."""

    @property
    def uncertainty(self) -> float:
        """Relative standard error of the median (of normal values, 1.25 times the mean's)."""
        return 1.2533 * self.spread / math.sqrt(self.frames)

    def scale(self) -> Scale:
        """The same as a model file states it."""
        return Scale(value=self.value, spread=self.spread, frames=self.frames, method=self.method)


def estimate_scale(
    values: Floats, method: str, notes: tuple[str, ...] = (), doubts: tuple[str, ...] = ()
) -> ScaleEstimate | None:
    """Estimate a scale from one value a frame.

    Args:
        values: float64 [N] in metres per network unit; those that are not finite are left out.
        method: in words.
        notes: passed on.
        doubts: passed on.

    Returns:
        None where fewer than ``LEAST_FRAMES`` are left, or their median is no scale.
    """
    known = values[np.isfinite(values)]
    if len(known) < LEAST_FRAMES:
        return None
    middle = float(np.median(known))
    if not middle > 0.0:
        return None
    return ScaleEstimate(
        method=method,
        value=middle,
        spread=relative_spread(known),
        frames=len(known),
        notes=notes,
        doubts=doubts,
    )
