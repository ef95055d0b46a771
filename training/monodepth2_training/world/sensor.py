# SPDX-License-Identifier: Apache-2.0
"""What the camera's electronics make of the light: exposure, noise, tone curve, 8 bits, JPEG."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch

_BASE_GAIN = 1.1
_LUMINANCE = (0.299, 0.587, 0.114)
_KEY_FRAMES, _QUALITY_BETWEEN = 10, 8


@dataclass(frozen=True, kw_only=True)
class Sensor:
    """Effects that can be switched off one by one."""

    exposure_changes: bool = True
    """Let the gain drift, and step up once as an automatic exposure does."""
    noise: float = 0.006
    """Standard deviation of the noise at full signal, of full scale; 0 for none."""
    seed: int = 0
    """Noise is drawn from it and the frame's number."""
    base_gain: float = 1.0
    """Exposure against that of a usual day."""
    colour: bool = True
    """Whether it sees colours; else all three channels are the luminance."""
    gamma: float = 1 / 1.9
    """Exponent of the tone curve."""
    balance: tuple[float, float, float] | None = None
    """Factors on red, green and blue; None for a camera that is balanced."""
    vignette: float = 0.0
    """Share of the light that is lost in the corners."""
    jpeg_quality: int = 0
    """1 to 100, in a stream whose frames between the best ones are worse; 0 for none."""

    def gain(self, time_s: float, duration_s: float) -> float:
        """Exposure at a time: a factor on the linear signal."""
        base = _BASE_GAIN * self.base_gain
        if not self.exposure_changes:
            return base
        drift = 0.12 * np.sin(2 * np.pi * time_s / 9.0) + 0.06 * np.sin(2 * np.pi * time_s / 2.9)
        step = 0.28 * np.clip((time_s - 0.72 * duration_s) / 0.6, 0.0, 1.0)
        return float(base * 2.0 ** (drift + step - 0.1))

    def capture(self, radiance: torch.Tensor, frame: int, gain: float) -> torch.Tensor:
        """Turn linear light into a picture.

        Args:
            radiance: float32[H, W, 3] linear RGB.
            frame: number of the frame, decides the noise.
            gain: exposure.

        Returns:
            uint8[H, W, 3] RGB on the same device.
        """
        signal = self._developed(radiance) * gain
        # A soft shoulder keeps clouds and white walls below clipping.
        signal = torch.where(signal > 0.6, 1.0 - 0.4 * torch.exp((0.6 - signal) / 0.4), signal)
        if self.noise > 0:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + frame)
            noise = torch.randn(signal.shape, generator=generator).to(signal.device)
            signal = signal + noise * (self.noise * torch.sqrt(signal.clamp(min=0.02)))
        values = signal.clamp_(0.0, 1.0).pow_(self.gamma).mul_(255.0).round_()
        picture = values.to(torch.uint8)
        if self.jpeg_quality:
            picture = _compressed(picture, self._quality(frame))
        return picture if self.colour else picture.expand(-1, -1, 3)

    def _developed(self, radiance: torch.Tensor) -> torch.Tensor:
        """Light as the sensor's pixels take it, float32[H, W, 3], or [H, W, 1] without colour."""
        if self.balance is not None:
            radiance = radiance * torch.tensor(self.balance, device=radiance.device)
        if not self.colour:
            weights = torch.tensor(_LUMINANCE, device=radiance.device)
            radiance = (radiance * weights).sum(dim=-1, keepdim=True)
        if self.vignette:
            height, width = radiance.shape[:2]
            x = torch.linspace(-1.0, 1.0, width, device=radiance.device)
            y = torch.linspace(-1.0, 1.0, height, device=radiance.device)[:, None]
            fall = 0.5 * self.vignette * (x * x + y * y)
            radiance = radiance * (1.0 - fall)[..., None]
        return radiance

    def _quality(self, frame: int) -> int:
        """Like a stream's: the best every ``_KEY_FRAMES`` frames, worse in between."""
        between = frame % _KEY_FRAMES != 0
        return max(1, self.jpeg_quality - (_QUALITY_BETWEEN if between else 0))


def _compressed(picture: torch.Tensor, quality: int) -> torch.Tensor:
    """What JPEG leaves of uint8[H, W, C] with 1 or 3 channels."""
    # OpenCV wants blue first.
    pixels = picture.flip(-1).cpu().numpy()
    _, data = cv2.imencode('.jpg', pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED), np.uint8)
    return torch.from_numpy(decoded.reshape(pixels.shape)).flip(-1).to(picture.device)
