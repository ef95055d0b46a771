# SPDX-License-Identifier: Apache-2.0
"""The network as every engine runs it and every export holds it: image bytes in, disparity out."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import nn

from monodepth2_ros.inference.engines.folding import fold_batch_norms

if TYPE_CHECKING:
    from monodepth2_ros.networks.depth_net import DepthNet


class InferenceNet(nn.Module):
    """A folded copy of a depth network, of which only the finest disparity is computed."""

    def __init__(self, depth_net: DepthNet, dtype: torch.dtype = torch.float32) -> None:
        """Copy a network and prepare the copy.

        Args:
            depth_net: a network on the CPU; it stays as it is.
            dtype: of all layers but those that would lose too much by it, which stay float32: the
                last convolution, and in bfloat16 an encoder that does not bear rounding.
        """
        super().__init__()
        net = copy.deepcopy(depth_net)
        net.eval().requires_grad_(False)
        fold_batch_norms(net)
        net.decoder.stages.to(dtype)
        if dtype != torch.bfloat16 or net.encoder.bears_rounding:
            net.encoder.to(dtype)
        self._dtype = dtype
        self.net = net.to(memory_format=torch.channels_last)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Compute disparity float32 [B, 1, h, w] in (0, 1) of an image uint8 [B, 3, h, w]."""
        features = self.net.encoder(image.to(torch.float32) / 255.0)
        maps = self.net.decoder(tuple(each.to(self._dtype) for each in features), (0,))
        disparity: torch.Tensor = maps[0]
        return disparity


def example_image(depth_net: DepthNet, *, batch: int = 1) -> torch.Tensor:
    """An image of noise, uint8 [batch, 3, h, w] in channels_last format, as a network takes it."""
    shape = (batch, 3, depth_net.config.height, depth_net.config.width)
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    return image.contiguous(memory_format=torch.channels_last)
