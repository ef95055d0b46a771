# SPDX-License-Identifier: Apache-2.0
"""The model file: one ``.safetensors`` that holds the weights and says what they are.

Tensors are named ``depth.*`` and, where there is a pose network, ``pose.*``. The one metadata
entry ``monodepth2_ros`` holds JSON: a schema number, the description (see ``model_description``),
and a SHA-256 over description and tensors that is verified on every load. Nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch

from monodepth2_ros.atomic_file import write_atomically
from monodepth2_ros.errors import ConfigError, ModelFileError, Monodepth2Error
from monodepth2_ros.model_container import Header, open_model, read_header, refuse
from monodepth2_ros.model_description import (
    ModelDescription,
    description_from_document,
    description_to_document,
)
from monodepth2_ros.networks.state_check import misfit, skeleton
from monodepth2_ros.typed_document import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monodepth2_ros.networks.depth_net import DepthNet

    State = Mapping[str, torch.Tensor]

SCHEMA = 1
"""The newest layout of the metadata that this version reads, and the one it writes."""

_ENTRY = 'monodepth2_ros'
_KEYS = ('schema', 'description', 'sha256')
_DEPTH = 'depth.'
_POSE = 'pose.'
_SUFFIX = '.safetensors'


@dataclass(frozen=True, kw_only=True)
class Model:
    """A loaded model file."""

    description: ModelDescription
    """What the file says about the network."""
    depth_net: DepthNet
    """The network with its weights in float32 on the CPU, in evaluation mode."""
    pose_state: dict[str, torch.Tensor]
    """Tensors of the pose network in float32; empty if the file has none."""
    path: Path
    """Where it was read from."""
    schema: int
    """Layout of the file's metadata."""
    sha256: str
    """Digest of description and tensors, as stored and verified."""


def save_model(
    path: Path | str,
    description: ModelDescription,
    depth_net_state: State,
    pose_state: State | None = None,
) -> str:
    """Write a model file whole or not at all; an existing file is replaced.

    Args:
        path: where to; must end in ``.safetensors`` and its folder must exist.
        description: what the file shall say.
        depth_net_state: ``DepthNet.state_dict()`` of ``description.network``.
        pose_state: tensors of the pose network, by names of its own.

    Returns:
        the digest of description and tensors.

    Raises:
        ModelFileError: the tensors do not fit the description or are not finite, or the file
            cannot be written.
    """
    target = Path(path)
    if target.suffix != _SUFFIX:
        raise ModelFileError(f'{target} is no name for a model file: it must end in {_SUFFIX}')
    tensors = {_DEPTH + name: _stored(tensor) for name, tensor in depth_net_state.items()}
    tensors |= {_POSE + name: _stored(tensor) for name, tensor in (pose_state or {}).items()}
    return _write(target, description, tensors)


def describe_anew(model: Model, description: ModelDescription) -> str:
    """Replace what a model file says about itself; its tensors stay as they are stored.

    Args:
        model: the file as it was loaded.
        description: what it shall say; of the same network.

    Returns:
        the digest of description and tensors.

    Raises:
        ModelFileError: the file is another by now, or cannot be written.
    """
    entry, _, tensors = _read(model.path)
    if _digest(entry['description'], tensors) != model.sha256:
        raise refuse(model.path, 'has been replaced since it was read', 'start anew with it')
    return _write(model.path, description, tensors)


def _write(target: Path, description: ModelDescription, tensors: dict[str, torch.Tensor]) -> str:
    _check_names(target, description, {name: tuple(t.shape) for name, t in tensors.items()})
    _check_finite(target, tensors)
    document = description_to_document(description)
    digest = _digest(document, tensors)
    entry = {'schema': SCHEMA, 'description': document, 'sha256': digest}
    text = json.dumps(entry, sort_keys=True, allow_nan=False)
    try:
        write_atomically(target, safetensors.torch.save(tensors, {_ENTRY: text}))
    except OSError as err:
        raise ModelFileError(f'{target} cannot be written: {err.strerror}') from err
    return digest


def load_model(path: Path | str) -> Model:
    """Read a model file, verify it and build its network.

    Raises:
        ModelFileError: the file is missing, foreign, damaged, too new, or its tensors do not fit.
    """
    source = Path(path)
    entry, description, tensors = _read(source)
    if _digest(entry['description'], tensors) != entry.get('sha256'):
        raise refuse(
            source, 'is damaged: its SHA-256 does not match', 'copy or download the file again'
        )
    _check_finite(source, tensors)
    return Model(
        description=description,
        depth_net=_build(description, _part(tensors, _DEPTH)),
        pose_state=_part(tensors, _POSE),
        path=source,
        schema=entry['schema'],
        sha256=str(entry['sha256']),
    )


