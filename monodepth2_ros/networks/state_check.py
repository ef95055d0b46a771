# SPDX-License-Identifier: Apache-2.0
"""The strict comparison of stored tensors with those a network has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from monodepth2_ros.networks.depth_net import DepthNet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monodepth2_ros.networks.depth_net import DepthNetConfig

    Shapes = Mapping[str, tuple[int, ...]]

_SHOWN = 3


def skeleton(config: DepthNetConfig) -> DepthNet:
    """The network without memory for its weights, on torch's meta device."""
    with torch.device('meta'):
        return DepthNet(config)


def misfit(config: DepthNetConfig, shapes: Shapes, *, prefix: str = '') -> str:
    """Say how tensors differ from those of the network.

    Args:
        config: the network.
        shapes: shape of each stored tensor by its name.
        prefix: what stored names have before the network's.

    Returns:
        the first three faults and the number of others; empty if name for name and shape for
        shape everything fits.
    """
    state = skeleton(config).state_dict()
    return differences({prefix + name: tuple(t.shape) for name, t in state.items()}, shapes)


def differences(expected: Shapes, shapes: Shapes) -> str:
    """Say how stored tensors differ from the expected ones, both by name and shape.

    Returns:
        the first three faults and the number of others; empty if everything fits.
    """
    faults = [f'{name} is missing' for name in expected if name not in shapes]
    faults += [f'{name} does not belong there' for name in sorted(set(shapes) - set(expected))]
    faults += [
        f'{name} has shape {list(shapes[name])}, not {list(shape)}'
        for name, shape in expected.items()
        if shapes.get(name, shape) != shape
    ]
    more = f' and {len(faults) - _SHOWN} more' if len(faults) > _SHOWN else ''
    return ', '.join(faults[:_SHOWN]) + more
