# SPDX-License-Identifier: Apache-2.0
"""The ResNet trunk that turns images into features at five resolutions."""

from __future__ import annotations

import torch
import torchvision
from torch import nn

from monodepth2_ros.errors import ConfigError
from monodepth2_ros.networks.encoder import Encoder, Features

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

RESNETS = tuple(_BUILDERS)
"""Names of the ResNets that can be built."""


class ResnetEncoder(Encoder):
    """A ResNet without its classifier, over one image or several stacked along the channels.

    The names of its tensors are torchvision's, so that ImageNet weights load without a table.
    """

    mean = 0.45
    deviation = 0.225

    def __init__(self, name: str, *, images: int = 1) -> None:
        """Build the encoder with random weights.

        Args:
            name: one of ``RESNETS``.
            images: how many RGB images are stacked in the input; a pose network takes 2.

        Raises:
            ConfigError: the name is not known.
        """
        super().__init__()
        if name not in RESNETS:
            raise ConfigError(
                f'ResNet {name!r} is not known: expected one of {", ".join(RESNETS)}'
            )
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
        """Compute the five feature maps; see ``Encoder.forward``."""
        half = self.relu(self.bn1(self.conv1(self.normalise(rgb))))
        quarter = self.layer1(self.maxpool(half))
        eighth = self.layer2(quarter)
        sixteenth = self.layer3(eighth)
        return half, quarter, eighth, sixteenth, self.layer4(sixteenth)


def _first_convolution(images: int) -> nn.Conv2d:
    """The 7x7 convolution over ``3 * images`` channels, initialised as torchvision does."""
    convolution = nn.Conv2d(3 * images, 64, kernel_size=7, stride=2, padding=3, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode='fan_out', nonlinearity='relu')
    return convolution
