# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from monodepth2_ros.networks.depth_decoder import DecoderStage, DepthDecoder, ReflectingConvolution

CHANNELS = (64, 64, 128, 256, 512)


def _features(height: int, width: int) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    return tuple(
        torch.rand(1, c, height >> (i + 1), width >> (i + 1), generator=generator)
        for i, c in enumerate(CHANNELS)
    )


def test_disparities_come_finest_first_at_their_own_size() -> None:
    decoder = DepthDecoder(CHANNELS, (0, 1, 2, 3))
    with torch.no_grad():
        disparities = decoder(_features(64, 96))
    assert [tuple(d.shape) for d in disparities] == [
        (1, 1, 64, 96),
        (1, 1, 32, 48),
        (1, 1, 16, 24),
        (1, 1, 8, 12),
    ]
    assert all(d.min() > 0.0 and d.max() < 1.0 for d in disparities)


def test_asking_for_some_scales_gives_the_same_values_as_asking_for_all() -> None:
    decoder = DepthDecoder(CHANNELS, (0, 1, 2, 3))
    features = _features(64, 64)
    with torch.no_grad():
        every = decoder(features)
        some = decoder(features, (0, 2))
        coarse = decoder(features, (3,))
    assert torch.equal(some[0], every[0])
    assert torch.equal(some[1], every[2])
    assert torch.equal(coarse[0], every[3])


def test_the_decoder_for_resnet18_has_3_153_million_weights() -> None:
    assert sum(p.numel() for p in DepthDecoder(CHANNELS, (0, 1, 2, 3)).parameters()) == 3_152_724


def test_a_stage_equals_its_written_out_twin() -> None:
    stage = DecoderStage(4, 3, 2).double()
    x = torch.rand(1, 4, 3, 5, dtype=torch.float64)
    skip = torch.rand(1, 3, 6, 10, dtype=torch.float64)

    def block(value: torch.Tensor, convolution: torch.nn.Module) -> torch.Tensor:
        padded = functional.pad(value, (1, 1, 1, 1), mode='reflect')
        out = functional.conv2d(padded, convolution.weight, convolution.bias)
        return torch.where(out > 0, out, torch.expm1(out))

    doubled = block(x, stage.reduce).repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    expected = block(torch.cat((doubled, skip), dim=1), stage.merge)
    torch.testing.assert_close(stage(x, skip), expected, rtol=0.0, atol=1e-12)


def test_gradients_reach_every_weight() -> None:
    decoder = DepthDecoder(CHANNELS, (0, 1, 2, 3))
    sum(d.mean() for d in decoder(_features(64, 64))).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in decoder.parameters())


def test_the_border_is_reflected_in_the_type_that_autocast_gave(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    padded: list[torch.dtype] = []

    def pad(x: torch.Tensor, sides: tuple[int, ...], *, mode: str) -> torch.Tensor:
        out = torch_pad(x, sides, mode=mode)
        padded.append(out.dtype)
        return out

    torch_pad = functional.pad
    monkeypatch.setattr(functional, 'pad', pad)
    x = torch.rand(1, 8, 4, 6).bfloat16()
    with torch.no_grad(), torch.autocast('cpu', torch.bfloat16):
        out = ReflectingConvolution(8, 8)(x)
    assert (out.dtype, padded) == (torch.bfloat16, [torch.bfloat16])
