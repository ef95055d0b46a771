# SPDX-License-Identifier: Apache-2.0
"""Changes of a picture's colours: brightness, contrast, saturation and hue.

The same arithmetic as torchvision's on float images, with one amount for each picture of a batch.
Images are float32 RGB [..., 3, H, W] in [0, 1] and stay in that range; an amount is broadcastable
to the image.
"""

from __future__ import annotations

import torch
from torch import Tensor

_RED, _GREEN, _BLUE = 0.299, 0.587, 0.114


def luminance(images: Tensor) -> Tensor:
    """Weighted mean of red, green and blue (BT.601): [..., 1, H, W]."""
    red, green, blue = _channels(images)
    return (red * _RED).add_(green, alpha=_GREEN).add_(blue, alpha=_BLUE)


def scale_brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Multiply by a factor of 0 or more."""
    return (images * factor).clamp_(0.0, 1.0)


def scale_contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Scale the distance from the picture's mean luminance by a factor of 0 or more."""
    mean = luminance(images).mean(dim=(-3, -2, -1), keepdim=True)
    return torch.lerp(mean, images, factor).clamp_(0.0, 1.0)


def scale_saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Scale the distance from each pixel's luminance by a factor of 0 or more; gray stays."""
    return torch.lerp(luminance(images), images, factor).clamp_(0.0, 1.0)


def turn_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue of HSV by a share of the colour circle, -0.5 to 0.5; gray stays.

    Saturation and value, that is a pixel's largest and smallest channel, are kept. Each channel
    follows from the hue in closed form, without a case for each sixth of the circle.
    """
    highest, lowest = images.amax(-3, keepdim=True), images.amin(-3, keepdim=True)
    chroma = highest - lowest
    hue = _hue(images, highest, chroma).add_(6.0 * turns)
    hue.sub_((hue / 6.0).floor_(), alpha=6.0)
    red = (hue - 3.0).abs_().sub_(1.0)
    green = (hue - 2.0).abs_().neg_().add_(2.0)
    blue = (hue - 4.0).abs_().neg_().add_(2.0)
    shares = torch.cat([red, green, blue], dim=-3).clamp_(0.0, 1.0)
    return shares.mul_(chroma).add_(lowest)


def _channels(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Red, green and blue, each [..., 1, H, W], of [..., 3, H, W]."""
    return images[..., 0:1, :, :], images[..., 1:2, :, :], images[..., 2:3, :, :]


def _hue(images: Tensor, highest: Tensor, chroma: Tensor) -> Tensor:
    """Hue in sixths of the circle, -1 to 5, of [..., 3, H, W]: [..., 1, H, W]; 0 for gray."""
    red, green, blue = _channels(images)
    scale = chroma.clamp_min(torch.finfo(chroma.dtype).tiny).reciprocal_()
    from_blue = (red - green).mul_(scale).add_(4.0)
    from_green = (blue - red).mul_(scale).add_(2.0)
    from_red = (green - blue).mul_(scale)
    return torch.where(
        highest == red, from_red, torch.where(highest == green, from_green, from_blue)
    )
