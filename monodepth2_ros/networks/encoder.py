# SPDX-License-Identifier: Apache-2.0
"""What every encoder is: images in [0, 1] in, features at five resolutions out."""

from __future__ import annotations

import torch
from torch import nn

Features = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
"""Feature maps float [B, C_i, H / 2^(i+1), W / 2^(i+1)] for i = 0..4, finest first."""


class Encoder(nn.Module):
    """An encoder normalises its input itself and works in the type of its weights."""

    channels: tuple[int, int, int, int, int]
    """Channels of the five feature maps, finest first."""
    conv1: nn.Conv2d
    """The convolution that sees the image."""
    mean: float
    """What is subtracted from the image, the same for all colours."""
    deviation: float
    """What the difference is divided by."""
    bears_rounding: bool = True
    """Whether depth stays right if it is run in bfloat16 or int8; else it stays in float32."""

    def forward(self, rgb: torch.Tensor) -> Features:
        """Compute the five feature maps.

        Args:
            rgb: float [B, 3 * images, H, W] in [0, 1]; H and W are multiples of 32.

        Returns:
            five maps at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size, with ``channels`` channels.
        """
        raise NotImplementedError

    def normalise(self, rgb: torch.Tensor) -> torch.Tensor:
        """Bring images in [0, 1] to the range and the type that the first convolution takes."""
        return ((rgb - self.mean) / self.deviation).to(self.conv1.weight.dtype)
