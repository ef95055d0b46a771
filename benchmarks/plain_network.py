# SPDX-License-Identifier: Apache-2.0
"""The network as every program runs it that has only read the paper's code."""

from __future__ import annotations

import torch

from monodepth2_ros.networks.depth_net import DepthNet


def plain_arithmetic(device: torch.device) -> str:
    """What PyTorch computes in unless told otherwise, in words."""
    return 'float32 (TF32 allowed)' if device.type == 'cuda' else 'float32'


def run_plainly(net: DepthNet, image: torch.Tensor) -> list[torch.Tensor]:
    """Run a network in ``plain_arithmetic``, eager, at all four scales.

    Args:
        net: in evaluation mode, on any device.
        image: uint8 [1, 3, h, w] on the host.

    Returns:
        disparities on the host, float32 [1, 1, h / 2^s, w / 2^s] for s from 0 to 3.
    """
    device = next(net.parameters()).device
    with torch.no_grad():
        return [scale.cpu() for scale in net(image.contiguous().to(device).float() / 255.0)]
