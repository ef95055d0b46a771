# SPDX-License-Identifier: Apache-2.0
"""The residual blocks of He et al. (CVPR 2016), with the tensor names of torchvision.

They are here so that a node need not import torchvision, which takes longer than all else it does
until its first depth.
"""

from __future__ import annotations

import torch
from torch import nn


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, as in ResNet-18 and 34."""

    expansion = 1
    """Channels of the output for one of the block's width."""

    def __init__(self, inputs: int, width: int, stride: int, downsample: nn.Module | None) -> None:
        """Build the block; ``downsample`` fits the shortcut to the output where it has to."""
        super().__init__()
        self.conv1 = _convolution(inputs, width, size=3, stride=stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = _convolution(width, width, size=3)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = downsample

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Compute float [B, width, H / stride, W / stride] of float [B, inputs, H, W]."""
        shortcut = features if self.downsample is None else self.downsample(features)
        out = self.relu(self.bn1(self.conv1(features)))
        out = self.bn2(self.conv2(out))
        out += shortcut
        result: torch.Tensor = self.relu(out)
        return result


class Bottleneck(nn.Module):
    """A 3x3 convolution between two of 1x1 beside a shortcut, as in ResNet-50.

    The stride lies in the 3x3 convolution, as in torchvision.
    """

    expansion = 4
    """Channels of the output for one of the block's width."""

    def __init__(self, inputs: int, width: int, stride: int, downsample: nn.Module | None) -> None:
        """Build the block; ``downsample`` fits the shortcut to the output where it has to."""
        super().__init__()
        self.conv1 = _convolution(inputs, width, size=1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _convolution(width, width, size=3, stride=stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = _convolution(width, width * self.expansion, size=1)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Compute float [B, 4 width, H / stride, W / stride] of float [B, inputs, H, W]."""
        shortcut = features if self.downsample is None else self.downsample(features)
        out = self.relu(self.bn1(self.conv1(features)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += shortcut
        result: torch.Tensor = self.relu(out)
        return result


Block = type[BasicBlock] | type[Bottleneck]


def residual_layer(
    block: Block, inputs: int, width: int, *, blocks: int, stride: int
) -> nn.Module:
    """A row of blocks, the first of which takes the stride."""
    outputs = width * block.expansion
    downsample = None
    if stride != 1 or inputs != outputs:
        downsample = nn.Sequential(
            _convolution(inputs, outputs, size=1, stride=stride), nn.BatchNorm2d(outputs)
        )
    first = block(inputs, width, stride, downsample)
    return nn.Sequential(first, *(block(outputs, width, 1, None) for _ in range(blocks - 1)))


def initialise(convolution: nn.Conv2d) -> None:
    """Draw the weights as He et al. (ICCV 2015) do; a skeleton without numbers draws none."""
    # Drawing for one imports torch's compiler, which takes two seconds of a node's start.
    if convolution.weight.is_meta:
        return
    nn.init.kaiming_normal_(convolution.weight, mode='fan_out', nonlinearity='relu')


def _convolution(inputs: int, outputs: int, *, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=False)
