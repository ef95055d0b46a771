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
    width: int = 96,
    height: int = 64,
    scale: Scale | None = None,
    camera: TrainingCamera | None = None,
) -> Path:
    """Write a seeded, untrained resnet18 model for ``width`` x ``height`` inputs."""
    torch.manual_seed(7)
    config = DepthNetConfig(encoder='resnet18', width=width, height=height)
    description = ModelDescription(network=config, scale=scale, camera=camera)
    save_model(path, description, DepthNet(config).state_dict())
    return path
