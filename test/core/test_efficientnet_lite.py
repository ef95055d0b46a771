# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from monodepth2_ros.inference.engines.folding import fold_batch_norms
from monodepth2_ros.inference.engines.torch import TorchEngine
from monodepth2_ros.model_description import ModelDescription
from monodepth2_ros.model_file import load_model, save_model
from monodepth2_ros.networks.depth_net import DepthNet, DepthNetConfig
from monodepth2_ros.networks.efficientnet_lite_encoder import (
    EfficientNetLiteEncoder,
    InvertedResidual,
)

CONFIG = DepthNetConfig(encoder='efficientnet_lite0', width=96, height=64)
CLASSIFIER_WEIGHTS = 320 * 1280 + 2 * 1280 + 1280 * 1000 + 1000


@pytest.fixture(scope='module')
def net() -> DepthNet:
    """A network whose normalisations are not the identity and whose disparity varies."""
    torch.manual_seed(3)
    net = DepthNet(CONFIG).train()
    with torch.no_grad():
        for _ in range(4):
            net(torch.rand(2, 3, 64, 96))
        net.decoder.heads['0'].weight.mul_(20.0)
    return net.eval()


def test_features_halve_five_times_and_have_the_stated_channels(net: DepthNet) -> None:
    with torch.no_grad():
        features = net.encoder(torch.rand(2, 3, 64, 96))
    assert net.encoder.channels == (16, 24, 40, 112, 320)
    for i, (feature, channels) in enumerate(zip(features, net.encoder.channels, strict=True)):
        assert feature.shape == (2, channels, 64 >> (i + 1), 96 >> (i + 1))


def test_with_its_classifier_it_has_the_published_4_652_million_weights() -> None:
    weights = sum(p.numel() for p in EfficientNetLiteEncoder().parameters())
    assert weights + CLASSIFIER_WEIGHTS == 4_652_008


def test_the_published_mean_becomes_zero_and_its_deviation_one() -> None:
    encoder = EfficientNetLiteEncoder()
    torch.testing.assert_close(encoder.normalise(torch.tensor(127.0 / 255.0)), torch.tensor(0.0))
    torch.testing.assert_close(encoder.normalise(torch.tensor(1.0)), torch.tensor(1.0))


@pytest.mark.parametrize('kernel', [3, 5])
def test_strided_convolutions_pad_one_pixel_more_at_the_end(kernel: int) -> None:
    block = InvertedResidual(2, 2, kernel=kernel, stride=2, expansion=1).eval().double()
    x = torch.rand(1, 2, 6, 8, dtype=torch.float64)
    before, after = (kernel - 2) // 2, (kernel - 1) // 2
    expected = torch.zeros(1, 2, 3, 4, dtype=torch.float64)
    padded = functional.pad(x, (before, after, before, after))
    weight = block.depthwise[0].weight
    for v in range(3):
        for u in range(4):
            patch = padded[0, :, 2 * v : 2 * v + kernel, 2 * u : 2 * u + kernel]
            expected[0, :, v, u] = (patch * weight[:, 0]).sum((1, 2))
    torch.testing.assert_close(block.depthwise[0](x), expected, rtol=0.0, atol=1e-12)


def test_a_block_adds_its_input_only_where_the_shapes_agree() -> None:
    x = torch.rand(1, 4, 8, 8)
    for stride, outputs, adds in ((1, 4, True), (2, 4, False), (1, 6, False)):
        block = InvertedResidual(4, outputs, kernel=3, stride=stride, expansion=6).eval()
        torch.nn.init.zeros_(block.project[0].weight)
        expected = x if adds else torch.zeros(1, outputs, 8 // stride, 8 // stride)
        assert torch.equal(block(x), expected)


def test_two_stacked_images_take_six_channels() -> None:
    encoder = EfficientNetLiteEncoder(images=2).eval()
    with torch.no_grad():
        assert encoder(torch.rand(1, 6, 64, 64))[4].shape == (1, 320, 2, 2)


def test_gradients_reach_every_weight_of_the_depth_net(net: DepthNet) -> None:
    twin = DepthNet(CONFIG).train()
    sum(d.mean() for d in twin(torch.rand(2, 3, 64, 96))).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in twin.parameters())


def test_folding_leaves_no_normalisation_and_the_engine_keeps_the_function(net: DepthNet) -> None:
    image = torch.randint(0, 256, (1, 3, 64, 96), dtype=torch.uint8)
    with torch.inference_mode():
        expected = net.finest(image.float() / 255.0)[0, 0].numpy()
    exact = TorchEngine(net, torch.device('cpu')).infer(image)
    rough = TorchEngine(net, torch.device('cpu'), dtype=torch.bfloat16).infer(image)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(exact, expected, atol=5e-6)
    assert 1e-6 < np.abs((0.01 + 9.99 * exact) / (0.01 + 9.99 * rough) - 1.0).mean() < 1e-2
    twin = DepthNet(CONFIG).eval()
    fold_batch_norms(twin)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in twin.modules())


def test_a_model_file_keeps_the_network(net: DepthNet, tmp_path: Path) -> None:
    path = tmp_path / 'lite.safetensors'
    save_model(path, ModelDescription(network=CONFIG), net.state_dict())
    loaded = load_model(path).depth_net
    rgb = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        assert torch.equal(loaded.finest(rgb), net.finest(rgb))
