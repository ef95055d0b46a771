# SPDX-License-Identifier: Apache-2.0
"""How unlike two images are, pixel by pixel: 0.85 SSIM + 0.15 L1 (Godard et al., eq. 2).

The derivative is written by hand: it needs a few maps where automatic differentiation keeps every
intermediate one, and its window sums run along rows and columns like the forward ones.
"""

from __future__ import annotations

from typing import Any

import torch

from monodepth2_training.loss.ssim import C1, C2, Moments, scatter_windows, window_moments

SSIM_SHARE = 0.85
"""Weight of the structural error; the rest is the weight of the absolute difference."""


def l1_error(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean over the channels of |prediction - target|; float [N, C, H, W] to [N, H, W]."""
    return (prediction - target).abs().mean(dim=1)


def photometric_error(
    prediction: torch.Tensor, target: torch.Tensor, target_moments: Moments | None = None
) -> torch.Tensor:
    """0.85 (1 - SSIM) / 2 + 0.15 |prediction - target|, each averaged over the channels.

    Args:
        prediction: float [N, C, H, W] in [0, 1]; gradients flow to it alone.
        target: float [N, C, H, W] in [0, 1].
        target_moments: ``window_moments(target)`` where they are known already.

    Returns:
        float [N, H, W] in [0, 1].
    """
    moments = window_moments(target) if target_moments is None else target_moments
    error: torch.Tensor = _PhotometricError.apply(prediction, target, *moments)
    return error


class _PhotometricError(torch.autograd.Function):
    """``photometric_error`` with its derivative by the prediction."""

    @staticmethod
    def forward(
        ctx: Any, prediction: torch.Tensor, target: torch.Tensor, *moments: torch.Tensor
    ) -> torch.Tensor:
        """Compute the error and keep the images."""
        ctx.save_for_backward(prediction, target, *moments)
        return error_map(prediction, target, Moments(*moments))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        """Compute the derivative from the images."""
        prediction, target, *moments = ctx.saved_tensors
        return error_gradient(gradient, prediction, target, Moments(*moments)), None, None, None


class _Similarity:
    """The two factors of similarity in every window, and what their derivatives share."""

    def __init__(
        self, prediction: torch.Tensor, difference: torch.Tensor, target: Moments
    ) -> None:
        self.mean, variance = window_moments(prediction)
        self.mean_difference, variance_difference = window_moments(difference)
        self.mean_scale = 1.0 / (self.mean * self.mean + target.mean * target.mean + C1)
        self.variance_scale = 1.0 / (variance + target.variance + C2)
        self.mean_error = self.mean_difference * self.mean_difference * self.mean_scale
        self.variance_error = variance_difference * self.variance_scale


def error_map(
    prediction: torch.Tensor, target: torch.Tensor, target_moments: Moments
) -> torch.Tensor:
    """The photometric error, without derivative; see ``photometric_error``."""
    difference = prediction - target
    windows = _Similarity(prediction, difference, target_moments)
    ssim = (1.0 - windows.mean_error) * (1.0 - windows.variance_error)
    error = SSIM_SHARE * 0.5 * (1.0 - ssim) + (1.0 - SSIM_SHARE) * difference.abs()
    return error.mean(dim=1)


def error_gradient(
    gradient: torch.Tensor,
    prediction: torch.Tensor,
    target: torch.Tensor,
    target_moments: Moments,
) -> torch.Tensor:
    """Multiply a gradient by the derivative of the photometric error by the prediction.

    A pixel x adds 1/9 to its window's mean and 2/9 (x - mean) to its variance, so three maps are
    scattered over the windows: what does not depend on x, the factor of x, and that of x - y.

    Args:
        gradient: by the error, float [N, H, W].
        prediction: as in ``photometric_error``.
        target: as in ``photometric_error``.
        target_moments: of the target.

    Returns:
        gradient by the prediction, float [N, C, H, W].
    """
    share = gradient.unsqueeze(1) / prediction.shape[1]
    difference = prediction - target
    windows = _Similarity(prediction, difference, target_moments)
    by_window = share * (SSIM_SHARE / 9.0)
    by_difference = by_window * (1.0 - windows.mean_error) * windows.variance_scale
    by_value = -by_difference * windows.variance_error
    by_mean = (1.0 - windows.variance_error) * windows.mean_scale * by_window
    constant = (
        by_mean * (windows.mean_difference - windows.mean_error * windows.mean)
        - by_value * windows.mean
        - by_difference * windows.mean_difference
    )
    return (
        scatter_windows(constant)
        + prediction * scatter_windows(by_value)
        + difference * scatter_windows(by_difference)
        + share * (1.0 - SSIM_SHARE) * difference.sign()
    )
