# SPDX-License-Identifier: Apache-2.0
"""The ResNet trunk that turns images into features at five resolutions."""

from __future__ import annotations

import torch
import torchvision
from torch import nn

from monodepth2_ros.errors import ConfigError

_BUILDERS = {
    'resnet18': torchvision.models.resnet18,
    'resnet34': torchvision.models.resnet34,
    'resnet50': torchvision.models.resnet50,
}

_CHANNELS = {
    'resnet18': (64, 64, 128, 256, 512),
    'resnet34': (64, 64, 128, 256, 512),
    'resnet50': (64, 256, 512, 1024, 2048),
}

ENCODERS = tuple(_BUILDERS)
"""Names of the encoders that can be built."""

Features = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
"""Feature maps float [B, C_i, H / 2^(i+1), W / 2^(i+1)] for i = 0..4, finest first."""


def check_encoder(name: str) -> None:
    """Raise ConfigError unless ``name`` is one of ``ENCODERS``."""
    if name not in ENCODERS:
        raise ConfigError(f'encoder {name!r} is not known: expected one of {", ".join(ENCODERS)}')


class ResnetEncoder(nn.Module):
    """A ResNet without its classifier, over one image or several stacked along the channels.

    The names of its tensors are torchvision's, so that ImageNet weights load without a table.
    """

    def __init__(self, name: str, *, images: int = 1) -> None:
        """Build the encoder with random weights.

        Args:
            name: one of ``ENCODERS``.
            images: how many RGB images are stacked in the input; a pose network takes 2.

        Raises:
            ConfigError: the name is not known.
        """
        super().__init__()
        check_encoder(name)
        trunk = _BUILDERS[name](weights=None)
        self.channels = _CHANNELS[name]
        self.conv1 = trunk.conv1 if images == 1 else _first_convolution(images)
        self.bn1 = trunk.bn1
        self.relu = trunk.relu
        self.maxpool = trunk.maxpool
        self.layer1 = trunk.layer1
        self.layer2 = trunk.layer2
        self.layer3 = trunk.layer3
        self.layer4 = trunk.layer4

    def forward(self, rgb: torch.Tensor) -> Features:
        """Compute the five feature maps.

        Args:
            rgb: float [B, 3 * images, H, W] in [0, 1]; H and W are multiples of 32.

        Returns:
            five maps at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size, with ``channels`` channels.
        """
        half = self.relu(self.bn1(self.conv1((rgb - 0.45) / 0.225)))
        quarter = self.layer1(self.maxpool(half))
        eighth = self.layer2(quarter)
        sixteenth = self.layer3(eighth)
        return half, quarter, eighth, sixteenth, self.layer4(sixteenth)


def _first_convolution(images: int) -> nn.Conv2d:
    """The 7x7 convolution over ``3 * images`` channels, initialised as torchvision does."""
    convolution = nn.Conv2d(3 * images, 64, kernel_size=7, stride=2, padding=3, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode='fan_out', nonlinearity='relu')
    return convolution
