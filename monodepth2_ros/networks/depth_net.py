# SPDX-License-Identifier: Apache-2.0
"""The whole depth network, from an RGB image in [0, 1] to disparity, and its configuration."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from monodepth2_ros.errors import ConfigError
from monodepth2_ros.networks.depth_decoder import MAX_SCALES, DepthDecoder
from monodepth2_ros.networks.encoder_registry import build_encoder, check_encoder

_STRIDE = 32
_MIN_SIDE = 64
_MAX_SIDE = 4096


@dataclass(frozen=True, kw_only=True)
class DepthNetConfig:
    """What it takes to build a depth network; width and height are those of its input."""

    encoder: str = 'resnet18'
    """``resnet18``, ``resnet34``, ``resnet50``, or the light ``efficientnet_lite0``."""
    width: int = 640
    """Columns of the network's input, a multiple of 32."""
    height: int = 192
    """Rows of the network's input, a multiple of 32."""
    scales: tuple[int, ...] = (0, 1, 2, 3)
    """Scales s at which disparity is predicted, at 1 / 2^s of the input's size; 0 among them."""

    def __post_init__(self) -> None:
        """Refuse an unknown encoder, a size that cannot be restored, and unknown scales."""
        check_encoder(self.encoder)
        _check_side('width', self.width)
        _check_side('height', self.height)
        if self.scales not in _SCALE_CHOICES:
            raise ConfigError(
                f'scales {self.scales!r} are not usable: expected ascending, distinct whole '
                f'numbers from 0 to {MAX_SCALES - 1} that begin with 0, for example (0, 1, 2, 3)'
            )


def _scale_choices() -> tuple[tuple[int, ...], ...]:
    """Every ascending tuple of distinct scales that begins with 0."""
    choices: list[tuple[int, ...]] = [(0,)]
    for scale in range(1, MAX_SCALES):
        choices += [(*choice, scale) for choice in choices]
    return tuple(choices)


_SCALE_CHOICES = _scale_choices()


def _check_side(name: str, pixels: int) -> None:
    """Refuse an input side that is not a multiple of 32 from 64 to 4096."""
    if not _MIN_SIDE <= pixels <= _MAX_SIDE or pixels % _STRIDE:
        raise ConfigError(
            f'network {name} {pixels} is not usable: expected a multiple of {_STRIDE} '
            f'from {_MIN_SIDE} to {_MAX_SIDE}'
        )


class DepthNet(nn.Module):
    """Disparity of one image; the normalisation of the input is part of the network."""

    def __init__(self, config: DepthNetConfig) -> None:
        """Build the network with random weights."""
        super().__init__()
        self.config = config
        self.encoder = build_encoder(config.encoder)
        self.decoder = DepthDecoder(self.encoder.channels, config.scales)

    def forward(self, rgb: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Compute disparity at every configured scale.

        Args:
            rgb: float [B, 3, H, W] in [0, 1], H and W multiples of 32.

        Returns:
            disparity float [B, 1, H / 2^s, W / 2^s] in (0, 1) for each scale s, finest first.
        """
        disparities: tuple[torch.Tensor, ...] = self.decoder(self.encoder(rgb))
        return disparities

    def finest(self, rgb: torch.Tensor) -> torch.Tensor:
        """Compute only the finest disparity, float [B, 1, H, W] in (0, 1), as at run time."""
        disparities: tuple[torch.Tensor, ...] = self.decoder(self.encoder(rgb), (0,))
        return disparities[0]
