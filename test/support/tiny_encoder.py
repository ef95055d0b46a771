# SPDX-License-Identifier: Apache-2.0
"""An encoder of five convolutions, for tests that train many networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from monodepth2_ros.networks import encoder_registry
from monodepth2_ros.networks.encoder import Encoder, Features

if TYPE_CHECKING:
    import pytest


class TinyEncoder(Encoder):
    """Halves the picture five times, with eight channels."""

    channels = (8, 8, 8, 8, 8)
    mean, deviation = 0.5, 0.25

    def __init__(self, *, images: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3 * images, 8, 3, stride=2, padding=1)
        self.rest = nn.ModuleList(nn.Conv2d(8, 8, 3, stride=2, padding=1) for _ in range(4))

    def forward(self, rgb: torch.Tensor) -> Features:
        maps = [self.conv1(self.normalise(rgb)).relu()]
        for layer in self.rest:
            maps.append(layer(maps[-1]).relu())
        half, quarter, eighth, sixteenth, last = maps
        return half, quarter, eighth, sixteenth, last


def use_tiny_encoder(patch: pytest.MonkeyPatch) -> None:
    """Let ``efficientnet_lite0`` be the tiny one."""
    patch.setattr(encoder_registry, 'EfficientNetLiteEncoder', TinyEncoder)
