# SPDX-License-Identifier: Apache-2.0
"""The networks of a model file as they were trained: depth and, where it has one, motion."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from monodepth2_ros.networks.encoder_registry import ENCODERS
from monodepth2_training.model.depth_pose import TEMPORAL, DepthPoseModel, ModelConfig
from monodepth2_training.model.pose_net import POSE_VARIANTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monodepth2_ros.model_file import Model

_NETWORK = ('encoder', 'width', 'height', 'scales')


def networks_of(model: Model) -> DepthPoseModel | None:
    """Build the networks of a model file, in evaluation mode on the CPU.

    The file does not say how its pose network is built; the one whose tensors have the same names
    and sizes is taken.

    Returns:
        None where the file holds no pose network, or one of another program.
    """
    if not model.pose_state:
        return None
    state = {f'depth_net.{name}': value for name, value in model.depth_net.state_dict().items()}
    state |= {f'pose_net.{name}': value for name, value in model.pose_state.items()}
    shapes = {name: value.shape for name, value in state.items()}
    for networks in _candidates(model):
        if {name: value.shape for name, value in networks.state_dict().items()} == shapes:
            networks.load_state_dict(state)
            return networks.eval()
    return None


def _candidates(model: Model) -> Iterator[DepthPoseModel]:
    """Networks that the file may hold, the likeliest first."""
    network = model.description.network
    same = {name: getattr(network, name) for name in _NETWORK}
    config = ModelConfig(**same, pose_encoder=network.encoder)
    encoders = sorted(ENCODERS, key=lambda name: name != network.encoder)
    named = model.description.provenance.get('pose', '')
    for variant in sorted(POSE_VARIANTS, key=lambda name: name != named):
        for encoder in encoders if variant.startswith('separate') else encoders[:1]:
            chosen = dataclasses.replace(config, pose=variant, pose_encoder=encoder)
            yield DepthPoseModel(
                chosen, sources=TEMPORAL, depth_range=model.description.depth_range
            )
