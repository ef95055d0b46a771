# SPDX-License-Identifier: Apache-2.0
"""Structural similarity of two images in windows of 3x3 pixels, as an error between 0 and 1.

With mean m, variance v and the images' difference d = x - y, similarity (Wang et al., 2004) is

    (2 m_x m_y + C1) (2 cov + C2) / ((m_x^2 + m_y^2 + C1) (v_x + v_y + C2)) = (1 - l) (1 - c),
    l = (m_x - m_y)^2 / (m_x^2 + m_y^2 + C1),   c = v_d / (v_x + v_y + C2).

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
    """Mean and variance of the 3x3 window around every pixel."""

    mean: torch.Tensor
    """[..., H, W]"""
    variance: torch.Tensor
    """[..., H, W], never negative."""


def window_moments(image: torch.Tensor) -> Moments:
    """Mean and (population) variance of every 3x3 window, float [N, C, H, W] each."""
    padded = functional.pad(image, (1, 1, 1, 1), mode='reflect')
    mean, variance = _moments_of_three(padded, -1)
    mean, between_rows = _moments_of_three(mean, -2)
    return Moments(mean, sum_of_three(variance, -2) / 3.0 + between_rows)


def _moments_of_three(values: torch.Tensor, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and variance of each element with its two neighbours; shorter by 2 along ``dim``."""
    before, centre, after = _triples(values, dim)
    down, up = before - centre, after - centre
    variance = (down * down + up * up - down * up) * (2.0 / 9.0)
    return centre + (down + up) / 3.0, variance


def _triples(values: torch.Tensor, dim: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The elements before, at and after each inner position along ``dim``."""
    inner = values.shape[dim] - 2
    before, centre, after = (values.narrow(dim, start, inner) for start in range(3))
    return before, centre, after


def sum_of_three(values: torch.Tensor, dim: int) -> torch.Tensor:
    """Sum of each element with its two neighbours; shorter by 2 along ``dim``."""
    before, centre, after = _triples(values, dim)
    return before + centre + after


def scatter_windows(values: torch.Tensor) -> torch.Tensor:
    """Give every pixel the sum over the 3x3 windows that see it: the adjoint of the window sum.

    A window at the rim sees the pixel next to the rim twice, once mirrored.

    Args:
        values: one number a window, float [N, C, H, W].
    """
    for dim in (-1, -2):
        size = values.shape[dim]
        pad = (1, 1) if dim == -1 else (0, 0, 1, 1)
        scattered = sum_of_three(functional.pad(values, pad), dim)
        scattered.select(dim, 1).add_(values.select(dim, 0))
        scattered.select(dim, size - 2).add_(values.select(dim, size - 1))
        values = scattered
    return values
