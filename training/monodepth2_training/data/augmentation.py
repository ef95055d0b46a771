# SPDX-License-Identifier: Apache-2.0
"""Flip and colour jitter for whole batches, on whatever device they are.

One draw per item, shared by its frames. A flip mirrors the camera along with the picture; the
colour jitter reaches the networks' inputs alone, never the images that the loss compares.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from monodepth2_ros.errors import ConfigError
from monodepth2_training.data.colour import (
    scale_brightness,
    scale_contrast,
    scale_saturation,
    turn_hue,
)
from monodepth2_training.data.dataset import TripletBatch


@dataclass(frozen=True, kw_only=True)
class AugmentationSettings:
    """How training pictures are varied (section 4 of the paper)."""

    flip: float = 0.5
    """Probability that an item is mirrored left to right."""
    jitter: float = 0.5
    """Probability that an item's colours are changed."""
    brightness: float = 0.2
    """Factor drawn from 1 - brightness to 1 + brightness."""
    contrast: float = 0.2
    """Factor drawn from 1 - contrast to 1 + contrast."""
    saturation: float = 0.2
    """Factor drawn from 1 - saturation to 1 + saturation."""
    hue: float = 0.1
    """Turn of the colour circle drawn from -hue to hue; 1 is a whole turn."""

    def __post_init__(self) -> None:
        """Refuse probabilities outside 0 to 1 and changes that could turn colours negative."""
        for name, highest in _HIGHEST.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and 0.0 <= value <= highest):
                raise ConfigError(f'{name} {value} is out of range: expected 0 to {highest:g}')


_HIGHEST = {
    'flip': 1.0,
    'jitter': 1.0,
    'brightness': 1.0,
    'contrast': 1.0,
    'saturation': 1.0,
    'hue': 0.5,
}


@dataclass(frozen=True, kw_only=True)
class Views:
    """What networks and loss see of a batch; images are float32 RGB in [0, 1]."""

    target: Tensor
    """[B, 3, H, W] for the loss: flipped, never jittered."""
    sources: Tensor
    """[B, S, 3, H, W] for the loss: flipped, never jittered."""
    target_input: Tensor
    """[B, 3, H, W] for the networks: jittered, too."""
    sources_input: Tensor
    """[B, S, 3, H, W] for the networks: jittered as the item's target."""
    K: Tensor
    """float32 [B, 3, 3], intrinsics of the (flipped) target in pixels."""
    K_sources: Tensor
    """float32 [B, S, 3, 3], intrinsics of the (flipped) sources in pixels."""
    T_target_to_cameras: Tensor
    """float32 [B, S, 4, 4] between the (flipped) cameras, translation in network units."""
    travelled_units: Tensor
    """float32 [B, S], as in ``TripletBatch``."""


def augment(
    batch: TripletBatch, settings: AugmentationSettings, generator: torch.Generator | None
) -> Views:
    """Turn a batch into what networks and loss see.

    Args:
        batch: uint8 images and their cameras, on any device.
        settings: what to vary, and how much.
        generator: where all randomness comes from; None varies nothing (validation). On the CPU
            it gives the same pictures for a batch on any device and never waits for a GPU.

    Returns:
        views on the batch's device.
    """
    frames = torch.cat([batch.target[:, None], batch.sources], dim=1)
    if generator is None:
        frames = _to_float(frames)
        return _views(batch, frames, frames)
    # The same number of draws whatever the settings, so that switches compare like with like.
    draws = torch.rand(6, len(frames), generator=generator, device=generator.device)
    order = torch.randperm(len(_OPERATIONS), generator=generator, device=generator.device)
    flips = (draws[0] < settings.flip).to(frames.device, non_blocking=True)
    frames = _to_float(torch.where(_per_item(flips), frames.flip(-1), frames))
    inputs = _jitter(frames, settings, draws[1:], order.tolist())
    return _views(_flip_cameras(batch, flips), frames, inputs)


def _jitter(
    frames: Tensor, settings: AugmentationSettings, draws: Tensor, order: list[int]
) -> Tensor:
    """Change the colours of some items [B, F, 3, H, W]; only those are computed."""
    chosen = (draws[0] < settings.jitter).nonzero()[:, 0]
    if len(chosen) == 0:
        return frames
    amounts = (2.0 * draws[1:, chosen] - 1.0).to(frames.device, non_blocking=True)
    items = chosen.to(frames.device, non_blocking=True)
    images = frames[items]
    for number in order:
        name, neutral, operation = _OPERATIONS[number]
        reach = getattr(settings, name)
        if reach > 0.0:
            images = operation(images, _per_item(neutral + reach * amounts[number]))
    return frames.index_copy(0, items, images)


_OPERATIONS = (
    ('brightness', 1.0, scale_brightness),
    ('contrast', 1.0, scale_contrast),
    ('saturation', 1.0, scale_saturation),
    ('hue', 0.0, turn_hue),
)


def _flip_cameras(batch: TripletBatch, flips: Tensor) -> TripletBatch:
    """Mirror the cameras of the flipped items along with their pictures."""
    width, flipped = batch.target.shape[-1], flips[:, None, None]
    K, T = batch.K, batch.T_target_to_cameras
    return batch._replace(
        K=torch.where(flipped, _mirrored_K(K, width), K),
        K_sources=torch.where(
            flipped[:, None], _mirrored_K(batch.K_sources, width), batch.K_sources
        ),
        T_target_to_cameras=torch.where(flipped[:, None], _mirrored_T(T), T),
    )


def _mirrored_K(K: Tensor, width: int) -> Tensor:
    """Intrinsics [..., 3, 3] of the mirrored image: cx becomes W - 1 - cx."""
    mirrored = K.clone()
    mirrored[..., 0, 2] = width - 1 - K[..., 0, 2]
    return mirrored


def _mirrored_T(T: Tensor) -> Tensor:
    """The transform [..., 4, 4] between mirrored cameras: F T F with F = diag(-1, 1, 1, 1)."""
    mirrored = T.clone()
    mirrored[..., 0, 1:].neg_()
    mirrored[..., 1:, 0].neg_()
    return mirrored


def _per_item(values: Tensor) -> Tensor:
    """[B] as [B, 1, 1, 1, 1], to go with frames."""
    return values[:, None, None, None, None]


def _to_float(frames: Tensor) -> Tensor:
    """uint8 0 to 255 as float32 0 to 1, as the engine at run time."""
    return frames.float().div_(255.0)


def _views(batch: TripletBatch, frames: Tensor, inputs: Tensor) -> Views:
    """Split frames [B, 1 + S, 3, H, W] into target and sources."""
    return Views(
        target=frames[:, 0],
        sources=frames[:, 1:],
        target_input=inputs[:, 0],
        sources_input=inputs[:, 1:],
        K=batch.K,
        K_sources=batch.K_sources,
        T_target_to_cameras=batch.T_target_to_cameras,
        travelled_units=batch.travelled_units,
    )
