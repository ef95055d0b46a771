# SPDX-License-Identifier: Apache-2.0
"""A ResNet-18 at 640x192 with random weights: speed does not depend on weights."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from monodepth2_ros.model_description import ModelDescription
from monodepth2_ros.model_file import save_model
from monodepth2_ros.networks.depth_net import DepthNet, DepthNetConfig


def write_random_model(path: Path) -> None:
    """Write its model file: the same at every call."""
    torch.manual_seed(7)
    config = DepthNetConfig(encoder='resnet18', width=640, height=192)
    save_model(path, ModelDescription(network=config), DepthNet(config).state_dict())


if __name__ == '__main__':
    write_random_model(Path(sys.argv[1]))
