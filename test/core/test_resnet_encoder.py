# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
import torchvision

from monodepth2_ros.errors import ConfigError
from monodepth2_ros.networks.resnet_encoder import RESNETS, ResnetEncoder


@pytest.mark.parametrize('name', RESNETS)
def test_features_halve_five_times_and_have_the_stated_channels(name: str) -> None:
    encoder = ResnetEncoder(name).eval()
    with torch.no_grad():
        features = encoder(torch.rand(2, 3, 64, 96))
    for i, (feature, channels) in enumerate(zip(features, encoder.channels, strict=True)):
        assert feature.shape == (2, channels, 64 >> (i + 1), 96 >> (i + 1))


def test_resnet18_without_its_classifier_has_11_177_million_weights() -> None:
    assert sum(p.numel() for p in ResnetEncoder('resnet18').parameters()) == 11_176_512


@pytest.mark.parametrize('name', RESNETS)
def test_tensor_names_are_torchvisions(name: str) -> None:
    published = getattr(torchvision.models, name)(weights=None).state_dict()
    names = [key for key in published if not key.startswith('fc.')]
    assert list(ResnetEncoder(name).state_dict()) == names


@pytest.mark.parametrize('name', RESNETS)
def test_a_seed_gives_the_weights_and_the_features_of_torchvision(name: str) -> None:
    torch.manual_seed(3)
    published = getattr(torchvision.models, name)(weights=None).eval()
    torch.manual_seed(3)
    encoder = ResnetEncoder(name).eval()
    expected = published.state_dict()
    assert all(torch.equal(expected[key], value) for key, value in encoder.state_dict().items())
    rgb = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        theirs = published.relu(published.bn1(published.conv1(encoder.normalise(rgb))))
        theirs = published.maxpool(theirs)
        for layer in (published.layer1, published.layer2, published.layer3, published.layer4):
            theirs = layer(theirs)
        assert torch.equal(encoder(rgb)[4], theirs)


def test_the_encoder_normalises_its_input() -> None:
    encoder = ResnetEncoder('resnet18').eval()
    grey = torch.full((1, 3, 64, 64), 0.45)
    with torch.no_grad():
        half = encoder(grey)[0]
    assert half.abs().max() == 0.0


def test_two_stacked_images_take_six_channels() -> None:
    encoder = ResnetEncoder('resnet18', images=2).eval()
    assert encoder.conv1.weight.shape == (64, 6, 7, 7)
    with torch.no_grad():
        assert encoder(torch.rand(1, 6, 64, 64))[4].shape == (1, 512, 2, 2)


def test_an_unknown_encoder_is_refused_with_the_known_names() -> None:
    with pytest.raises(ConfigError, match="'resnet19' is not known: expected one of resnet18, "):
        ResnetEncoder('resnet19')
