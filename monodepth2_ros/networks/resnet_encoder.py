# SPDX-License-Identifier: Apache-2.0
"""The ResNet trunk that turns images into features at five resolutions."""

from __future__ import annotations

import torch
from torch import nn

from monodepth2_ros.errors import ConfigError
from monodepth2_ros.networks.encoder import Encoder, Features
from monodepth2_ros.networks.residual_blocks import (
    BasicBlock,
    Bottleneck,
    initialise,
    residual_layer,
)

_LAYERS: dict[str, tuple[type[BasicBlock] | type[Bottleneck], tuple[int, int, int, int]]] = {
    'resnet18': (BasicBlock, (2, 2, 2, 2)),
    'resnet34': (BasicBlock, (3, 4, 6, 3)),
    'resnet50': (Bottleneck, (3, 4, 6, 3)),
}
_WIDTHS = (64, 128, 256, 512)
_CLASSES = 1000

RESNETS = tuple(_LAYERS)
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
        block, blocks = _LAYERS[name]
        self.conv1 = _first_convolution(1)
        self.bn1 = nn.BatchNorm2d(_WIDTHS[0])
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        first, second, third, fourth = (width * block.expansion for width in _WIDTHS)
        self.layer1 = residual_layer(block, _WIDTHS[0], 64, blocks=blocks[0], stride=1)
        self.layer2 = residual_layer(block, first, 128, blocks=blocks[1], stride=2)
        self.layer3 = residual_layer(block, second, 256, blocks=blocks[2], stride=2)
        self.layer4 = residual_layer(block, third, 512, blocks=blocks[3], stride=2)
        self.channels = _WIDTHS[0], first, second, third, fourth
        # torchvision draws for its classifier, too: so a seed gives the same trunk as there.
        nn.Linear(fourth, _CLASSES)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                initialise(module)
        if images > 1:
            self.conv1 = _first_convolution(images)
            initialise(self.conv1)

    def forward(self, rgb: torch.Tensor) -> Features:
        """Compute the five feature maps; see ``Encoder.forward``."""
        half = self.relu(self.bn1(self.conv1(self.normalise(rgb))))
        quarter = self.layer1(self.maxpool(half))
        eighth = self.layer2(quarter)
        sixteenth = self.layer3(eighth)
        return half, quarter, eighth, sixteenth, self.layer4(sixteenth)


def _first_convolution(images: int) -> nn.Conv2d:
    """The 7x7 convolution over ``3 * images`` channels."""
    return nn.Conv2d(3 * images, _WIDTHS[0], kernel_size=7, stride=2, padding=3, bias=False)
