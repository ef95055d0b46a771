# SPDX-License-Identifier: Apache-2.0
"""Model files with random weights, small enough that a test need not wait for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from monodepth2_ros.model_description import ModelDescription
from monodepth2_ros.model_file import save_model
from monodepth2_ros.networks.depth_net import DepthNet, DepthNetConfig

if TYPE_CHECKING:
    from pathlib import Path

    from monodepth2_ros.model_description import Scale, TrainingCamera


def write_tiny_model(
    path: Path,
    *,
    encoder: str = 'resnet18',
    width: int = 96,
    height: int = 64,
    scale: Scale | None = None,
    camera: TrainingCamera | None = None,
) -> Path:
    """Write a seeded, untrained model for ``width`` x ``height`` inputs.

    ``efficientnet_lite0`` has a third of the weights to write, to hash and to read.
    """
    torch.manual_seed(7)
    config = DepthNetConfig(encoder=encoder, width=width, height=height)
    description = ModelDescription(network=config, scale=scale, camera=camera)
    save_model(path, description, DepthNet(config).state_dict())
    return path
