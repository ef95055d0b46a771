# SPDX-License-Identifier: Apache-2.0
"""The networks of a run as trained: of its model file, or of its newest checkpoint without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monodepth2_ros.errors import CheckpointError
from monodepth2_ros.model_file import load_model
from monodepth2_training.checkpoints import load_checkpoint, newest_good
from monodepth2_training.data.triplets import source_names
from monodepth2_training.model.depth_pose import DepthPoseModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from monodepth2_training.report.record import RunRecord

_MODEL = 'model.'


def load_trained(record: RunRecord) -> tuple[DepthPoseModel, str]:
    """Build the networks of a run, without a predictive mask, in evaluation mode on the CPU.

    Returns:
        the networks, and in words where their weights come from.

    Raises:
        CheckpointError: there is neither a model file nor an intact checkpoint, or it does not
            fit the configuration.
        ModelFileError: the model file is damaged.
    """
    config = record.config
    model = DepthPoseModel(
        config.network, sources=source_names(config.mode), depth_range=config.depth_range
    )
    state, origin = _weights(record)
    known = model.state_dict()
    try:
        model.load_state_dict({name: state[name] for name in known})
    except (KeyError, RuntimeError) as err:
        raise CheckpointError(
            f'{origin} does not fit {record.folder.config}: {err}; train again'
        ) from err
    return model.eval(), origin


def _weights(record: RunRecord) -> tuple[Mapping[str, torch.Tensor], str]:
    """Tensors by their names in ``DepthPoseModel``, and where they come from."""
    folder = record.folder
    if folder.model.is_file():
        loaded = load_model(folder.model)
        depth = {f'depth_net.{n}': t for n, t in loaded.depth_net.state_dict().items()}
        pose = {f'pose_net.{n}': t for n, t in loaded.pose_state.items()}
        return depth | pose, folder.model.name
    path, faults = newest_good(folder.checkpoints)
    if path is None:
        reason = faults[0] if faults else 'none was written yet'
        raise CheckpointError(f'{folder.checkpoints} holds no usable checkpoint: {reason}')
    state = load_checkpoint(path)['state_dict']
    return {n.removeprefix(_MODEL): t for n, t in state.items()}, path.name
