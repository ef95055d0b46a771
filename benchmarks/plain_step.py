# SPDX-License-Identifier: Apache-2.0
"""The objective as one would first write it from the paper: what ``train_step`` compares with.

One scale, one source and one operation at a time, in the order of the formulas, without compiling
anything; the errors of unwarped sources are computed anew at each scale.
"""

from __future__ import annotations

import torch
from monodepth2_training.data.augmentation import Views
from monodepth2_training.model.depth_pose import Prediction
from torch.nn import functional

from monodepth2_ros.geometry.depth import DepthRange, disparity_to_depth

_SMOOTHNESS = 1e-3


def plain_loss(views: Views, prediction: Prediction, depth_range: DepthRange) -> torch.Tensor:
    """The objective with all its default parts; scalar."""
    target = views.target
    total = target.new_zeros(())
    for scale, disparity in enumerate(prediction.disparities):
        full = functional.interpolate(
            disparity, size=target.shape[-2:], mode='bilinear', align_corners=False
        )
        depth_m = disparity_to_depth(full, depth_range)
        errors = []
        for index in range(views.sources.shape[1]):
            warped = functional.grid_sample(
                views.sources[:, index],
                _positions(
                    depth_m,
                    views.K,
                    views.K_sources[:, index],
                    prediction.T_target_to_sources[:, index],
                ),
                padding_mode='border',
                align_corners=True,
            )
            errors.append(_photometric(warped, target))
        unwarped = [
            _photometric(views.sources[:, index], target)
            for index in range(views.sources.shape[1])
        ]
        identity = torch.cat(unwarped, dim=1)
        identity = identity + torch.randn_like(identity) * 1e-5
        least = torch.cat([identity, *errors], dim=1).min(dim=1).values
        image = target if scale == 0 else functional.avg_pool2d(target, 2**scale)
        total = total + least.mean() + _SMOOTHNESS / 2**scale * _smoothness(disparity, image)
    return total / len(prediction.disparities)


def _positions(
    depth_m: torch.Tensor, K: torch.Tensor, K_source: torch.Tensor, T: torch.Tensor
) -> torch.Tensor:
    """Where the target's pixels lie in a source, [B, H, W, 2] as ``grid_sample`` takes it."""
    batch, _, height, width = depth_m.shape
    y, x = torch.meshgrid(
        torch.arange(height, device=depth_m.device, dtype=depth_m.dtype),
        torch.arange(width, device=depth_m.device, dtype=depth_m.dtype),
        indexing='ij',
    )
    pixels = torch.stack([x.flatten(), y.flatten(), torch.ones_like(x.flatten())])
    points = depth_m.view(batch, 1, -1) * (torch.inverse(K) @ pixels)
    points = torch.cat([points, torch.ones_like(points[:, :1])], dim=1)
    image = (K_source @ T[:, :3]) @ points
    xy = (image[:, :2] / (image[:, 2:] + 1e-7)).view(batch, 2, height, width)
    size = xy.new_tensor([width - 1, height - 1])
    return (xy.permute(0, 2, 3, 1) / size - 0.5) * 2.0


def _photometric(image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """0.85 (1 - SSIM) / 2 + 0.15 L1, [B, 1, H, W]."""
    l1 = (target - image).abs().mean(1, keepdim=True)
    return 0.85 * _dissimilarity(image, target).mean(1, keepdim=True) + 0.15 * l1


def _dissimilarity(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """(1 - SSIM) / 2 from five pooled maps."""
    x = functional.pad(x, (1, 1, 1, 1), mode='reflect')
    y = functional.pad(y, (1, 1, 1, 1), mode='reflect')
    mean_x, mean_y = functional.avg_pool2d(x, 3, 1), functional.avg_pool2d(y, 3, 1)
    variance_x = functional.avg_pool2d(x**2, 3, 1) - mean_x**2
    variance_y = functional.avg_pool2d(y**2, 3, 1) - mean_y**2
    covariance = functional.avg_pool2d(x * y, 3, 1) - mean_x * mean_y
    above = (2 * mean_x * mean_y + 0.01**2) * (2 * covariance + 0.03**2)
    below = (mean_x**2 + mean_y**2 + 0.01**2) * (variance_x + variance_y + 0.03**2)
    return torch.clamp((1 - above / below) / 2, 0, 1)


def _smoothness(disparity: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    """Edge-aware smoothness of mean-normalised disparity."""
    d = disparity / (disparity.mean(2, True).mean(3, True) + 1e-7)
    step_x = (d[:, :, :, :-1] - d[:, :, :, 1:]).abs()
    step_y = (d[:, :, :-1, :] - d[:, :, 1:, :]).abs()
    image_x = (image[:, :, :, :-1] - image[:, :, :, 1:]).abs().mean(1, keepdim=True)
    image_y = (image[:, :, :-1, :] - image[:, :, 1:, :]).abs().mean(1, keepdim=True)
    return (step_x * torch.exp(-image_x)).mean() + (step_y * torch.exp(-image_y)).mean()
