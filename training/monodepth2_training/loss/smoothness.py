# SPDX-License-Identifier: Apache-2.0
"""How rough disparity is where the image is not (Godard et al., eq. 3)."""

from __future__ import annotations

import torch

_NO_DIVISION_BY_ZERO = 1e-7


def edge_aware_smoothness(disparity: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    """Mean |d/dx d*| exp(-|d/dx I|) + mean |d/dy d*| exp(-|d/dy I|), d* = disparity / its mean.

    The division by each item's mean keeps the term from rewarding disparities that shrink.

    Args:
        disparity: float [B, 1, H, W], positive.
        image: float [B, C, H, W] in [0, 1], of the disparity's size.

    Returns:
        scalar.
    """
    mean = disparity.mean(dim=(2, 3), keepdim=True)
    normalised = disparity / (mean + _NO_DIVISION_BY_ZERO)
    return _weighted_steps(normalised, image, 3) + _weighted_steps(normalised, image, 2)


def _weighted_steps(disparity: torch.Tensor, image: torch.Tensor, dim: int) -> torch.Tensor:
    """Mean step of disparity along ``dim``, each step weighted by exp(-the image's step)."""
    image_step = image.diff(dim=dim).abs().mean(dim=1, keepdim=True)
    return (disparity.diff(dim=dim).abs() * torch.exp(-image_step)).mean()
