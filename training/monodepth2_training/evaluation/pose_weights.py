# SPDX-License-Identifier: Apache-2.0
"""Both networks of a model file as one model: which pose network it is shows in its tensors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from torch import nn

from monodepth2_ros.errors import EvaluationError
from monodepth2_ros.networks.encoder_registry import ENCODERS
from monodepth2_training.model.depth_pose import DepthPoseModel, ModelConfig
from monodepth2_training.model.pose_net import POSE_VARIANTS, build_pose_net

if TYPE_CHECKING:
    from monodepth2_ros.model_file import Model


def depth_pose_model(loaded: Model) -> DepthPoseModel:
    """The networks of a model file, for a frame and its two neighbours, in evaluation mode.

    Raises:
        EvaluationError: it has no pose network, or one of another making.
    """
    if not loaded.pose_state:
        raise EvaluationError(
            'the model file has no pose network: motion cannot be predicted. Models trained on '
            'one camera over time have one'
        )
    network = loaded.description.network
    features = loaded.depth_net.encoder.channels[-1]
    for variant, encoder in _candidates(loaded.description.provenance.get('pose', '')):
        if not _fits(build_pose_net(variant, encoder=encoder, features=features), loaded):
            continue
        config = ModelConfig(
            encoder=network.encoder,
            width=network.width,
            height=network.height,
            scales=network.scales,
            pose=variant,
            pose_encoder=encoder,
        )
        model = DepthPoseModel(config, depth_range=loaded.description.depth_range)
        model.depth_net.load_state_dict(loaded.depth_net.state_dict())
        _pose_net(model).load_state_dict(loaded.pose_state)
        return model.eval()
    raise EvaluationError('the pose network of the model file is none that is known here')


def _candidates(told: str) -> Iterator[tuple[str, str]]:
    """Kinds of pose networks, those of the kind that the file tells first."""
    for variant in sorted(POSE_VARIANTS, key=lambda name: name != told):
        yield from ((variant, encoder) for encoder in ENCODERS)


def _fits(pose_net: nn.Module, loaded: Model) -> bool:
    """Whether a network has exactly the file's tensors."""
    shapes = {name: tensor.shape for name, tensor in pose_net.state_dict().items()}
    return shapes == {name: tensor.shape for name, tensor in loaded.pose_state.items()}


def _pose_net(model: DepthPoseModel) -> nn.Module:
    if model.pose_net is None:
        raise EvaluationError('a model for one camera over time has no pose network')
    return model.pose_net
