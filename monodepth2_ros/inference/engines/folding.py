# SPDX-License-Identifier: Apache-2.0
"""Fold batch normalisation into the convolutions before it: the same function in fewer steps."""

from __future__ import annotations

import re

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

_CONVOLUTION = re.compile(r'conv(\d*)')


def fold_batch_norms(net: nn.Module) -> None:
    """Fold, in place, every pair convN, bnN and every Sequential(convolution, normalisation).

    Args:
        net: a network in evaluation mode with the names of torchvision's ResNets.
    """
    for module in list(net.modules()):
        if isinstance(module, nn.Sequential):
            _fold_pair(module, '0', '1')
        for name, _ in list(module.named_children()):
            match = _CONVOLUTION.fullmatch(name)
            if match:
                _fold_pair(module, name, f'bn{match[1]}')


def _fold_pair(parent: nn.Module, convolution: str, norm: str) -> None:
    """Fold one pair of children, if they are a convolution and a normalisation."""
    children = dict(parent.named_children())
    first, second = children.get(convolution), children.get(norm)
    if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
        setattr(parent, convolution, fuse_conv_bn_eval(first, second))
        setattr(parent, norm, nn.Identity())
