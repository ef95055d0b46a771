# SPDX-License-Identifier: Apache-2.0
"""Checkpoint folders in md2's layout with weights from a formula, the same on every machine."""

from __future__ import annotations

import math
import zlib
from pathlib import Path

import numpy as np
import torch
import torchvision

DECODER_CHANNELS = (256, 128, 64, 32, 16)
ENCODER_CHANNELS = {
    18: (64, 64, 128, 256, 512),
    34: (64, 64, 128, 256, 512),
    50: (64, 256, 512, 1024, 2048),
}


def noise(name: str, shape: tuple[int, ...], low: float, high: float) -> np.ndarray:
    """Float64 [shape] in [low, high): the splitmix64 sequence that belongs to ``name``."""
    start = np.uint64(zlib.crc32(name.encode())) << np.uint64(20)
    x = (np.arange(1, math.prod(shape) + 1, dtype=np.uint64) + start) * np.uint64(
        0x9E3779B97F4A7C15
    )
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    unit = ((x ^ (x >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) / 2.0**53
    return (low + (high - low) * unit).reshape(shape)


def weight(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """One tensor of a checkpoint, by its name in the checkpoint and its shape."""
    if name.endswith('num_batches_tracked'):
        return torch.tensor(1000)
    if name.endswith('running_var'):
        values = noise(name, shape, 0.5, 1.5)
    elif len(shape) == 4:
        bound = math.sqrt(6.0 / math.prod(shape[1:])) * (2.0 if shape[0] == 1 else 1.0)
        values = noise(name, shape, -bound, bound)
    elif name.endswith('.weight'):
        values = noise(name, shape, 0.3, 0.7)
    else:
        values = noise(name, shape, -0.2, 0.2)
    return torch.from_numpy(values.astype(np.float32))


def image(height: int, width: int) -> np.ndarray:
    """RGB float32 [height, width, 3] in [0, 1]: smooth waves under some noise."""
    v, u, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing='ij')
    waves = 0.5 + 0.3 * np.sin(u / 9.0 + c) * np.cos(v / 13.0 - c)
    return (waves + noise('image', (height, width, 3), -0.15, 0.15)).astype(np.float32)


def encoder_shapes(layers: int, *, images: int = 1) -> dict[str, tuple[int, ...]]:
    """Names and shapes in md2's encoder.pth and pose_encoder.pth, the classifier included."""
    with torch.device('meta'):
        resnet = getattr(torchvision.models, f'resnet{layers}')(weights=None)
    shapes = {f'encoder.{k}': tuple(v.shape) for k, v in resnet.state_dict().items()}
    return shapes | {'encoder.conv1.weight': (64, 3 * images, 7, 7)}


def decoder_shapes(
    layers: int, scales: tuple[int, ...] = (0, 1, 2, 3)
) -> dict[str, tuple[int, ...]]:
    """Names and shapes in md2's depth.pth."""
    encoder = ENCODER_CHANNELS[layers]
    shapes = {}
    previous = encoder[4]
    for i, channels in enumerate(DECODER_CHANNELS):
        skip = encoder[3 - i] if i < 4 else 0
        for j, inputs in enumerate((previous, channels + skip)):
            shapes[f'decoder.{2 * i + j}.conv.conv.weight'] = (channels, inputs, 3, 3)
            shapes[f'decoder.{2 * i + j}.conv.conv.bias'] = (channels,)
        previous = channels
    for n, scale in enumerate(scales):
        shapes[f'decoder.{10 + n}.conv.weight'] = (1, DECODER_CHANNELS[4 - scale], 3, 3)
        shapes[f'decoder.{10 + n}.conv.bias'] = (1,)
    return shapes


def pose_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes in md2's pose.pth for a ResNet-18 over two images."""
    layers = ((256, 512, 1, 1), (256, 256, 3, 3), (256, 256, 3, 3), (12, 256, 1, 1))
    weights = {f'net.{i}.weight': shape for i, shape in enumerate(layers)}
    return weights | {f'net.{i}.bias': shape[:1] for i, shape in enumerate(layers)}


def fill(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """A state with these names and shapes."""
    return {name: weight(name, shape) for name, shape in shapes.items()}


def write_checkpoint(
    folder: Path,
    *,
    layers: int = 18,
    height: int = 64,
    width: int = 96,
    stereo: bool = False,
    pose: bool = False,
    scales: tuple[int, ...] = (0, 1, 2, 3),
) -> Path:
    """Write a checkpoint folder as md2 does, sizes and flag beside the encoder's tensors."""
    folder.mkdir(parents=True, exist_ok=True)
    beside = {'height': height, 'width': width, 'use_stereo': stereo}
    torch.save(fill(encoder_shapes(layers)) | beside, folder / 'encoder.pth')
    torch.save(fill(decoder_shapes(layers, scales)), folder / 'depth.pth')
    if pose:
        torch.save(fill(encoder_shapes(18, images=2)), folder / 'pose_encoder.pth')
        torch.save(fill(pose_shapes()), folder / 'pose.pth')
    return folder
