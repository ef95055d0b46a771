# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional

from monodepth2_ros.inference.engines.decompositions import decompositions
from monodepth2_ros.inference.engines.network import InferenceNet, example_image
from monodepth2_ros.networks.depth_net import DepthNet, DepthNetConfig

REPLACED = {str(operator) for operator in decompositions()}


class _Calls(nn.Module):
    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self._function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._function(x)


def _decomposed(net: nn.Module, x: torch.Tensor) -> tuple[nn.Module, set[str]]:
    """A module with the operators replaced, and the names of those that it still calls."""
    with torch.no_grad():
        program = torch.export.export(net, (x,)).run_decompositions(decompositions())
    called = {str(node.target) for node in program.graph.nodes if node.op == 'call_function'}
    return program.module(), called & REPLACED


@pytest.mark.parametrize('encoder', ['resnet18', 'efficientnet_lite0'])
def test_a_network_keeps_its_disparity(encoder: str) -> None:
    torch.manual_seed(3)
    net = DepthNet(DepthNetConfig(encoder=encoder, width=96, height=64))
    net.decoder.heads['0'].weight.data.mul_(20.0)
    whole, image = InferenceNet(net), example_image(net)
    decomposed, left = _decomposed(whole, image)
    assert left == {'aten.conv2d.default'}
    torch.testing.assert_close(decomposed(image), whole(image), atol=1e-6, rtol=1e-5)


def test_elu_is_exact_near_zero_and_far_from_it() -> None:
    x = torch.tensor([-1e4, -20.0, -1.0, -1e-3, -1e-7, 0.0, 1e-7, 1.0, 1e4])
    decomposed, left = _decomposed(_Calls(functional.elu), x)
    assert not left
    torch.testing.assert_close(decomposed(x), functional.elu(x), atol=1e-7, rtol=0.0)
    assert decomposed(x.bfloat16()).dtype == torch.bfloat16


def test_doubling_and_a_convolution_to_one_channel_are_those_of_pytorch() -> None:
    torch.manual_seed(4)
    x, weight, bias = torch.randn(2, 5, 6, 7), torch.randn(1, 5, 3, 2), torch.randn(1)

    def run(x: torch.Tensor) -> torch.Tensor:
        doubled = functional.interpolate(x, scale_factor=2.0, mode='nearest')
        return functional.conv2d(doubled, weight, bias)

    decomposed, left = _decomposed(_Calls(run), x)
    assert not left
    torch.testing.assert_close(decomposed(x), run(x))


@pytest.mark.parametrize(
    'call',
    [
        lambda x: functional.elu(x, alpha=2.0),
        lambda x: functional.interpolate(x, scale_factor=3.0, mode='nearest'),
        lambda x: functional.interpolate(x, size=(12, 14), mode='nearest'),
        lambda x: functional.conv2d(x, torch.ones(1, 5, 3, 3), torch.ones(1), padding=1),
        lambda x: functional.conv2d(x, torch.ones(1, 5, 3, 3), torch.ones(1), stride=2),
        lambda x: functional.conv2d(x, torch.ones(1, 5, 3, 3)),
        lambda x: functional.conv2d(x, torch.ones(2, 5, 3, 3), torch.ones(2)),
    ],
)
def test_what_does_not_fit_stays(call: Callable[[torch.Tensor], torch.Tensor]) -> None:
    x = torch.randn(1, 5, 6, 7)
    decomposed, left = _decomposed(_Calls(call), x)
    assert len(left) == 1
    torch.testing.assert_close(decomposed(x), call(x))
