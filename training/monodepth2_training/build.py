# SPDX-License-Identifier: Apache-2.0
"""Builds what trains from a configuration: networks, their first weights, objective, module."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from monodepth2_ros.errors import ConfigError
from monodepth2_training.data.triplets import source_names
from monodepth2_training.loss.objective import Objective
from monodepth2_training.model.depth_pose import DepthPoseModel
from monodepth2_training.model.initial_weights import load_initial_weights
from monodepth2_training.module import DepthTraining

if TYPE_CHECKING:
    from monodepth2_training.config import TrainingConfig
    from monodepth2_training.data.frame_store import FrameStore


def build_module(
    config: TrainingConfig,
    *,
    precision: torch.dtype = torch.float32,
    compile: bool = False,
    resumed: bool = False,
    describe: Callable[[torch.Tensor], str] = str,
    say: Callable[[str], None] = print,
) -> DepthTraining:
    """Build a module on the CPU; what trains it moves it to its device.

    The same configuration gives the same weights on every machine.

    Args:
        config: what to build.
        precision: arithmetic of the networks.
        compile: whether the loss is compiled.
        resumed: whether a checkpoint is going to bring the weights.
        describe: turns a batch's ids, int64 [B, 2], into words.
        say: where lines for people go.

    Raises:
        ConfigError: parts do not go together, or weights that have to be given are not.
        ModelFileError: the initial weights cannot be used.
    """
    torch.manual_seed(config.optimisation.seed)
    model = DepthPoseModel(
        config.network,
        sources=source_names(config.mode),
        depth_range=config.depth_range,
        predictive_mask=config.loss.predictive_mask,
    )
    provenance = {} if resumed else _first_weights(model, config)
    objective = Objective(config.loss, config.depth_range, compile=compile)
    return DepthTraining(
        model.to(memory_format=torch.channels_last),
        objective,
        config,
        precision=precision,
        provenance=provenance,
        describe=describe,
        say=say,
    )


def _first_weights(model: DepthPoseModel, config: TrainingConfig) -> dict[str, str]:
    """Load the weights that training begins with; says where they come from."""
    if config.starts_from and not Path(config.network.weights).is_file():
        raise ConfigError(
            f'{config.name} starts from weights of {config.starts_from}, but network.weights is '
            f'{config.network.weights!r}: train {config.starts_from} first and add '
            '--init RUN/model.safetensors'
        )
    return load_initial_weights(model)


def batch_describer(store: FrameStore) -> Callable[[torch.Tensor], str]:
    """A function that says which frames the ids of a batch, int64 [B, 2], stand for."""

    def describe(ids: torch.Tensor) -> str:
        names = []
        for camera, index in ids.tolist():
            stamp_s = store.frames(camera).stamps_ns[index] / 1e9
            names.append(f'{store.cameras[camera].name} frame {index} ({stamp_s:.3f} s)')
        return 'the batch of ' + ', '.join(names)

    return describe
