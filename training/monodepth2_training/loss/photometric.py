# SPDX-License-Identifier: Apache-2.0
"""How unlike two images are, pixel by pixel: 0.85 SSIM + 0.15 L1 (Godard et al., eq. 2).

The derivative is written by hand: it takes three maps where automatic differentiation keeps every
intermediate one, and both directions are plain sums over neighbours, which compile well.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch.nn import functional

from monodepth2_training.loss.kernels import EAGER, Kernels
from monodepth2_training.loss.ssim import (
    Moments,
    compare,
    fold_rim,
    mirror_rim,
    scatter_windows,
    window_moments,
)

SSIM_SHARE = 0.85
"""Weight of the structural error; the rest is the weight of the absolute difference."""


class Reference(NamedTuple):
    """A target prepared for being compared with many predictions."""

    rimmed: torch.Tensor
    """[N, C, H+2, W+2], with its mirrored rim."""
    moments: Moments
    """Of its windows, [N, C, H, W]."""


def reference(target: torch.Tensor, kernels: Kernels = EAGER) -> Reference:
    """Prepare a target, float [N, C, H, W] in [0, 1], for ``photometric_error``."""
    rimmed = mirror_rim(target)
    return Reference(rimmed, kernels(window_moments)(rimmed))


def l1_error(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean over the channels of |prediction - target|; float [N, C, H, W] to [N, H, W]."""
    return (prediction - target).abs().mean(dim=1)


def photometric_error(
    prediction: torch.Tensor, target: Reference, kernels: Kernels = EAGER
) -> torch.Tensor:
    """0.85 (1 - SSIM) / 2 + 0.15 |prediction - target|, each averaged over the channels.

    Args:
        prediction: float [N, C, H, W] in [0, 1]; gradients flow to it alone.
        target: what to compare it with.
        kernels: how to run the inner loops.

    Returns:
        float [N, H, W] in [0, 1].
    """
    error: torch.Tensor = _PhotometricError.apply(prediction, target, kernels)
    return error


class _PhotometricError(torch.autograd.Function):
    """``photometric_error`` with its derivative by the prediction."""

    @staticmethod
    def forward(
        ctx: Any, prediction: torch.Tensor, target: Reference, kernels: Kernels
    ) -> torch.Tensor:
        """Compute the error and what its derivative needs."""
        rimmed = mirror_rim(prediction)
        error, *slopes = kernels(error_and_slopes)(rimmed, *_flat(target))
        ctx.kernels = kernels
        ctx.save_for_backward(rimmed, target.rimmed, *slopes)
        return error

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        """Multiply a gradient by the derivative."""
        by_rimmed = ctx.kernels(apply_slopes)(gradient, *ctx.saved_tensors)
        return fold_rim(by_rimmed), None, None


def _flat(target: Reference) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return target.rimmed, target.moments.mean, target.moments.variance


def error_and_slopes(
    prediction: torch.Tensor,
    target: torch.Tensor,
    target_mean: torch.Tensor,
    target_variance: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """The error, and the three factors of its derivative that belong to windows.

    A pixel x adds 1/9 to its window's mean and 2/9 (x - mean) to the variance, so the derivative
    is ``constant + by_value * x + by_difference * (x - y)``, summed over the windows that see x.

    Args:
        prediction: float [N, C, H+2, W+2] with its rim.
        target: likewise.
        target_mean: of the target's windows, float [N, C, H, W].
        target_variance: likewise.

    Returns:
        error [N, H, W], then constant, by_value and by_difference [N, C, H, W].
    """
    channels = prediction.shape[1]
    difference = prediction - target
    moments, of_difference = window_moments(prediction), window_moments(difference)
    alike = compare(moments, Moments(target_mean, target_variance), of_difference)
    luminance, structure = 1.0 - alike.luminance_error, 1.0 - alike.structure_error
    absolute = difference[..., 1:-1, 1:-1].abs()
    error = 0.5 * SSIM_SHARE * (1.0 - luminance * structure) + (1.0 - SSIM_SHARE) * absolute
    weight = SSIM_SHARE / (9.0 * channels)
    by_difference = weight * luminance * alike.structure_scale
    by_value = -by_difference * alike.structure_error
    by_mean = weight * structure * alike.luminance_scale
    constant = by_mean * (of_difference.mean - alike.luminance_error * moments.mean)
    constant = constant - by_value * moments.mean - by_difference * of_difference.mean
    return error.mean(dim=1), constant, by_value, by_difference


def apply_slopes(
    gradient: torch.Tensor,
    prediction: torch.Tensor,
    target: torch.Tensor,
    constant: torch.Tensor,
    by_value: torch.Tensor,
    by_difference: torch.Tensor,
) -> torch.Tensor:
    """Turn a gradient by the error, [N, H, W], into one by the prediction, [N, C, H+2, W+2]."""
    gradient = gradient.unsqueeze(1)
    difference = prediction - target
    share = functional.pad(gradient, (1, 1, 1, 1)) * ((1.0 - SSIM_SHARE) / prediction.shape[1])
    return (
        scatter_windows(constant * gradient)
        + prediction * scatter_windows(by_value * gradient)
        + difference * scatter_windows(by_difference * gradient)
        + share * difference.sign()
    )
