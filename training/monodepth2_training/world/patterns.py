# SPDX-License-Identifier: Apache-2.0
"""Sharp patterns, averaged over the pixel so that they fade with distance, never flicker."""

from __future__ import annotations

from functools import lru_cache

import torch

Number = torch.Tensor | float


def band(value: torch.Tensor, low: Number, high: Number, extent: torch.Tensor) -> torch.Tensor:
    """Share of the pixel, ``extent`` long there, in which ``low`` < value < ``high``."""
    width = extent.clamp(min=1e-4)
    first = (value - 0.5 * width).clamp(min=low)
    last = (value + 0.5 * width).clamp(max=high)
    return ((last - first) / width).clamp_(0.0, 1.0)


def stripes(
    value: torch.Tensor, period: Number, low: Number, high: Number, extent: torch.Tensor
) -> torch.Tensor:
    """Share of the pixel in which ``value`` modulo ``period`` is in ``low`` to ``high``."""
    width = extent.clamp(min=1e-4)
    last = _filled(value + 0.5 * width, period, low, high)
    first = _filled(value - 0.5 * width, period, low, high)
    return ((last - first) / width).clamp_(0.0, 1.0)


def disc(
    u: torch.Tensor,
    v: torch.Tensor,
    centre_u: Number,
    centre_v: Number,
    radius: float,
    extent: torch.Tensor,
) -> torch.Tensor:
    """Share of the pixel inside a disc, roughly."""
    distance = torch.hypot(u - centre_u, v - centre_v)
    return ((radius - distance) / extent.clamp(min=1e-3) + 0.5).clamp_(0.0, 1.0)


def hashed(a: torch.Tensor, b: torch.Tensor, seed: torch.Tensor) -> torch.Tensor:
    """A number in [0, 1) for each whole-numbered cell (float32) of each seed: float32[N]."""
    mixed = (
        a.to(torch.int64) * 73856093
        ^ b.to(torch.int64) * 19349663
        ^ seed.to(torch.int64) * 83492791
    )
    mixed = (mixed ^ (mixed >> 13)) * 1274126177
    return ((mixed ^ (mixed >> 16)) & 1023).to(torch.float32) / 1024.0


def mix(a: torch.Tensor, b: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Blend colours float32[3, N] (or [3, 1]) by ``share`` float32[N] of b."""
    return a + (b - a) * share


def rgb(red: float, green: float, blue: float, like: torch.Tensor) -> torch.Tensor:
    """A constant linear colour, float32[3, 1], on the device of ``like``; not to be changed."""
    return _colour(red, green, blue, like.device)


@lru_cache(maxsize=1024)
def _colour(red: float, green: float, blue: float, device: torch.device) -> torch.Tensor:
    """Kept, since a GPU would be waited for each time that it is given a colour."""
    return torch.tensor([[red], [green], [blue]], dtype=torch.float32, device=device)


def _filled(value: torch.Tensor, period: Number, low: Number, high: Number) -> torch.Tensor:
    """Length of stripe between 0 and ``value``."""
    whole = torch.floor(value / period)
    rest = value - whole * period
    inside = (rest - low).clamp(min=0.0).clamp(max=high - low)
    return whole * (high - low) + inside
