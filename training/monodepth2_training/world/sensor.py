# SPDX-License-Identifier: Apache-2.0
"""What the camera's electronics make of the light: exposure, noise, tone curve, 8 bits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

_BASE_GAIN = 1.1
_GAMMA = 1 / 1.9


@dataclass(frozen=True, kw_only=True)
class Sensor:
    """Effects that can be switched off one by one."""

    exposure_changes: bool = True
    """Let the gain drift, and step up once as an automatic exposure does."""
    noise: float = 0.006
    """Standard deviation of the noise at full signal, of full scale; 0 for none."""
    seed: int = 0
    """Noise is drawn from it and the frame's number."""

    def gain(self, time_s: float, duration_s: float) -> float:
        """Exposure at a time: a factor on the linear signal."""
        if not self.exposure_changes:
            return _BASE_GAIN
        drift = 0.12 * np.sin(2 * np.pi * time_s / 9.0) + 0.06 * np.sin(2 * np.pi * time_s / 2.9)
        step = 0.28 * np.clip((time_s - 0.72 * duration_s) / 0.6, 0.0, 1.0)
        return float(_BASE_GAIN * 2.0 ** (drift + step - 0.1))

    def capture(self, radiance: torch.Tensor, frame: int, gain: float) -> torch.Tensor:
        """Turn linear light into a picture.

        Args:
            radiance: float32[H, W, 3] linear RGB.
            frame: number of the frame, decides the noise.
            gain: exposure.

        Returns:
            uint8[H, W, 3] RGB on the same device.
        """
        signal = radiance * gain
        # A soft shoulder keeps clouds and white walls below clipping.
        signal = torch.where(signal > 0.6, 1.0 - 0.4 * torch.exp((0.6 - signal) / 0.4), signal)
        if self.noise > 0:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + frame)
            noise = torch.randn(signal.shape, generator=generator).to(signal.device)
            signal = signal + noise * (self.noise * torch.sqrt(signal.clamp(min=0.02)))
        values = signal.clamp_(0.0, 1.0).pow_(_GAMMA).mul_(255.0).round_()
        return values.to(torch.uint8)
