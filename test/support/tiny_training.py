# SPDX-License-Identifier: Apache-2.0
"""Training runs of milliseconds: a model of a few weights in the place of the real networks."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import torch
from monodepth2_training.config_files import read_config
from monodepth2_training.data.frame_store import FrameStore
from monodepth2_training.loss.objective import Objective
from monodepth2_training.model.depth_pose import Prediction
from monodepth2_training.model.pose import rigid_transform
from monodepth2_training.module import DepthTraining
from monodepth2_training.run import training
from monodepth2_training.run.folder import RunFolder
from monodepth2_training.run.progress import RunProgress
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from monodepth2_training.config import TrainingConfig
    from monodepth2_training.data.augmentation import Views

CPU = torch.device('cpu')

LIGHT = (
    'network.width=64',
    'network.height=64',
    'network.encoder=efficientnet_lite0',
    'network.pose_encoder=efficientnet_lite0',
    'optimisation.precision=float32',
)
"""Overrides for the lightest real networks; in float32, so that results do not depend on CPUs."""


class TinyModel(nn.Module):
    """Disparity by two convolutions with normalisation, motion by one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.disparity = nn.Conv2d(4, 1, 3, padding=1)
        self.motion = nn.Linear(4, 6)

    def forward(self, views: Views) -> Prediction:
        features = self.norm(self.features(views.target_input)).relu()
        finest = self.disparity(features).sigmoid()
        motion = 0.01 * self.motion(features.mean((2, 3))).float()
        T = rigid_transform(motion[:, :3], motion[:, 3:])
        return Prediction(
            disparities=(finest, functional.avg_pool2d(finest, 2)),
            T_target_to_sources=torch.stack([T.inverse(), T], dim=1),
            masks=None,
        )


def tiny_config(*overrides: str) -> TrainingConfig:
    """The smoke experiment in three epochs of four steps, every one written down."""
    return read_config('smoke', [*LIGHT, 'optimisation.epochs=3', 'log.pictures=0', *overrides])


def build_tiny_module(config: TrainingConfig, **parts: Any) -> DepthTraining:
    """In the place of ``build_module``."""
    parts.pop('resumed', None)
    parts.pop('compile', None)
    torch.manual_seed(config.optimisation.seed)
    return DepthTraining(TinyModel(), Objective(config.loss, config.depth_range), config, **parts)


def use_tiny_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``train`` build tiny modules, of which no model file is written."""
    monkeypatch.setattr(training, 'build_module', build_tiny_module)
    monkeypatch.setattr(training, 'write_model', lambda *_, **__: '')


def train_tiny(
    config: TrainingConfig, store: Path, out: Path, *, resume: bool = False
) -> tuple[training.Outcome, str]:
    """Train; gives the outcome and what was said."""
    folder, said = RunFolder(out), io.StringIO()
    folder.make()
    with folder.lock():
        outcome = training.train(
            config,
            FrameStore.open(store),
            folder,
            CPU,
            resume=resume,
            progress=RunProgress(said),
        )
    return outcome, said.getvalue()
