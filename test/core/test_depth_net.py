# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from monodepth2_ros.errors import ConfigError
from monodepth2_ros.networks.depth_net import DepthNet, DepthNetConfig


def test_resnet18_depth_net_has_14_329_million_weights() -> None:
    assert sum(p.numel() for p in DepthNet(DepthNetConfig()).parameters()) == 14_329_236


def test_finest_equals_the_first_of_all_scales() -> None:
    net = DepthNet(DepthNetConfig(width=96, height=64)).eval()
    rgb = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        every = net(rgb)
        finest = net.finest(rgb)
    assert len(every) == 4
    assert finest.shape == (2, 1, 64, 96)
    assert torch.equal(finest, every[0])


def test_only_configured_scales_have_heads() -> None:
    net = DepthNet(DepthNetConfig(width=64, height=64, scales=(0, 2))).eval()
    with torch.no_grad():
        disparities = net(torch.rand(1, 3, 64, 64))
    assert [d.shape[-1] for d in disparities] == [64, 16]
    assert sorted(net.decoder.heads) == ['0', '2']


@pytest.mark.parametrize(
    'size', [(640, 190), (640, 32), (641, 192), (0, 192), (-64, 192), (8192, 64)]
)
def test_sizes_the_decoder_cannot_restore_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(
        ConfigError, match=r'not usable: expected a multiple of 32 from 64 to 4096'
    ):
        DepthNetConfig(width=size[0], height=size[1])


@pytest.mark.parametrize('scales', [(), (1, 2), (0, 4), (0, 0), (2, 0), (0, -1)])
def test_scales_that_do_not_exist_are_refused(scales: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match='begin with 0'):
        DepthNetConfig(scales=scales)


def test_an_unknown_encoder_is_refused() -> None:
    with pytest.raises(ConfigError, match="'vgg16' is not known"):
        DepthNetConfig(encoder='vgg16')
