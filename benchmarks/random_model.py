# SPDX-License-Identifier: Apache-2.0
"""A ResNet-18 at 640x192 with random weights: speed does not depend on weights."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from monodepth2_training.export.exporting import ExportRequest, export
from monodepth2_training.export.frames import ExportFrames, generated_frames

from monodepth2_ros.inference.estimator import DepthEstimator
from monodepth2_ros.model_description import ModelDescription
from monodepth2_ros.model_file import load_model, save_model
from monodepth2_ros.networks.depth_net import DepthNet, DepthNetConfig


def write_random_model(path: Path) -> None:
    """Write its model file: the same at every call."""
    torch.manual_seed(7)
    config = DepthNetConfig(encoder='resnet18', width=640, height=192)
    save_model(path, ModelDescription(network=config), DepthNet(config).state_dict())


def export_for_speed(path: Path, library: str, precision: str) -> None:
    """Export a model whatever its depth becomes: random weights differ more than trained ones."""
    generated = generated_frames(DepthEstimator.load(path, device='cpu'))
    frames = ExportFrames(
        calibration=generated.check, check=generated.check, origin=generated.origin
    )
    request = ExportRequest(format=library, precision=precision, max_difference=1.0)
    export(load_model(path), request, frames)


def main() -> None:
    """Write a file: random_model.py PATH PRECISION; int8 is exported for OpenVINO beside it."""
    path = Path(sys.argv[1])
    write_random_model(path)
    if sys.argv[2] == 'int8':
        export_for_speed(path, 'openvino', 'int8')


if __name__ == '__main__':
    main()
