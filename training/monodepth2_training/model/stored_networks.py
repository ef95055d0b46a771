# SPDX-License-Identifier: Apache-2.0
"""The networks of a model file as they were trained: depth and, where it has one, motion.

The file does not say how its pose network is built; it shows in the names and sizes of its
tensors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from monodepth2_ros.networks.encoder_registry import ENCODERS
from monodepth2_training.model.depth_pose import TEMPORAL, DepthPoseModel, ModelConfig
from monodepth2_training.model.pose_net import (
    MOTION_NUMBERS,
    POSE_VARIANTS,
    build_pose_net,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monodepth2_ros.model_file import Model


def pose_kind(
    state: Mapping[str, torch.Tensor],
    *,
    features: int,
    variants: Sequence[str] = POSE_VARIANTS,
    encoders: Sequence[str] = tuple(ENCODERS),
) -> tuple[str, str] | None:
    """Variant and encoder of the pose network that has exactly these tensors.

    Args:
        state: tensors by name.
        features: channels of the depth encoder's coarsest features, which ``shared`` sees.
        variants: those of ``POSE_VARIANTS`` that may be, the likeliest first.
        encoders: that may be, the likeliest first.

    Returns:
        None where it is none of them.
    """
    shapes = {name: tensor.shape for name, tensor in state.items()}
    for variant in variants:
        for encoder in encoders:
            with torch.device('meta'):
                candidate = build_pose_net(variant, encoder=encoder, features=features)
            if {name: value.shape for name, value in candidate.state_dict().items()} == shapes:
                return variant, encoder
    return None


def used_motions(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Of md2's pose network, which gives two motions a pair, what gives the one that it uses."""
    return {
        name: tensor[:MOTION_NUMBERS] if name.startswith('decoder.motion.') else tensor
        for name, tensor in state.items()
    }


def pose_network_of(model: Model) -> tuple[str, str] | None:
    """Variant and encoder of a model file's pose network; None without one that is known."""
    if not model.pose_state:
        return None
    return _kind_in(model, model.pose_state)


def _kind_in(model: Model, state: Mapping[str, torch.Tensor]) -> tuple[str, str] | None:
    """What has these tensors, the likeliest beside this depth network first."""
    network = model.description.network
    named = model.description.provenance.get('pose', '')
    return pose_kind(
        state,
        features=model.depth_net.encoder.channels[-1],
        variants=sorted(POSE_VARIANTS, key=lambda name: name != named),
        encoders=sorted(ENCODERS, key=lambda name: name != network.encoder),
    )


def networks_of(model: Model) -> DepthPoseModel | None:
    """Build the networks of a model file for a frame and its two neighbours.

    Returns:
        them in evaluation mode on the CPU; None where the file holds no pose network, or one of
        another program.
    """
    network, pose_state = model.description.network, model.pose_state
    kind = pose_network_of(model)
    if kind is None and pose_state:
        pose_state = used_motions(pose_state)
        kind = _kind_in(model, pose_state)
    if kind is None:
        return None
    config = ModelConfig(
        encoder=network.encoder,
        width=network.width,
        height=network.height,
        scales=network.scales,
        pose=kind[0],
        pose_encoder=kind[1],
    )
    networks = DepthPoseModel(config, sources=TEMPORAL, depth_range=model.description.depth_range)
    state = {f'depth_net.{name}': value for name, value in model.depth_net.state_dict().items()}
    state |= {f'pose_net.{name}': value for name, value in pose_state.items()}
    networks.load_state_dict(state)
    return networks.eval()
