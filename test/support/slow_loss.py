# SPDX-License-Identifier: Apache-2.0
"""The training objective once more, slowly: one scale, source and formula at a time.

Written from the formulas of Godard et al. (ICCV 2019) with pooled moments and matrix products at
every step, so that it shares neither code nor arithmetic with what it is compared to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from monodepth2_training.loss.config import LossConfig
from torch.nn import functional

from monodepth2_ros.geometry.depth import DepthRange


@dataclass(frozen=True, kw_only=True)
class SlowTerms:
    total: torch.Tensor
    photometric: torch.Tensor
    smoothness: torch.Tensor
    mask_regularisation: torch.Tensor
    automask: torch.Tensor


def slow_objective(
    config: LossConfig,
    depth_range: DepthRange,
    views: Any,
    prediction: Any,
    generator: torch.Generator | None = None,
) -> SlowTerms:
    """Every term of the objective; one draw of the tie noise for each size of images."""
    height, width = views.target.shape[-2:]
    photometric, smoothness, regularisation, kept = [], [], [], []
    noise: dict[torch.Size, torch.Tensor] = {}
    for scale, disparity in enumerate(prediction.disparities):
        small = functional.avg_pool2d(views.target, 2**scale)
        target = views.target if config.full_resolution else small
        factor = 1.0 if config.full_resolution else 0.5**scale
        size = target.shape[-2:]
        disparity_at_size = disparity
        if config.full_resolution:
            disparity_at_size = functional.interpolate(
                disparity, size=(height, width), mode='bilinear', align_corners=False
            )
        low, high = 1.0 / depth_range.max_depth_m, 1.0 / depth_range.min_depth_m
        depth = 1.0 / (low + (high - low) * disparity_at_size)

        if config.predictive_mask:
            masks = prediction.masks[scale]
            if config.full_resolution:
                masks = functional.interpolate(masks, size=(height, width), mode='bilinear')

        warped_errors, identity_errors = [], []
        for source in range(views.sources.shape[1]):
            image = views.sources[:, source]
            if not config.full_resolution:
                image = functional.avg_pool2d(image, 2**scale)
            pixels = slow_projection(
                depth,
                slow_scaled(views.K, factor),
                slow_scaled(views.K_sources[:, source], factor),
                prediction.T_target_to_sources[:, source],
            )
            error = slow_error(slow_sample(image, pixels), target, config)
            if config.predictive_mask:
                error = error * masks[:, source : source + 1]
            warped_errors.append(error)
            identity_errors.append(slow_error(image, target, config))

        groups = [slow_reduced(warped_errors, config)]
        if config.automasking:
            identity = slow_reduced(identity_errors, config)
            if size not in noise:
                noise[size] = 1e-5 * torch.empty_like(identity[:, 0]).normal_(generator=generator)
            groups.append(identity + noise[size][:, None])
        least, chosen = torch.cat(groups, dim=1).min(dim=1)
        photometric.append(least.mean())
        kept.append(chosen == 0)
        smoothness.append(config.smoothness / 2**scale * slow_smoothness(disparity, small))
        if config.predictive_mask:
            regularisation.append(0.2 * -torch.log(masks).mean())

    zero = torch.zeros_like(photometric[0])
    terms = [sum(term, zero) / len(kept) for term in (photometric, smoothness, regularisation)]
    return SlowTerms(
        total=terms[0] + terms[1] + terms[2],
        photometric=terms[0],
        smoothness=terms[1],
        mask_regularisation=terms[2],
        automask=kept[0],
    )


def slow_scaled(K: torch.Tensor, factor: float) -> torch.Tensor:
    """c -> (c + 0.5) s - 0.5 as a matrix."""
    offset = 0.5 * factor - 0.5
    resize = K.new_tensor([[factor, 0.0, offset], [0.0, factor, offset], [0.0, 0.0, 1.0]])
    return resize @ K


def slow_projection(
    depth: torch.Tensor, K: torch.Tensor, K_source: torch.Tensor, T: torch.Tensor
) -> torch.Tensor:
    """Pixels [B, 2, H, W] of the source that the target's pixels fall on."""
    batch, _, height, width = depth.shape
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
    pixels = torch.stack([x, y, torch.ones_like(x)]).to(depth).reshape(1, 3, -1)
    points = torch.inverse(K) @ pixels * depth.reshape(batch, 1, -1)
    points = T[:, :3, :3] @ points + T[:, :3, 3:]
    image = K_source @ points
    z = image[:, 2:]
    seen = z > 1e-7
    projected = image[:, :2] / torch.where(seen, z, torch.ones_like(z))
    outside = pixels[:, :2] + (image[:, :2] - pixels[:, :2] * z) / 1e-7
    return torch.where(seen, projected, outside).reshape(batch, 2, height, width)


