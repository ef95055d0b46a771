# SPDX-License-Identifier: Apache-2.0
"""Batches for the objective: random ones, and a street rendered with its true depth and motion."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import torch
from monodepth2_training.data.augmentation import Views
from monodepth2_training.model.depth_pose import Prediction
from monodepth2_training.world.drive import Drive, DriveSettings

from monodepth2_ros.geometry.depth import DepthRange

SCALES = 4


def random_views(
    *, batch: int = 2, sources: int = 2, height: int = 32, width: int = 64, seed: int = 0
) -> Views:
    """Noise in float64, with another camera for each source."""
    generator = torch.Generator().manual_seed(seed)

    def rand(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    K = torch.tensor(
        [
            [0.58 * width, 0.0, 0.5 * width - 0.5],
            [0.0, 1.92 * height, 0.5 * height - 0.5],
            [0, 0, 1],
        ],
        dtype=torch.float64,
    )
    zoom = torch.ones(batch, sources, 3, 3, dtype=torch.float64)
    zoom[..., :2, :] += 0.05 * (rand(batch, sources, 2, 1) - 0.5)
    target, others = rand(batch, 3, height, width), rand(batch, sources, 3, height, width)
    return Views(
        target=target,
        sources=others,
        target_input=target,
        sources_input=others,
        K=K.expand(batch, 3, 3),
        K_sources=K * zoom,
        T_target_to_cameras=torch.eye(4, dtype=torch.float64).expand(batch, sources, 4, 4),
        travelled_units=0.1 + rand(batch, sources),
    )


def random_prediction(views: Views, *, seed: int = 0) -> Prediction:
    """Disparities, motions with rotation, and masks, in float64; leaves of a graph."""
    generator = torch.Generator().manual_seed(seed)
    batch, sources, _, height, width = views.sources.shape

    def rand(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    def maps(channels: int, low: float, high: float) -> tuple[torch.Tensor, ...]:
        return tuple(
            (low + (high - low) * rand(batch, channels, height >> s, width >> s)).requires_grad_()
            for s in range(SCALES)
        )

    twist = 0.05 * (rand(batch, sources, 4, 4) - 0.5)
    twist[..., :3, :3] = twist[..., :3, :3] - twist[..., :3, :3].transpose(-1, -2)
    twist[..., 3, :] = 0.0
    return Prediction(
        disparities=maps(1, 0.02, 0.98),
        T_target_to_sources=torch.linalg.matrix_exp(twist).requires_grad_(),
        masks=maps(sources, 0.05, 0.95),
    )


def leaves(prediction: Prediction) -> list[torch.Tensor]:
    """What the objective has gradients for."""
    return [*prediction.disparities, prediction.T_target_to_sources, *(prediction.masks or ())]


def in_type(views: Views, prediction: Prediction, dtype: torch.dtype) -> tuple[Views, Prediction]:
    """The same batch in another type, with leaves of its own."""
    fields = {name: value.to(dtype) for name, value in vars(views).items()}

    def leaf(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.detach().to(dtype).requires_grad_()

    return replace(views, **fields), Prediction(
        disparities=tuple(leaf(disparity) for disparity in prediction.disparities),
        T_target_to_sources=leaf(prediction.T_target_to_sources),
        masks=None if prediction.masks is None else tuple(leaf(m) for m in prediction.masks),
    )


@functools.lru_cache
def street(depth_range: DepthRange) -> tuple[Views, Prediction]:
    """A frame of a generated street between its neighbours, with true depth and motion."""
    settings = DriveSettings(
        frames=3,
        width=320,
        height=96,
        seed=3,
        moving_cars=False,
        standstill=False,
        exposure_changes=False,
        noise=False,
    )
    views, depth_m, T_target_to_sources = between_neighbours(
        Drive(settings, torch.device('cpu')), 1
    )
    return views, Prediction(
        disparities=(depth_to_disparity(depth_m, depth_range),),
        T_target_to_sources=T_target_to_sources,
        masks=None,
    )


def between_neighbours(drive: Drive, number: int) -> tuple[Views, torch.Tensor, torch.Tensor]:
    """A frame between its neighbours, its true depth [1, 1, H, W], the true motion to them."""
    previous, target, following = (drive.frame(n) for n in (number - 1, number, number + 1))
    images = [
        torch.tensor(frame.rgb, dtype=torch.float32).permute(2, 0, 1)[None] / 255.0
        for frame in (target, previous, following)
    ]
    motions = [
        np.linalg.inv(source.T_camera_to_odom) @ target.T_camera_to_odom
        for source in (previous, following)
    ]
    K = torch.tensor(drive.camera.K, dtype=torch.float32)[None]
    sources = torch.stack(images[1:], dim=1)
    views = Views(
        target=images[0],
        sources=sources,
        target_input=images[0],
        sources_input=sources,
        K=K,
        K_sources=K[:, None].expand(1, 2, 3, 3),
        T_target_to_cameras=torch.eye(4).expand(1, 2, 4, 4),
        travelled_units=torch.tensor(
            [[float(np.linalg.norm(T[:3, 3])) for T in motions]], dtype=torch.float32
        ),
    )
    depth_m = torch.tensor(target.depth_m)[None, None]
    return views, depth_m, torch.tensor(np.stack(motions), dtype=torch.float32)[None]


def depth_to_disparity(depth_m: torch.Tensor, depth_range: DepthRange) -> torch.Tensor:
    """The inverse of ``disparity_to_depth``, within [0, 1]."""
    low, high = 1.0 / depth_range.max_depth_m, 1.0 / depth_range.min_depth_m
    return ((1.0 / depth_m - low) / (high - low)).clamp(0.0, 1.0)
