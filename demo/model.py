# SPDX-License-Identifier: Apache-2.0
"""The model that the demo runs: the user's, or an untrained one, which is said loudly."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from monodepth2_ros.errors import ModelFileError
from monodepth2_ros.model_file import read_description, save_model

WARNING = """
  ######################################################################
  #  UNTRAINED WEIGHTS: the depth below means nothing. It shows that   #
  #  every part works and how fast. Give a trained model: MODEL=file   #
  ######################################################################
"""
_ORIGIN = 'weights'
_UNTRAINED = 'untrained: random numbers from seed 0'


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model file and what to say about it."""

    path: Path
    """The ``.safetensors`` file."""
    trained: bool
    """Whether its depth means anything."""
    metric: bool
    """Whether its depth is in metres."""


def prepare(model: Path | None, out: Path) -> Model:
    """The given model, else an untrained one made in ``out``.

    Raises:
        ModelFileError: the given file is missing or unusable.
    """
    if model is not None:
        description = read_description(model)
        trained = description.provenance.get(_ORIGIN) != _UNTRAINED
        return Model(path=model, trained=trained, metric=description.scale is not None)
    path = out / 'untrained_640x192.safetensors'
    if not _is_readable(path):
        make_untrained(path)
    return Model(path=path, trained=False, metric=False)


def make_untrained(path: Path) -> None:
    """Write a ResNet-18 model with random weights that are the same every time."""
    import torch

    from monodepth2_ros.model_description import ModelDescription
    from monodepth2_ros.networks.depth_net import DepthNet, DepthNetConfig

    config = DepthNetConfig(encoder='resnet18', width=640, height=192)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = DepthNet(config).state_dict()
    description = ModelDescription(network=config, provenance={_ORIGIN: _UNTRAINED})
    save_model(path, description, state)


def _is_readable(path: Path) -> bool:
    try:
        read_description(path)
    except ModelFileError:
        return False
    return True
