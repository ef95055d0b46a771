# SPDX-License-Identifier: Apache-2.0
"""Import of checkpoint folders written by the method's reference implementation, md2.

"md2" is nianticlabs/monodepth2. Such a folder holds ``encoder.pth`` and ``depth.pth``, and
``pose_encoder.pth`` and ``pose.pth`` where the pose network was a ResNet of its own. The files are
pickles; only tensors and plain values are read from them, nothing in them is executed.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from monodepth2_ros import __version__
from monodepth2_ros.errors import ConfigError, ModelFileError, first_line
from monodepth2_ros.geometry.depth import DepthRange
from monodepth2_ros.model_description import ModelDescription, Scale
from monodepth2_ros.networks.depth_decoder import STAGE_CHANNELS
from monodepth2_ros.networks.depth_net import DepthNetConfig
from monodepth2_ros.networks.state_check import misfit

if TYPE_CHECKING:
    from collections.abc import Mapping

State = dict[str, torch.Tensor]

MD2_DEPTH_RANGE = DepthRange(min_depth_m=0.1, max_depth_m=100.0)
"""md2's default, and the range its own prediction script always assumes."""

STEREO_SCALE = Scale(
    value=5.4,
    spread=0.0,
    frames=0,
    method='md2 stereo convention (a baseline of 0.54 m trained as 0.1 unit)',
)
"""Scale of every network that md2 trained with stereo pairs on KITTI."""

_BLOCKS = {
    (2, 2, 2, 2, False): 'resnet18',
    (3, 4, 6, 3, False): 'resnet34',
    (3, 4, 6, 3, True): 'resnet50',
}
_PREFIX = 'encoder.'
_STAGES = len(STAGE_CHANNELS)
_POSE_LAYERS = ('squeeze', 'hidden.0', 'hidden.1', 'motion')
_LICENCE = "md2's licence applies to its weights and code: non-commercial use only"


def import_md2(
    folder: Path | str, *, depth_range: DepthRange = MD2_DEPTH_RANGE
) -> tuple[ModelDescription, State, State | None]:
    """Read an md2 checkpoint folder.

    Args:
        folder: the folder that holds ``encoder.pth`` and ``depth.pth``.
        depth_range: the ``min_depth`` and ``max_depth`` it was trained with.

    Returns:
        the description, the state of a ``DepthNet``, and the state of the pose network
        (``encoder.*`` as in ``ResnetEncoder``, ``decoder.{squeeze,hidden.0,hidden.1,motion}.*``)
        or None.

    Raises:
        ModelFileError: a file is missing, unreadable, not md2's, or would execute code.
    """
    source = Path(folder)
    try:
        return _imported(source, depth_range)
    except OSError as err:
        raise ModelFileError(
            f'{source} cannot be read ({err.strerror}): check its permissions'
        ) from err


def _imported(
    source: Path, depth_range: DepthRange
) -> tuple[ModelDescription, State, State | None]:
    """What ``import_md2`` gives."""
    if not source.is_dir():
        raise ModelFileError(
            f'{source} is no folder: give the folder that holds encoder.pth and depth.pth'
        )
    encoder, plain = _load(source / 'encoder.pth')
    heads, decoder = _decoder_state(source / 'depth.pth')
    network = _network(source / 'encoder.pth', encoder, plain, heads)
    state = {f'encoder.{k}': v for k, v in _trunk(encoder).items()} | decoder
    _check_state(source, network, state)
    pose, note = _pose_state(source)
    description = ModelDescription(
        network=network,
        depth_range=depth_range,
        resize='lanczos',
        scale=STEREO_SCALE if plain.get('use_stereo') else None,
        provenance=_provenance(source, plain) | note,
    )
    return description, state, pose


def _load(path: Path) -> tuple[State, dict[str, object]]:
    """Read one .pth file into its tensors and its plain values."""
    if not path.is_file():
        raise ModelFileError(f'{path} does not exist: an md2 checkpoint folder must hold it')
    try:
        content = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as err:
        raise ModelFileError(
            f'{path} is refused: it is damaged or holds more than tensors and plain values, and '
            f'nothing in it was executed ({first_line(err)[:120]}): give a checkpoint as md2 '
            'writes it'
        ) from err
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ModelFileError(
            f'{path} holds a {type(content).__name__}, not a table of tensors: '
            'give a checkpoint as md2 writes it'
        )
    tensors = {k: v for k, v in content.items() if isinstance(v, torch.Tensor) and v.ndim > 0}
    plain = {k: v for k, v in content.items() if k not in tensors}
    counters = {k: v for k, v in plain.items() if k.endswith('num_batches_tracked')}
    return tensors | counters, {k: v for k, v in plain.items() if k not in counters}


def _network(
    path: Path, encoder: State, plain: Mapping[str, object], scales: tuple[int, ...]
) -> DepthNetConfig:
    """The configuration that the encoder's tensors and the values beside them speak of."""
    try:
        width, height = (_whole_number(plain.get(key)) for key in ('width', 'height'))
        return DepthNetConfig(
            encoder=_architecture(encoder), width=width, height=height, scales=scales
        )
    except ConfigError as err:
        raise ModelFileError(f'{path} is no md2 depth encoder that can be used: {err}') from err


