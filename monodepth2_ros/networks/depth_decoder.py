# SPDX-License-Identifier: Apache-2.0
"""The decoder that turns encoder features into disparity at up to four resolutions.

Source: Godard et al., ICCV 2019, supplementary table of the network: five stages, each a 3x3
convolution, a nearest doubling, the encoder's features of that size beside it, and another 3x3
convolution; all with reflection padding and ELU. Stage s works at 1 / 2^s of the input's size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monodepth2_ros.networks.encoder import Features

STAGE_CHANNELS = (16, 32, 64, 128, 256)
"""Channels of stage 0 (full size) to stage 4 (1/16)."""

MAX_SCALES = 4
"""Disparity can be read from stages 0 to 3."""


Maps = tuple[torch.Tensor, ...]
"""One map float [B, outputs, H / 2^s, W / 2^s] in (0, 1) per scale, finest first."""


class ReflectingConvolution(nn.Conv2d):
    """A 3x3 convolution that keeps the size by reflecting the border."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out, kernel_size=3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map [B, C_in, h, w] to [B, C_out, h, w]."""
        return super().forward(_reflected(x))


def _reflected(x: torch.Tensor) -> torch.Tensor:
    """Add a row and a column on each side, in the type of ``x``.

    On the CPU, autocast would do it in float32, and the convolution then go back.
    """
    if not torch.is_autocast_enabled(x.device.type):
        return functional.pad(x, (1, 1, 1, 1), mode='reflect')
    with torch.autocast(x.device.type, enabled=False):
        return functional.pad(x, (1, 1, 1, 1), mode='reflect')


class DecoderStage(nn.Module):
    """Doubles the resolution and merges the encoder's features of the new size."""

    def __init__(self, channels_in: int, channels_skip: int, channels_out: int) -> None:
        super().__init__()
        self.reduce = ReflectingConvolution(channels_in, channels_out)
        self.merge = ReflectingConvolution(channels_out + channels_skip, channels_out)

    def forward(self, x: torch.Tensor, skip: torch.Tensor | None) -> torch.Tensor:
        """Map [B, C_in, h, w] and a skip [B, C_skip, 2h, 2w] or None to [B, C_out, 2h, 2w]."""
        x = functional.elu(self.reduce(x), inplace=True)
        x = functional.interpolate(x, scale_factor=2.0, mode='nearest')
        if skip is not None:
            x = torch.cat((x, skip), dim=1)
        return functional.elu(self.merge(x), inplace=True)


class Head(ReflectingConvolution):
    """Reads maps in (0, 1) off a stage, in the type of its own weights whatever the stage's.

    Neighbouring disparities often differ by less than bfloat16 can tell. So whoever runs the
    stages in bfloat16 keeps the heads in float32.
    """

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__(channels, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map [B, channels, h, w] to [B, outputs, h, w]."""
        return torch.sigmoid(super().forward(x.to(self.weight.dtype)))


class DepthDecoder(nn.Module):
    """Five stages, and one disparity head for each requested scale."""

    def __init__(
        self, encoder_channels: Sequence[int], scales: Sequence[int], *, outputs: int = 1
    ) -> None:
        """Build the decoder.

        Args:
            encoder_channels: channels of the encoder's five feature maps, finest first.
            scales: stages that get a disparity head, ascending, each 0 to 3.
            outputs: maps at each scale: 1 for disparity, one a source for a predictive mask.
        """
        super().__init__()
        self.scales = tuple(scales)
        inputs = (*STAGE_CHANNELS[1:], encoder_channels[-1])
        skips = (0, *encoder_channels[:-1])
        self.stages = nn.ModuleList(
            DecoderStage(inputs[i], skips[i], STAGE_CHANNELS[i])
            for i in range(len(STAGE_CHANNELS))
        )
        self.heads = nn.ModuleDict({str(s): Head(STAGE_CHANNELS[s], outputs) for s in self.scales})

    def forward(self, features: Features, scales: Sequence[int] | None = None) -> Maps:
        """Compute disparity.

        Args:
            features: the encoder's five maps, finest first.
            scales: which of the decoder's scales to compute; all of them by default.

        Returns:
            one map float [B, outputs, H / 2^s, W / 2^s] in (0, 1) per scale, finest first.
        """
        wanted = self.scales if scales is None else tuple(scales)
        return self.read(self.refine(features, min(wanted)), wanted)

    def refine(self, features: Features, finest: int = 0) -> dict[int, torch.Tensor]:
        """Run the stages down to ``finest``: [B, C_s, H / 2^s, W / 2^s] of each stage s."""
        x = features[-1]
        maps = {}
        for i in range(len(self.stages) - 1, finest - 1, -1):
            x = self.stages[i](x, features[i - 1] if i > 0 else None)
            maps[i] = x
        return maps

    def read(self, maps: Mapping[int, torch.Tensor], scales: Sequence[int]) -> Maps:
        """Apply the heads of ``scales`` to what ``refine`` gave; see ``forward``."""
        return tuple(self.heads[str(s)](maps[s]) for s in scales)