def slow_sample(image: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    """Bilinear interpolation between the four pixels around, by hand."""
    batch, channels, height, width = image.shape
    x = pixels[:, 0].clamp(0, width - 1)
    y = pixels[:, 1].clamp(0, height - 1)
    left = x.detach().floor().clamp(max=width - 2)
    top = y.detach().floor().clamp(max=height - 2)
    flat = image.flatten(2)

    def pick(row: torch.Tensor, column: torch.Tensor) -> torch.Tensor:
        index = (row * width + column).long().reshape(batch, 1, -1)
        return flat.gather(2, index.expand(-1, channels, -1)).reshape(image.shape)

    right_share = (x - left)[:, None]
    low_share = (y - top)[:, None]
    above = pick(top, left) * (1 - right_share) + pick(top, left + 1) * right_share
    below = pick(top + 1, left) * (1 - right_share) + pick(top + 1, left + 1) * right_share
    return above * (1 - low_share) + below * low_share


def slow_error(image: torch.Tensor, target: torch.Tensor, config: LossConfig) -> torch.Tensor:
    """Photometric error [B, 1, H, W]."""
    l1 = (target - image).abs().mean(1, keepdim=True)
    if not config.ssim:
        return l1
    return 0.85 * slow_dissimilarity(image, target).mean(1, keepdim=True) + 0.15 * l1


def slow_dissimilarity(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """(1 - SSIM) / 2 by five pooled moments."""
    x = functional.pad(x, (1, 1, 1, 1), mode='reflect')
    y = functional.pad(y, (1, 1, 1, 1), mode='reflect')
    mean_x, mean_y = functional.avg_pool2d(x, 3, 1), functional.avg_pool2d(y, 3, 1)
    variance_x = functional.avg_pool2d(x * x, 3, 1) - mean_x * mean_x
    variance_y = functional.avg_pool2d(y * y, 3, 1) - mean_y * mean_y
    covariance = functional.avg_pool2d(x * y, 3, 1) - mean_x * mean_y
    above = (2 * mean_x * mean_y + 0.01**2) * (2 * covariance + 0.03**2)
    below = (mean_x**2 + mean_y**2 + 0.01**2) * (variance_x + variance_y + 0.03**2)
    return ((1 - above / below) / 2).clamp(0, 1)


def slow_reduced(errors: list[torch.Tensor], config: LossConfig) -> torch.Tensor:
    """Least or mean error over the sources, [B, 1, H, W]."""
    stacked = torch.cat(errors, dim=1)
    if config.minimum_reprojection:
        return stacked.min(dim=1, keepdim=True).values
    return stacked.mean(dim=1, keepdim=True)


def slow_smoothness(disparity: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    """Edge-aware smoothness of mean-normalised disparity."""
    d = disparity / (disparity.mean((2, 3), keepdim=True) + 1e-7)
    step_x = (d[..., :, :-1] - d[..., :, 1:]).abs()
    step_y = (d[..., :-1, :] - d[..., 1:, :]).abs()
    image_x = (image[..., :, :-1] - image[..., :, 1:]).abs().mean(1, keepdim=True)
    image_y = (image[..., :-1, :] - image[..., 1:, :]).abs().mean(1, keepdim=True)
    return (step_x * torch.exp(-image_x)).mean() + (step_y * torch.exp(-image_y)).mean()
