# SPDX-License-Identifier: Apache-2.0
"""The weights that training begins with: ImageNet's, a file's, a finished model's, or random."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from monodepth2_ros.errors import ModelFileError
from monodepth2_ros.model_file import Model, is_model_file, load_model
from monodepth2_ros.networks.state_check import differences, misfit
from monodepth2_training.model.encoder_weights import imagenet_file, load_encoder
from monodepth2_training.model.pose_net import MotionHead, PoseNet

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from monodepth2_training.model.depth_pose import DepthPoseModel

RANDOM = 'random'
"""Leave the weights as torch initialises them."""

IMAGENET = 'imagenet'
"""Begin with encoders that were trained to classify ImageNet."""

INITIAL = 'initial weights'
"""Provenance of the depth network's first weights."""

INITIAL_POSE = 'initial pose weights'
"""Provenance of the pose network's first weights."""

_MOTION = 'decoder.motion.'


def load_initial_weights(model: DepthPoseModel) -> dict[str, str]:
    """Give a model the weights that its configuration names.

    ``weights`` and ``pose_weights`` are each ``imagenet``, ``random``, or a file: a state dict of
    the encoder, or a whole model file to continue from. Decoders, ``posecnn`` and ``shared`` have
    weights in whole model files alone and begin at random otherwise: beside depth of a model file
    with translations that suit its unit.

    Returns:
        where the weights come from and what licence that means, for the model file's provenance.

    Raises:
        ModelFileError: a file is missing, unreadable or holds another network.
    """
    config = model.config
    file = whole_model(config.weights)
    provenance = _load_depth(model, config.weights, file)
    if model.pose_net is not None:
        pose_file = whole_model(config.pose_weights) if config.pose_weights else file
        provenance |= _load_pose(model, config.pose_weights or config.weights, pose_file)
        if file is not None and file.description.scale is not None and pose_file is None:
            head = next(m for m in model.pose_net.modules() if isinstance(m, MotionHead))
            head.begin_in_unit(file.description.scale.value)
    return provenance


def whole_model(weights: str) -> Model | None:
    """The model file of that name, or None if the name is of something else.

    Raises:
        ModelFileError: it is damaged.
    """
    path = Path(weights)
    if weights == IMAGENET or path.suffix != '.safetensors' or not is_model_file(path):
        return None
    return load_model(path)


def _load_depth(model: DepthPoseModel, weights: str, file: Model | None) -> dict[str, str]:
    """Load the depth network's weights, from a whole model file if they are one."""
    encoder = model.config.encoder
    if weights == RANDOM:
        return {INITIAL: RANDOM}
    if file is not None:
        _check_depth(file, model)
        model.depth_net.load_state_dict(file.depth_net.state_dict())
        return {INITIAL: _origin(file)} | _licence(file)
    path = imagenet_file(encoder) if weights == IMAGENET else Path(weights)
    load_encoder(model.depth_net.encoder, encoder, path)
    return {INITIAL: _name(weights, path)}


def _load_pose(model: DepthPoseModel, weights: str, file: Model | None) -> dict[str, str]:
    """Load the pose network's weights, from a whole model file if they are one."""
    encoder = model.config.pose_encoder
    if file is not None:
        _load_pose_state(file, model)
        return {INITIAL_POSE: _origin(file)} | _licence(file)
    if weights == RANDOM or not isinstance(model.pose_net, PoseNet):
        return {INITIAL_POSE: RANDOM}
    path = imagenet_file(encoder) if weights == IMAGENET else Path(weights)
    load_encoder(model.pose_net.encoder, encoder, path)
    return {INITIAL_POSE: _name(weights, path)}


def _check_depth(file: Model, model: DepthPoseModel) -> None:
    """Refuse a finished model of another network or another meaning of disparity."""
    fault = misfit(model.config.depth_net(), _shapes(file.depth_net.state_dict()))
    if fault:
        network = file.description.network
        raise ModelFileError(
            f'{file.path} cannot be continued with {model.config.encoder} and scales '
            f'{model.config.scales} ({fault}): it has {network.encoder} and {network.scales}; '
            f'leave --config out, or add --set network.encoder={network.encoder} '
            f"--set 'network.scales={list(network.scales)}'"
        )
    if file.description.depth_range != model.depth_range:
        theirs, ours = file.description.depth_range, model.depth_range
        raise ModelFileError(
            f'{file.path} cannot be continued with depths from {ours.min_depth_m} to '
            f'{ours.max_depth_m}: it was trained with {theirs.min_depth_m} to {theirs.max_depth_m}'
        )


def _load_pose_state(file: Model, model: DepthPoseModel) -> None:
    """Load a finished model's pose network.

    One that was imported predicts a second motion, which nothing ever used: it is left out.
    """
    pose_net = model.pose_net
    if pose_net is None:
        return
    expected = _shapes(pose_net.state_dict())
    state = {
        name: tensor[: expected.get(name, tensor.shape)[0]] if name.startswith(_MOTION) else tensor
        for name, tensor in file.pose_state.items()
    }
    fault = differences(expected, _shapes(state))
    if fault:
        held = f'another pose network ({fault})' if state else 'no pose network'
        raise ModelFileError(
            f'{file.path} holds {held}: continue with the one it has, or set pose_weights to '
            f'{IMAGENET} or {RANDOM}'
        )
    pose_net.load_state_dict(state)


def _shapes(state: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    """Shape of each tensor by its name."""
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def _name(weights: str, path: Path) -> str:
    """A choice and its file in words."""
    return f'{IMAGENET} ({path.name})' if weights == IMAGENET else path.name


def _origin(file: Model) -> str:
    """A finished model in words."""
    return f'continued from {file.path.name} (sha256 {file.sha256})'


def _licence(file: Model) -> dict[str, str]:
    """The licence of a finished model, which what is made from it inherits."""
    licence = file.description.provenance.get('licence')
    return {'licence': licence} if licence else {}
