# SPDX-License-Identifier: Apache-2.0
"""EfficientNet-Lite0 as an encoder: a light trunk for machines without a GPU.

Source: Tan and Le, "EfficientNet", ICML 2019, table 1, in the variant "Lite" that its authors
published for edge devices: no squeeze-and-excitation, ReLU6 in place of swish, a stem of fixed
width. Strided convolutions pad as TensorFlow does, more at the end than at the start, since the
published weights were trained so.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from monodepth2_ros.networks.encoder import Encoder, Features

_STEM_CHANNELS = 32
_NORM_EPSILON = 1e-3

# Of each stage: blocks, kernel size, stride of its first block, expansion, channels.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_FEATURE_STAGES = (0, 1, 2, 4, 6)
"""Stages after which the resolution halves, or that come last."""


class EfficientNetLiteEncoder(Encoder):
    """EfficientNet-Lite0 without its classifier, over one image or several stacked."""

    channels = (16, 24, 40, 112, 320)
    mean = 127.0 / 255.0
    deviation = 128.0 / 255.0
    # On a generated drive, bfloat16 changes depth by 0.56 % with it and by 0.06 % without.
    bears_rounding = False

    def __init__(self, *, images: int = 1) -> None:
        """Build the encoder with random weights.

        Args:
            images: how many RGB images are stacked in the input; a pose network takes 2.
        """
        super().__init__()
        self.conv1 = _StridedConvolution(3 * images, _STEM_CHANNELS, kernel_size=3)
        self.bn1 = _norm(_STEM_CHANNELS)
        inputs = (_STEM_CHANNELS, *(stage[-1] for stage in _STAGES))
        self.stages = nn.ModuleList(
            _stage(channels, *stage) for channels, stage in zip(inputs, _STAGES, strict=False)
        )

    def forward(self, rgb: torch.Tensor) -> Features:
        """Compute the five feature maps; see ``Encoder.forward``."""
        x = functional.relu6(self.bn1(self.conv1(self.normalise(rgb))), inplace=True)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        half, quarter, eighth, sixteenth, last = (maps[i] for i in _FEATURE_STAGES)
        return half, quarter, eighth, sixteenth, last


class InvertedResidual(nn.Module):
    """Widen, filter each channel on its own, narrow; added to the input where the shapes agree.

    Source: Sandler et al., "MobileNetV2", CVPR 2018, section 3.
    """

    def __init__(
        self, inputs: int, outputs: int, *, kernel: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        wide = inputs * expansion
        self.expand = _activated(_pointwise(inputs, wide)) if expansion > 1 else nn.Identity()
        self.depthwise = _activated(_depthwise(wide, kernel, stride))
        self.project = nn.Sequential(_pointwise(wide, outputs), _norm(outputs))
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map [B, inputs, h, w] to [B, outputs, h / stride, w / stride]."""
        y: torch.Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.adds else y


class _StridedConvolution(nn.Conv2d):
    """A convolution of stride 2 over even sizes, padded as TensorFlow's ``SAME``."""

    def __init__(self, inputs: int, outputs: int, *, kernel_size: int, groups: int = 1) -> None:
        super().__init__(
            inputs, outputs, kernel_size=kernel_size, stride=2, groups=groups, bias=False
        )
        after = kernel_size // 2
        self.margins = (after - 1, after, after - 1, after)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map [B, inputs, h, w] to [B, outputs, h / 2, w / 2]."""
        return super().forward(functional.pad(x, self.margins))


def _stage(
    inputs: int, blocks: int, kernel: int, stride: int, expansion: int, outputs: int
) -> nn.Sequential:
    """Blocks of which the first changes resolution and width."""
    return nn.Sequential(
        *(
            InvertedResidual(
                outputs if i else inputs,
                outputs,
                kernel=kernel,
                stride=1 if i else stride,
                expansion=expansion,
            )
            for i in range(blocks)
        )
    )


def _activated(convolution: nn.Conv2d) -> nn.Sequential:
    """A convolution with normalisation and ReLU6."""
    return nn.Sequential(convolution, _norm(convolution.out_channels), nn.ReLU6(inplace=True))


def _pointwise(inputs: int, outputs: int) -> nn.Conv2d:
    """A 1x1 convolution."""
    return nn.Conv2d(inputs, outputs, kernel_size=1, bias=False)


def _depthwise(channels: int, kernel: int, stride: int) -> nn.Conv2d:
    """A convolution of each channel on its own."""
    if stride == 2:
        return _StridedConvolution(channels, channels, kernel_size=kernel, groups=channels)
    return nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False)


def _norm(channels: int) -> nn.BatchNorm2d:
    """Normalisation with the published epsilon."""
    return nn.BatchNorm2d(channels, eps=_NORM_EPSILON)
