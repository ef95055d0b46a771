# SPDX-License-Identifier: Apache-2.0
"""From one error map a source to one a pixel: minimum or mean, auto-mask, predictive mask."""

from __future__ import annotations

import torch

TIE_NOISE = 1e-5
"""Standard deviation of the noise that decides between equal errors of warped and unwarped."""
MASK_WEIGHT = 0.2
"""Weight of the predictive mask's regularisation (Zhou et al., CVPR 2017)."""


def reduce_sources(errors: torch.Tensor, *, minimum: bool) -> torch.Tensor:
    """Take each pixel's least error over the sources (Godard et al., eq. 4), or the mean.

    Args:
        errors: float [B, S, H, W], one map a source.
        minimum: the least, so that what is hidden in one source is judged by the other.

    Returns:
        float [B, H, W].
    """
    return errors.amin(dim=1) if minimum else errors.mean(dim=1)


def tie_noise(like: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
    """Draw noise that breaks ties between errors; normal, of the shape and type of ``like``."""
    noise = torch.empty_like(like)
    return noise.normal_(0.0, TIE_NOISE, generator=generator)


def automask(
    reprojection: torch.Tensor, identity: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Keep the pixels that the warp explains better than no motion does (Godard et al., eq. 5).

    Args:
        reprojection: errors of the warped sources, reduced, float [B, H, W].
        identity: errors of the sources as they are, reduced, float [B, H, W]; no gradient.

    Returns:
        the smaller error, float [B, H, W], and where that is the reprojection, bool [B, H, W].
    """
    kept = reprojection < identity
    return torch.where(kept, reprojection, identity), kept


def mask_regularisation(mask: torch.Tensor) -> torch.Tensor:
    """0.2 times the binary cross entropy between a predictive mask in (0, 1) and all ones."""
    return MASK_WEIGHT * torch.nn.functional.binary_cross_entropy(mask, torch.ones_like(mask))
