# SPDX-License-Identifier: Apache-2.0
"""From the best checkpoint of a run to the model file that the node loads."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from monodepth2_ros import __version__
from monodepth2_ros.model_description import ModelDescription
from monodepth2_ros.model_file import save_model
from monodepth2_training.checkpoints import load_checkpoint
from monodepth2_training.data.triplets import learns_motion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monodepth2_ros.model_description import Scale
    from monodepth2_training.config import TrainingConfig
    from monodepth2_training.data.frame_store import FrameStore

LICENCE = 'unknown: that of the recordings decides'
"""What a model file says about the licence of its weights."""

_DEPTH = 'model.depth_net.'
_POSE = 'model.pose_net.'


def write_model(
    path: Path,
    checkpoint: Path,
    config: TrainingConfig,
    store: FrameStore,
    *,
    facts: Mapping[str, str],
    scale: Scale | None = None,
) -> str:
    """Write the weights of a checkpoint as a model file.

    Args:
        path: where to; ends in ``.safetensors``.
        checkpoint: of a run with this configuration on this store.
        config: what was trained.
        store: what it was trained on.
        facts: more for the provenance, by name.
        scale: metres in a network unit; None if unknown.

    Returns:
        the digest of the model file.

    Raises:
        CheckpointError: the checkpoint is damaged.
        ModelFileError: it is one of another network, or the file cannot be written.
    """
    loaded = load_checkpoint(checkpoint)
    description = ModelDescription(
        network=config.network.depth_net(),
        depth_range=config.depth_range,
        resize=store.resize,
        camera=store.cameras[0].source,
        scale=scale,
        provenance={**_provenance(config, store, loaded), **facts},
    )
    state = at_precision(loaded['state_dict'], config.model_file.precision)
    return save_model(path, description, _part(state, _DEPTH), _part(state, _POSE))


def at_precision(state: Mapping[str, torch.Tensor], precision: str) -> Mapping[str, torch.Tensor]:
    """The tensors as a model file of one of ``STORED_PRECISIONS`` keeps them."""
    if precision == 'float32':
        return state
    return {n: t.half() if t.is_floating_point() else t for n, t in state.items()}


def _provenance(
    config: TrainingConfig, store: FrameStore, loaded: Mapping[str, Any]
) -> dict[str, str]:
    """Where the weights come from, in words."""
    return {
        'software': f'monodepth2_ros {__version__}, torch {torch.__version__}, '
        f'Python {platform.python_version()}',
        'experiment': config.name,
        'mode': config.mode,
        'pose': config.network.pose if learns_motion(config.mode) else 'none',
        'recordings': ', '.join(store.sources),
        'seed': str(config.optimisation.seed),
        'steps': str(loaded['global_step']),
        **loaded['provenance'],
        'licence': _licence(config, loaded['provenance'].get('licence', '')),
    }


def _licence(config: TrainingConfig, inherited: str) -> str:
    """The licence of the weights, as far as it is known."""
    if config.model_file.licence or not inherited:
        return config.model_file.licence or LICENCE
    return f'{LICENCE}; the initial weights: {inherited}'


def _part(state: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The tensors below a prefix, in the usual memory layout."""
    return {
        name.removeprefix(prefix): tensor.contiguous()
        for name, tensor in state.items()
        if name.startswith(prefix)
    }
