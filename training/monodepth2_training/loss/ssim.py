# SPDX-License-Identifier: Apache-2.0
"""Moments of 3x3 windows, and the structural similarity that is made of them.

With mean m, variance v and the images' difference d = x - y, similarity (Wang et al., 2004) is

    (2 m_x m_y + C1) (2 cov + C2) / ((m_x^2 + m_y^2 + C1) (v_x + v_y + C2)) = (1 - l) (1 - c),
    l = m_d^2 / (m_x^2 + m_y^2 + C1),   c = v_d / (v_x + v_y + C2).

The right side subtracts nothing large from anything large, and a variance is built from
differences of neighbours (first along rows, then down columns, by the law of total variance), so
float32 keeps its digits where the usual E[x^2] - E[x]^2 loses them. Windows at the rim see the
image mirrored at its outermost pixel centres.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn import functional

C1 = 0.01**2
"""Keeps dark windows' means comparable; for images in [0, 1]."""
C2 = 0.03**2
"""Keeps flat windows' variances comparable; for images in [0, 1]."""


class Moments(NamedTuple):
    """Mean and variance of 3x3 windows."""

    mean: torch.Tensor
    """[..., H, W]"""
    variance: torch.Tensor
    """[..., H, W], never negative."""


class Similarity(NamedTuple):
    """How alike two images are in every window, float [..., H, W] each."""

    luminance_error: torch.Tensor
    """l, in [0, 1)."""
    structure_error: torch.Tensor
    """c, in [0, 2)."""
    luminance_scale: torch.Tensor
    """1 / (m_x^2 + m_y^2 + C1)."""
    structure_scale: torch.Tensor
    """1 / (v_x + v_y + C2)."""


def mirror_rim(images: torch.Tensor) -> torch.Tensor:
    """Add a rim of one pixel, mirrored at the outermost ones; [N, C, H, W] to [.., H+2, W+2]."""
    return functional.pad(images, (1, 1, 1, 1), mode='reflect')


def fold_rim(rimmed: torch.Tensor) -> torch.Tensor:
    """Add a rim back to the pixels it mirrors, in place: the adjoint of ``mirror_rim``."""
    for dim in (-1, -2):
        size = rimmed.shape[dim]
        rimmed.select(dim, 2).add_(rimmed.select(dim, 0))
        rimmed.select(dim, size - 3).add_(rimmed.select(dim, size - 1))
    return rimmed[..., 1:-1, 1:-1]


def window_moments(rimmed: torch.Tensor) -> Moments:
    """Mean and (population) variance of every 3x3 window, [..., H+2, W+2] to [..., H, W]."""
    mean, variance = _moments_of_three(rimmed, -1)
    mean, between_rows = _moments_of_three(mean, -2)
    return Moments(mean, _sum_of_three(variance, -2) / 3.0 + between_rows)


def scatter_windows(values: torch.Tensor) -> torch.Tensor:
    """Give every pixel the sum over the windows that see it, [..., H, W] to [..., H+2, W+2]."""
    padded = functional.pad(values, (2, 2, 2, 2))
    return _sum_of_three(_sum_of_three(padded, -1), -2)


def compare(moments: Moments, target: Moments, difference: Moments) -> Similarity:
    """Similarity from the moments of two images and of their difference."""
    luminance_scale = 1.0 / (moments.mean * moments.mean + target.mean * target.mean + C1)
    structure_scale = 1.0 / (moments.variance + target.variance + C2)
    return Similarity(
        luminance_error=difference.mean * difference.mean * luminance_scale,
        structure_error=difference.variance * structure_scale,
        luminance_scale=luminance_scale,
        structure_scale=structure_scale,
    )


def ssim(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Structural similarity of images in [0, 1]; float [N, C, H, W], values in (-1, 1]."""
    x, y = mirror_rim(first), mirror_rim(second)
    alike = compare(window_moments(x), window_moments(y), window_moments(x - y))
    return (1.0 - alike.luminance_error) * (1.0 - alike.structure_error)


def _moments_of_three(values: torch.Tensor, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and variance of each element with its two neighbours; shorter by 2 along ``dim``."""
    before, centre, after = _triples(values, dim)
    down, up = before - centre, after - centre
    variance = (down * down + up * up - down * up) * (2.0 / 9.0)
    return centre + (down + up) / 3.0, variance


def _sum_of_three(values: torch.Tensor, dim: int) -> torch.Tensor:
    """Sum of each element with its two neighbours; shorter by 2 along ``dim``."""
    before, centre, after = _triples(values, dim)
    return before + centre + after


def _triples(values: torch.Tensor, dim: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The elements before, at and after each inner position along ``dim``."""
    inner = values.shape[dim] - 2
    before, centre, after = (values.narrow(dim, start, inner) for start in range(3))
    return before, centre, after
