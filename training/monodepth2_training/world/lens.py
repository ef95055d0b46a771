# SPDX-License-Identifier: Apache-2.0
"""A camera whose lens may bend straight lines: where its pixels look, and where points appear.

The formulas are those of OpenCV's and ROS's distortion models. Distortion bends directions, never
depth: a pixel's ray has camera z = 1, so that its parameter is depth as in any other camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from monodepth2_ros.geometry.camera import CameraCalibration, PinholeCamera

Floats = NDArray[np.float64]
Array = TypeVar('Array', Floats, torch.Tensor)

PLUMB_BOB, EQUIDISTANT = 'plumb_bob', 'equidistant'

_ITERATIONS, _SETTLED = 100, 1e-13


@dataclass(frozen=True, kw_only=True)
class Lens:
    """Intrinsics and distortion."""

    camera: PinholeCamera
    """Size and K."""
    distortion_model: str = PLUMB_BOB
    """``plumb_bob`` or ``equidistant``."""
    D: tuple[float, ...] = (0.0,) * 5
    """Coefficients: k1 k2 p1 p2 k3, or k1 k2 k3 k4."""

    @property
    def bends(self) -> bool:
        """Whether pixels look elsewhere than those of a pinhole camera."""
        return self.distortion_model == EQUIDISTANT or any(self.D)

    def calibration(self, *, right_of_first_m: float = 0.0) -> CameraCalibration:
        """What CameraInfo says: P is K, perhaps of the second camera of a pair."""
        fx, fy = self.camera.fx_px, self.camera.fy_px
        cx, cy = self.camera.cx_px, self.camera.cy_px
        return CameraCalibration(
            width=self.camera.width,
            height=self.camera.height,
            distortion_model=self.distortion_model,
            D=self.D,
            K=(fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0),
            P=(fx, 0.0, cx, -fx * right_of_first_m, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0),
        )

    @cached_property
    def rays(self) -> tuple[Floats, Floats]:
        """Where every pixel centre looks: x and y at z = 1, float64 [H, W] each."""
        camera = self.camera
        u, v = np.meshgrid(
            np.arange(camera.width, dtype=np.float64), np.arange(camera.height, dtype=np.float64)
        )
        x: Floats = (u - camera.cx_px) / camera.fx_px
        y: Floats = (v - camera.cy_px) / camera.fy_px
        return self._straightened(x, y) if self.bends else (x, y)

    @cached_property
    def reach(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Largest and smallest x of each column [W], and y of each row [H], made to ascend."""
        x, y = self.rays
        return (*_ascending(x.max(axis=0), x.min(axis=0)), *_ascending(y.max(1), y.min(1)))

    def project(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Column and row, float32 of any shape, of points x, y at z = 1 in front of the lens."""
        bent_x, bent_y = self._bent(x, y) if self.bends else (x, y)
        camera = self.camera
        return (
            bent_x * camera.fx_px + camera.cx_px,
            bent_y * camera.fy_px + camera.cy_px,
        )

    def _bent(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        r2 = x * x + y * y
        if self.distortion_model == EQUIDISTANT:
            r = torch.sqrt(r2).clamp(min=1e-9)
            angle = torch.atan(r)
            scale = angle * _polynomial(self.D, angle * angle) / r
            return x * scale, y * scale
        k1, k2, p1, p2, k3 = self.D
        scale = _polynomial((k1, k2, k3), r2)
        return (
            x * scale + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * scale + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        )

    def _straightened(self, bent_x: Floats, bent_y: Floats) -> tuple[Floats, Floats]:
        """The inverse of ``_bent``, by fixed-point iteration."""
        if self.distortion_model == EQUIDISTANT:
            return self._straightened_angle(bent_x, bent_y)
        k1, k2, p1, p2, k3 = self.D
        x, y = bent_x, bent_y
        for _ in range(_ITERATIONS):
            before_x, r2 = x, x * x + y * y
            scale = _polynomial((k1, k2, k3), r2)
            x, y = (
                (bent_x - 2 * p1 * x * y - p2 * (r2 + 2 * x * x)) / scale,
                (bent_y - p1 * (r2 + 2 * y * y) - 2 * p2 * x * y) / scale,
            )
            if np.abs(x - before_x).max() < _SETTLED:
                break
        return x, y

    def _straightened_angle(self, bent_x: Floats, bent_y: Floats) -> tuple[Floats, Floats]:
        bent = np.maximum(np.hypot(bent_x, bent_y), 1e-12)
        angle = bent
        for _ in range(_ITERATIONS):
            before, angle = angle, bent / _polynomial(self.D, angle * angle)
            if np.abs(angle - before).max() < _SETTLED:
                break
        scale = np.tan(angle) / bent
        return bent_x * scale, bent_y * scale


def _polynomial(coefficients: tuple[float, ...], squared: Array) -> Array:
    """1 + k1 s + k2 s^2 + ..."""
    total = 0.0 * squared
    for k in reversed(coefficients):
        total = (total + k) * squared
    return 1.0 + total


def _ascending(high: Floats, low: Floats) -> tuple[Floats, Floats]:
    return np.maximum.accumulate(high), np.minimum.accumulate(low[::-1])[::-1]
