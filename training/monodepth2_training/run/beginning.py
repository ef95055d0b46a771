# SPDX-License-Identifier: Apache-2.0
"""How a run begins: with which weights, and how it is configured where only those are named."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from monodepth2_ros.errors import ModelFileError
from monodepth2_training.config_files import read_config
from monodepth2_training.data.triplets import learns_motion
from monodepth2_training.model.initial_weights import IMAGENET, RANDOM, whole_model
from monodepth2_training.model.pose_net import WITH_ENCODER
from monodepth2_training.model.stored_networks import pose_network_of
from monodepth2_training.shared_files import DEMO, bundled_model

if TYPE_CHECKING:
    from monodepth2_ros.model_file import Model
    from monodepth2_training.config import TrainingConfig

USUAL = 'mono_640x192'
"""The configuration of a run that names none."""

FINE_TUNE = 'fine_tune'
"""The same where the run begins with a model file, whose networks it takes over."""

_HOLD_STEPS = 100


def begin_config(
    name: str, init: str, overrides: Iterable[str], *, holds_pair: Callable[[], bool]
) -> TrainingConfig:
    """Read the configuration of a new run.

    A model file without a pose network leaves that to ImageNet's weights, or random ones where it
    has no encoder of its own, unless the configuration names others. Where a single camera teaches
    depth, which then hangs on a motion that is not known, depth waits until that is about right:
    as long as the configuration says, or for some steps.

    Args:
        name: of a configuration; empty for the usual one, or the one that suits the model file.
        init: ``demo``, a file, a word that the configuration knows, or empty for its own weights.
        overrides: changes like ``optimisation.epochs=3``; they win.
        holds_pair: whether the recordings hold a rectified pair; asked only where that decides.

    Raises:
        ConfigError: there is no such configuration, or a change does not fit.
        ModelFileError: the model file is missing or damaged.
    """
    weights = _find(init)
    model = whole_model(weights)
    changes: dict[str, object] = {'network.weights': weights} if weights else {}
    if model is not None and not name:
        changes |= _networks(model) | {'mode': 'mono_stereo' if holds_pair() else 'mono'}
    name = name or (USUAL if model is None else FINE_TUNE)
    config = _read(name, changes, overrides)
    if model is None:
        return config
    if learns_motion(config.mode) and not (model.pose_state or config.network.pose_weights):
        with_encoder = config.network.pose in WITH_ENCODER
        changes['network.pose_weights'] = IMAGENET if with_encoder else RANDOM
        config = _read(name, changes, overrides)
    if _learns_from_new_motion(config) and not config.optimisation.hold_depth_steps:
        changes['optimisation.hold_depth_steps'] = _HOLD_STEPS
        config = _read(name, changes, overrides)
    return config


def _read(name: str, changes: Mapping[str, object], overrides: Iterable[str]) -> TrainingConfig:
    """A configuration with what follows from a model file, and then with what was asked for."""
    settings = [f'{key}={json.dumps(value)}' for key, value in changes.items()]
    return read_config(name, [*settings, *overrides])


def _learns_from_new_motion(config: TrainingConfig) -> bool:
    """Whether depth that is known hangs on a pose network that is not."""
    pose_weights = config.network.pose_weights
    return config.mode == 'mono' and bool(pose_weights) and whole_model(pose_weights) is None


def _find(init: str) -> str:
    """Weights by a name that means the same in every folder.

    Raises:
        ModelFileError: it is no file and no word that is known.
    """
    if init == DEMO:
        return str(bundled_model())
    if init in ('', IMAGENET, RANDOM):
        return init
    if not Path(init).is_file():
        raise ModelFileError(
            f'{init} is no file, and none of {DEMO}, {IMAGENET} and {RANDOM}: name the file to '
            'begin with, or one of these words'
        )
    return str(Path(init).resolve())


def _networks(model: Model) -> dict[str, object]:
    """Networks, input and depth range of a model file."""
    network, depths = model.description.network, model.description.depth_range
    pose, pose_encoder = pose_network_of(model) or ('separate', network.encoder)
    return {
        'network.encoder': network.encoder,
        'network.width': network.width,
        'network.height': network.height,
        'network.scales': network.scales,
        'network.pose': pose,
        'network.pose_encoder': pose_encoder,
        'depth_range.min_depth_m': depths.min_depth_m,
        'depth_range.max_depth_m': depths.max_depth_m,
    }