def _read(path: Path) -> tuple[dict[str, Any], ModelDescription, dict[str, torch.Tensor]]:
    """Read the metadata entry, what it says, and the tensors as they are stored; unverified."""
    with open_model(path) as file:
        header = read_header(file, path)
        entry, description = _read_entry(path, header)
        _check_names(path, description, header.shapes)
        data = header.raw + file.read()
    return entry, description, _read_tensors(path, data)


def read_description(path: Path | str) -> ModelDescription:
    """Read what a model file says about itself, without its tensors and without verifying them.

    Raises:
        ModelFileError: the file is missing, foreign, cut off or too new.
    """
    source = Path(path)
    with open_model(source) as file:
        return _read_entry(source, read_header(file, source))[1]


def is_model_file(path: Path | str) -> bool:
    """Whether a ``.safetensors`` file holds a model that this package has written.

    Raises:
        ModelFileError: the file is missing, cut off, or no safetensors file.
    """
    source = Path(path)
    with open_model(source) as file:
        return _ENTRY in read_header(file, source).metadata


def _read_entry(path: Path, header: Header) -> tuple[dict[str, Any], ModelDescription]:
    """Read and check the metadata entry."""
    if _ENTRY not in header.metadata:
        raise refuse(
            path,
            'is a safetensors file of another program (it has no monodepth2_ros metadata)',
            'give a file that monodepth2 has written',
        )
    try:
        entry = dict(json.loads(header.metadata[_ENTRY]))
        _check_schema(path, entry.get('schema'))
        _check_keys(entry)
        return entry, description_from_document(entry.get('description'))
    except ModelFileError:
        raise
    except (Monodepth2Error, ValueError, TypeError, OverflowError, RecursionError) as err:
        raise refuse(path, f'has unusable metadata ({err})', 'write the model file again') from err


def _check_schema(path: Path, schema: object) -> None:
    """Refuse a layout that this version does not know."""
    if not isinstance(schema, int) or schema < 1:
        raise refuse(path, f'has no usable schema number ({schema!r})', 'write the file again')
    if schema > SCHEMA:
        raise refuse(
            path,
            f'has schema {schema}, but this version reads up to {SCHEMA}',
            'update monodepth2_ros, or write the file with this version',
        )


def _check_keys(entry: dict[str, Any]) -> None:
    """Refuse keys that this schema does not have."""
    for key in entry:
        if key not in _KEYS:
            raise ConfigError(f'unknown key {key!r}: {nearest(key, _KEYS)}')


def _read_tensors(path: Path, data: bytes) -> dict[str, torch.Tensor]:
    """Read the tensors as they are stored."""
    try:
        return safetensors.torch.load(data)
    except (safetensors.SafetensorError, KeyError, ValueError) as err:
        raise refuse(path, f'is damaged ({err})', 'copy or download the file again') from err


def _build(description: ModelDescription, state: dict[str, torch.Tensor]) -> DepthNet:
    """The described network with the given weights, in evaluation mode."""
    net = skeleton(description.network)
    net.load_state_dict(state, assign=True)
    return net.eval()


def _check_names(
    path: Path, description: ModelDescription, shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Refuse tensors that are not exactly those of the described depth network."""
    depth = {name: shape for name, shape in shapes.items() if not name.startswith(_POSE)}
    faults = misfit(description.network, depth, prefix=_DEPTH)
    if faults:
        raise refuse(
            path,
            f'does not hold the weights of {description.network.encoder} ({faults})',
            'write the model file again from the network it describes',
        )


def _check_finite(path: Path, tensors: State) -> None:
    """Refuse weights that are NaN or infinite."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise refuse(path, f'has weights that are not finite in {name}', 'train it again')


def _digest(document: object, tensors: State) -> str:
    """SHA-256 over the description and, in order of their names, all tensors as stored."""
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f'\n{name} {tensor.dtype} {list(tensor.shape)}\n'.encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _stored(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor as it is written: on the CPU, in one piece, without gradient."""
    return tensor.detach().to('cpu').contiguous()


def _part(tensors: State, prefix: str) -> dict[str, torch.Tensor]:
    """The tensors below ``prefix``, floats as float32."""
    return {
        name.removeprefix(prefix): tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