def _whole_number(value: object) -> int:
    """A side of the input, which md2 stores beside the tensors."""
    if isinstance(value, torch.Tensor):
        value = value.item()
    if not isinstance(value, int) or isinstance(value, bool):
        raise ConfigError(f'the input size it states is {value!r}, expected whole numbers')
    return value


def _architecture(encoder: State) -> str:
    """Name the ResNet whose blocks these are."""
    counts = []
    for layer in range(1, 5):
        pattern = re.compile(rf'encoder\.layer{layer}\.(\d+)\.conv1\.weight')
        counts.append(sum(pattern.fullmatch(key) is not None for key in encoder))
    bottleneck = 'encoder.layer1.0.conv3.weight' in encoder
    name = _BLOCKS.get((counts[0], counts[1], counts[2], counts[3], bottleneck))
    if name is None:
        raise ConfigError(
            f'its layers have {counts} {"bottleneck" if bottleneck else "basic"} blocks: '
            'expected those of resnet18, resnet34 or resnet50'
        )
    return name


def _trunk(encoder: State) -> State:
    """Rename encoder tensors, leave out the classifier, add counters that old versions lacked."""
    state = {
        key.removeprefix(_PREFIX): value
        for key, value in encoder.items()
        if not key.startswith('encoder.fc.')
    }
    for key in list(state):
        if key.endswith('running_var'):
            counter = key.replace('running_var', 'num_batches_tracked')
            state.setdefault(counter, torch.tensor(0))
    return state


def _decoder_state(path: Path) -> tuple[tuple[int, ...], State]:
    """Read ``depth.pth``: the scales that have a head, and the decoder's renamed tensors.

    md2 numbers its layers in the order in which it builds them: two for each stage from the
    coarsest, then the heads. A head is recognised by the channels of its stage.
    """
    tensors, _ = _load(path)
    table = {
        f'decoder.{2 * (_STAGES - 1 - stage) + part}.conv.conv': f'stages.{stage}.{layer}'
        for stage in range(_STAGES)
        for part, layer in enumerate(('reduce', 'merge'))
    }
    scales = []
    for key, tensor in tensors.items():
        match = re.fullmatch(r'(decoder\.\d+\.conv)\.weight', key)
        if match and tensor.ndim == 4 and tensor.shape[1] in STAGE_CHANNELS:
            scales.append(STAGE_CHANNELS.index(tensor.shape[1]))
            table[match[1]] = f'heads.{scales[-1]}'
    return tuple(sorted(scales)), {f'decoder.{k}': v for k, v in _renamed(tensors, table).items()}


def _renamed(tensors: State, table: Mapping[str, str]) -> State:
    """Rename layers by ``table``; a name that is not in it stays, and fails the check."""
    state = {}
    for key, tensor in tensors.items():
        layer, _, kind = key.rpartition('.')
        state[f'{table.get(layer, layer)}.{kind}'] = tensor
    return state


def _check_state(folder: Path, network: DepthNetConfig, state: State) -> None:
    """Refuse tensors that are not exactly those of the network."""
    faults = misfit(network, {key: tuple(tensor.shape) for key, tensor in state.items()})
    if faults:
        raise ModelFileError(
            f'{folder} does not hold an md2 depth network with {network.encoder} ({faults}): '
            'give a checkpoint as md2 writes it'
        )


def _pose_state(folder: Path) -> tuple[State | None, dict[str, str]]:
    """Read the pose network if it is a ResNet of its own, else say why there is none."""
    files = [folder / name for name in ('pose_encoder.pth', 'pose.pth')]
    found = [path.name for path in files if path.is_file()]
    if len(found) < len(files):
        return None, {'pose': f'not imported: {found[0]} stands alone'} if found else {}
    encoder, decoder = (_load(path)[0] for path in files)
    table = {f'net.{i}': layer for i, layer in enumerate(_POSE_LAYERS)}
    state = {f'encoder.{key}': value for key, value in _trunk(encoder).items()}
    state |= {f'decoder.{key}': value for key, value in _renamed(decoder, table).items()}
    _check_pose(files[1], state)
    return state, {'pose': 'imported'}


def _check_pose(path: Path, state: State) -> None:
    """Refuse a pose decoder that has other layers than md2's."""
    layers = {f'decoder.{layer}.{kind}' for layer in _POSE_LAYERS for kind in ('weight', 'bias')}
    odd = layers ^ {key for key in state if key.startswith('decoder.')}
    if odd or 'encoder.conv1.weight' not in state:
        raise ModelFileError(
            f'{path} and pose_encoder.pth are no md2 pose network ({", ".join(sorted(odd)[:3])}): '
            'give a checkpoint as md2 writes it, or leave both files out'
        )


def _provenance(folder: Path, plain: Mapping[str, object]) -> dict[str, str]:
    """Where the weights come from, and what that means for their use."""
    return {
        'source': f'imported from the md2 checkpoint folder {folder.resolve().name}',
        'licence': _LICENCE,
        'training': 'with stereo pairs' if plain.get('use_stereo') else 'without stereo pairs',
        'created': datetime.now(timezone.utc).isoformat(timespec='seconds'),
        'monodepth2_ros': __version__,
        'torch': torch.__version__,
    }
