# SPDX-License-Identifier: Apache-2.0
"""Networks that see frames in temporal order and predict the motion from each to the next.

Every network predicts, for consecutive frames, the motion ``T_earlier_to_later``: six numbers,
axis-angle in radians before translation. Whoever needs the other direction inverts it.
Source: Godard et al., ICCV 2019, supplementary table 12 and the description of the pose network.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from monodepth2_ros.networks.encoder_registry import build_encoder

POSE_VARIANTS = ('separate', 'separate_all', 'shared', 'posecnn')
"""A ResNet over pairs, one over all three frames, the depth encoder's features, plain layers."""

WITH_ENCODER = ('separate', 'separate_all')
"""Those with an encoder of their own, which can begin with weights for it."""

MOTION_NUMBERS = 6
"""Numbers of one motion."""

_MOTION_UNIT = 0.01
_NEW_UNIT_M = 30.0
_HIDDEN = 256
_CNN_LAYERS = ((16, 7), (32, 5), (64, 3), (128, 3), (256, 3), (256, 3), (256, 3))


def build_pose_net(variant: str, *, encoder: str, features: int) -> nn.Module:
    """Build a pose network with random weights.

    Args:
        variant: one of ``POSE_VARIANTS``.
        encoder: encoder of a ``separate`` or ``separate_all`` network.
        features: channels of the depth encoder's coarsest features, which ``shared`` sees.

    Returns:
        a module that maps consecutive frames (``shared``: their coarsest features), earliest
        first, to motions float32 [B, number of frames - 1, 6]. It takes three frames if
        ``separate_all``, two otherwise.

    Raises:
        ConfigError: the encoder is not known.
    """
    if variant == 'shared':
        return PoseDecoder(features, inputs=2)
    if variant == 'posecnn':
        return PoseCnn()
    return PoseNet(encoder, images=3 if variant == 'separate_all' else 2)


class MotionHead(nn.Conv2d):
    """A 1x1 convolution to six numbers a motion and their mean over the image, in float32.

    The mean comes first: the convolution is linear, so that the result is the same, and what is
    left of it is small enough to be computed in float32 whatever the features' type.

    Its first translations suit depth in a unit of some 30 m, which that of new networks takes.
    """

    def __init__(self, channels: int, motions: int) -> None:
        super().__init__(channels, MOTION_NUMBERS * motions, kernel_size=1)

    def begin_in_unit(self, unit_m: float) -> None:
        """Let a new head's translations suit depth whose unit is so many metres."""
        with torch.no_grad():
            for parameter in self.parameters():
                rows = parameter.view(-1, MOTION_NUMBERS, *parameter.shape[1:])
                rows[:, 3:] *= _NEW_UNIT_M / unit_m

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map [B, C, h, w] to motions float32 [B, motions, 6]."""
        with torch.autocast(features.device.type, enabled=False):
            mean = features.to(self.weight.dtype).mean((2, 3), keepdim=True)
            motions = _MOTION_UNIT * super().forward(mean)
        return motions.reshape(len(features), -1, MOTION_NUMBERS)


class PoseDecoder(nn.Module):
    """From the coarsest features of one or several encoder passes to motions."""

    def __init__(self, channels: int, *, inputs: int = 1, motions: int = 1) -> None:
        """Build the decoder.

        Args:
            channels: channels of the encoder's coarsest features.
            inputs: how many feature maps are put side by side.
            motions: how many motions are predicted.
        """
        super().__init__()
        self.squeeze = nn.Conv2d(channels, _HIDDEN, kernel_size=1)
        self.hidden = nn.ModuleList(
            nn.Conv2d(width, _HIDDEN, kernel_size=3, padding=1)
            for width in (_HIDDEN * inputs, _HIDDEN)
        )
        self.motion = MotionHead(_HIDDEN, motions)

    def forward(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Map ``inputs`` maps [B, C, h, w] to motions float32 [B, motions, 6]."""
        x = torch.cat([functional.relu(self.squeeze(f)) for f in features], dim=1)
        for layer in self.hidden:
            x = functional.relu(layer(x))
        motions: torch.Tensor = self.motion(x)
        return motions


class PoseNet(nn.Module):
    """An encoder of its own over all its frames stacked along the channels."""

    def __init__(self, encoder: str, *, images: int = 2) -> None:
        """Build the network with random weights.

        Args:
            encoder: name of the encoder.
            images: frames it sees at once; it predicts one motion less.

        Raises:
            ConfigError: the encoder is not known.
        """
        super().__init__()
        self.encoder = build_encoder(encoder, images=images)
        self.decoder = PoseDecoder(self.encoder.channels[-1], motions=images - 1)

    def forward(self, frames: Sequence[torch.Tensor]) -> torch.Tensor:
        """Predict motions.

        Args:
            frames: ``images`` frames float [B, 3, H, W] in [0, 1], earliest first.

        Returns:
            float32 [B, images - 1, 6]: motion k is that from frame k to frame k + 1.
        """
        motions: torch.Tensor = self.decoder(self.encoder(torch.cat(tuple(frames), dim=1))[-1:])
        return motions


class PoseCnn(nn.Module):
    """Seven plain convolutions over a pair, as in Zhou et al., CVPR 2017."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3 * 2, *(channels for channels, _ in _CNN_LAYERS))
        self.layers = nn.ModuleList(
            nn.Conv2d(width, channels, kernel_size=size, stride=2, padding=size // 2)
            for width, (channels, size) in zip(widths, _CNN_LAYERS, strict=False)
        )
        self.motion = MotionHead(widths[-1], 1)

    def forward(self, frames: Sequence[torch.Tensor]) -> torch.Tensor:
        """Map two frames float [B, 3, H, W] in [0, 1], earlier first, to float32 [B, 1, 6]."""
        x = torch.cat(tuple(frames), dim=1)
        for layer in self.layers:
            x = functional.relu(layer(x))
        motions: torch.Tensor = self.motion(x)
        return motions
