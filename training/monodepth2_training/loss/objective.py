# SPDX-License-Identifier: Apache-2.0
"""What training minimises, with a switch for each part of the method (Godard et al., table 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from monodepth2_ros.errors import ConfigError
from monodepth2_ros.geometry.depth import DepthRange, disparity_to_depth
from monodepth2_training.loss.kernels import Kernels
from monodepth2_training.loss.photometric import (
    Reference,
    l1_error,
    photometric_error,
    reference,
)
from monodepth2_training.loss.reduction import (
    automask,
    mask_regularisation,
    reduce_sources,
    tie_noise,
)
from monodepth2_training.loss.smoothness import edge_aware_smoothness
from monodepth2_training.loss.velocity import velocity_error
from monodepth2_training.model.view_synthesis import (
    Rays,
    cast_rays,
    project,
    sample,
    sampling_positions,
)

if TYPE_CHECKING:
    from monodepth2_training.data.augmentation import Views
    from monodepth2_training.loss.config import LossConfig
    from monodepth2_training.model.depth_pose import Prediction

_BEYOND_ALL_BOUNDS = 1e6


@dataclass(frozen=True, kw_only=True)
class LossTerms:
    """The objective and what it is made of; scalars unless said otherwise."""

    total: torch.Tensor
    """What training minimises: the sum of the four terms below."""
    photometric: torch.Tensor
    """Photometric error, mean over pixels and scales."""
    smoothness: torch.Tensor
    """Weighted smoothness, mean over scales."""
    mask_regularisation: torch.Tensor
    """What keeps a predictive mask from hiding everything, mean over scales; 0 without one."""
    velocity: torch.Tensor
    """Weighted difference between predicted motion and odometry; 0 without the term."""
    moving_share: torch.Tensor
    """Share of pixels that the auto-mask keeps at the finest scale; 1 without auto-masking."""
    automask: torch.Tensor
    """bool [B, H, W]: the pixels it keeps."""


class Objective(nn.Module):
    """Judge disparities and poses by how well the sources, seen through them, match the target.

    Everything is computed in float32 (float64 if the images are), whatever the networks ran in.
    """

    def __init__(
        self, config: LossConfig, depth_range: DepthRange, *, compile: bool = False
    ) -> None:
        """Choose the terms; ``compile`` asks for compiled inner loops."""
        super().__init__()
        self.config = config
        self.depth_range = depth_range
        self._kernels = Kernels(compile=compile)

    def forward(
        self,
        views: Views,
        prediction: Prediction,
        generator: torch.Generator | None = None,
        *,
        velocity: torch.Tensor | float | None = None,
    ) -> LossTerms:
        """Compute the objective.

        Args:
            views: images and cameras of a batch.
            prediction: what the networks made of them.
            generator: source of the noise that breaks ties in auto-masking.
            velocity: weight of that term in this step; the configuration's by default, and the
                number 0 leaves it out.

        Returns:
            the terms; ``total`` carries the gradient.
        """
        with torch.autocast(views.target.device.type, enabled=False):
            weight = self.config.velocity if velocity is None else velocity
            return self._terms(views, prediction, generator, weight)

    def _terms(
        self,
        views: Views,
        prediction: Prediction,
        generator: torch.Generator | None,
        velocity_weight: torch.Tensor | float,
    ) -> LossTerms:
        """``forward`` outside of any autocast."""
        dtype = torch.promote_types(views.target.dtype, torch.float32)
        *disparities, T_target_to_sources = (
            _usable(said.to(dtype))
            for said in (*prediction.disparities, prediction.T_target_to_sources)
        )
        doubt = _doubt(*prediction.disparities, prediction.T_target_to_sources)
        masks = self._masks(prediction, dtype)
        photometric, smoothness, regularisation, kept = [], [], [], []
        scene: _Scene | None = None
        for disparity, mask in zip(disparities, masks, strict=True):
            size = views.target.shape[-2:] if self.config.full_resolution else disparity.shape[-2:]
            mask = None if mask is None else _enlarge(mask, size)
            if scene is None or scene.target.shape[-2:] != size:
                scene = self._scene(views, T_target_to_sources, size, dtype, generator)
            error, keep = self._photometric(scene, disparity, mask)
            photometric.append(error + doubt)
            kept.append(keep)
            smoothness.append(self._smoothness(disparity, views.target.to(dtype)))
            if mask is not None:
                regularisation.append(mask_regularisation(mask))
        velocity = self._velocity(views, T_target_to_sources, velocity_weight)
        return _collect(photometric, smoothness, regularisation, velocity, kept[0])

    def _velocity(
        self, views: Views, T_target_to_sources: torch.Tensor, weight: torch.Tensor | float
    ) -> torch.Tensor | None:
        """Weighted velocity term; None where it is off."""
        if not (isinstance(weight, torch.Tensor) or weight):
            return None
        error = velocity_error(T_target_to_sources, views.travelled_units)
        return weight / self.depth_range.min_depth_m * error

    def _masks(
        self, prediction: Prediction, dtype: torch.dtype
    ) -> list[torch.Tensor] | list[None]:
        """The predictive masks, one a scale, or one None a scale."""
        if not self.config.predictive_mask:
            return [None] * len(prediction.disparities)
        if prediction.masks is None:
            raise ConfigError(
                'predictive_mask is on but the model predicts no mask: build it with one'
            )
        return [mask.to(dtype) for mask in prediction.masks]

    def _scene(
        self,
        views: Views,
        T_target_to_sources: torch.Tensor,
        size: torch.Size,
        dtype: torch.dtype,
        generator: torch.Generator | None,
    ) -> _Scene:
        """Prepare what the disparities of all scales are judged by, at a size in pixels."""
        target = shrink(views.target.to(dtype), size)
        sources = shrink(views.sources.to(dtype).flatten(0, 1), size)
        batch, count = views.sources.shape[:2]
        scale = target.shape[-1] / views.target.shape[-1], size[0] / views.target.shape[-2]
        rays = cast_rays(
            scale_intrinsics(views.K.to(dtype), *scale),
            scale_intrinsics(views.K_sources.to(dtype), *scale),
            T_target_to_sources,
            size,
        )
        repeated = target.repeat_interleave(count, dim=0)
        prepared = reference(repeated, self._kernels) if self.config.ssim else None
        identity = None
        if self.config.automasking:
            errors = self._errors(sources, repeated, prepared).view(batch, count, *size)
            identity = reduce_sources(errors, minimum=self.config.minimum_reprojection)
            identity = identity + tie_noise(identity, generator)
        return _Scene(repeated, prepared, sources, rays, identity)

    def _errors(
        self, images: torch.Tensor, target: torch.Tensor, prepared: Reference | None
    ) -> torch.Tensor:
        """Error of each image against its target, float [N, H, W]."""
        if prepared is None:
            return l1_error(images, target)
        return photometric_error(images, prepared, self._kernels)

    def _photometric(
        self, scene: _Scene, disparity: torch.Tensor, mask: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Photometric term of one scale, and bool [B, H, W] of the pixels that count."""
        size = scene.target.shape[-2:]
        positions = self._kernels(_positions)(
            _enlarge(disparity, size), scene.rays, self.depth_range
        )
        warped = sample(scene.sources, positions.flatten(0, 1))
        errors = self._errors(warped, scene.target, scene.reference)
        errors = errors.view(positions.shape[:2] + size)
        if mask is not None:
            errors = errors * mask
        error = reduce_sources(errors, minimum=self.config.minimum_reprojection)
        if scene.identity is None:
            return error.mean(), torch.ones_like(error, dtype=torch.bool)
        error, kept = automask(error, scene.identity)
        return error.mean(), kept

    def _smoothness(self, disparity: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Weighted smoothness of one scale, against the image at that scale."""
        weight = self.config.smoothness * disparity.shape[-1] / target.shape[-1]
        return weight * edge_aware_smoothness(disparity, shrink(target, disparity.shape[-2:]))


class _Scene(NamedTuple):
    """What disparities are judged by; N = B x S, sources of an item side by side."""

    target: torch.Tensor
    """[N, 3, H, W], once for each source."""
    reference: Reference | None
    """The target prepared for SSIM; None without SSIM."""
    sources: torch.Tensor
    """[N, 3, H, W]"""
    rays: Rays
    """From the target into the sources."""
    identity: torch.Tensor | None
    """[B, H, W]: error of the sources as they are, with noise; None without auto-masking."""


def _positions(disparity: torch.Tensor, rays: Rays, depth_range: DepthRange) -> torch.Tensor:
    """Where the sources show what the target shows, [B, S, 2, H, W] as ``sample`` takes it."""
    steps_px = project(disparity_to_depth(disparity, depth_range), rays)
    return sampling_positions(steps_px, rays.pixels)


def scale_intrinsics(K: torch.Tensor, scale_x: float, scale_y: float) -> torch.Tensor:
    """Intrinsics [..., 3, 3] of images resized by factors (half-pixel rule)."""
    scaled = K.clone()
    for row, scale in enumerate((scale_x, scale_y)):
        scaled[..., row, :2] = K[..., row, :2] * scale
        scaled[..., row, 2] = (K[..., row, 2] + 0.5) * scale - 0.5
    return scaled


def shrink(images: torch.Tensor, size: torch.Size) -> torch.Tensor:
    """Shrink images [N, C, H, W] to a size by averaging areas."""
    if images.shape[-2:] == size:
        return images
    return functional.interpolate(images, size=size, mode='area')


def _enlarge(maps: torch.Tensor, size: torch.Size) -> torch.Tensor:
    """Enlarge maps [B, C, h, w] to a size, bilinear by the half-pixel rule."""
    if maps.shape[-2:] == size:
        return maps
    return functional.interpolate(maps, size=size, mode='bilinear', align_corners=False)


def _usable(said: torch.Tensor) -> torch.Tensor:
    """The same, with 0 for what is no number or beyond all bounds.

    Looking up pictures at such places gives the rim's colours, and on a CPU its gradient reads
    memory that is not its own.
    """
    return torch.where(said.abs() < _BEYOND_ALL_BOUNDS, said, torch.zeros_like(said))


def _doubt(*said: torch.Tensor) -> torch.Tensor:
    """0, or NaN if something of it is not usable; a scalar."""
    usable = torch.stack([(each.detach().abs() < _BEYOND_ALL_BOUNDS).all() for each in said])
    nothing = torch.zeros((), device=usable.device)
    return torch.where(usable.all(), nothing, torch.full_like(nothing, torch.nan))


def _collect(
    photometric: list[torch.Tensor],
    smoothness: list[torch.Tensor],
    regularisation: list[torch.Tensor],
    velocity: torch.Tensor | None,
    kept: torch.Tensor,
) -> LossTerms:
    """Average over the scales and add up."""
    zero = kept.new_zeros((), dtype=photometric[0].dtype)
    terms = [torch.stack(term).mean() if term else zero for term in (photometric, smoothness)]
    mask_term = torch.stack(regularisation).mean() if regularisation else zero
    total = terms[0] + terms[1] + mask_term
    return LossTerms(
        total=total if velocity is None else total + velocity,
        photometric=terms[0].detach(),
        smoothness=terms[1].detach(),
        mask_regularisation=mask_term.detach(),
        velocity=zero if velocity is None else velocity.detach(),
        moving_share=kept.to(zero.dtype).mean(),
        automask=kept,
    )
