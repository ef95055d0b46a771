# SPDX-License-Identifier: Apache-2.0
"""The centre line of the street: a gentle curve y = f(x) in a level world.

World axes follow REP 103: x along the street, y to the left, z up, metres. *Lateral* is the offset
from the centre line, positive to the left; *along* is the world x of the nearest centre point.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

Number = float | NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class StreetPath:
    """Sum of sine waves, so that the street has no end."""

    amplitudes_m: tuple[float, ...]
    """Height of each wave."""
    lengths_m: tuple[float, ...]
    """Wave length of each wave."""
    phases: tuple[float, ...]
    """Phase of each wave at x = 0, in radians."""

    def centre_y(self, x: Number) -> NDArray[np.float64]:
        """World y of the centre line at world x, both float64 of one shape, metres."""
        total = np.zeros_like(np.asarray(x, dtype=np.float64))
        for amplitude, length, phase in self._waves():
            total = total + amplitude * np.sin(2 * np.pi * x / length + phase)
        return total

    def slope(self, x: Number) -> NDArray[np.float64]:
        """dy/dx of the centre line at world x."""
        total = np.zeros_like(np.asarray(x, dtype=np.float64))
        for amplitude, length, phase in self._waves():
            k = 2 * np.pi / length
            total = total + amplitude * k * np.cos(k * x + phase)
        return total

    def heading(self, x: Number) -> NDArray[np.float64]:
        """Direction of the street at world x: angle from the x axis towards y, in radians."""
        return np.asarray(np.arctan(self.slope(x)))

    def point(
        self, along_m: Number, lateral_m: Number
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """World x and y of the point ``lateral_m`` left of the centre line at ``along_m``."""
        heading = self.heading(along_m)
        x = along_m - lateral_m * np.sin(heading)
        y = self.centre_y(along_m) + lateral_m * np.cos(heading)
        return x, y

    def lateral(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Offset from the centre line of world points, float32 tensors of one shape, metres.

        To first order in the curvature: exact on a straight street, within 2 cm at 10 m here.
        """
        slope = torch.zeros_like(x)
        for amplitude, length, phase in self._waves():
            k = 2 * np.pi / length
            slope = slope + amplitude * k * torch.cos(x * k + phase)
        return self.offset(x, y) * torch.rsqrt(1 + slope * slope)

    def offset(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """World y of points above the centre line at the same world x, float32, metres."""
        for amplitude, length, phase in self._waves():
            y = y - amplitude * torch.sin(x * (2 * np.pi / length) + phase)
        return y

    def _waves(self) -> zip[tuple[float, float, float]]:
        return zip(self.amplitudes_m, self.lengths_m, self.phases, strict=True)
