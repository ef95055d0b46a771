# SPDX-License-Identifier: Apache-2.0
"""Pictures of what the networks make of a few samples, as small JPEGs for the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from monodepth2_ros.errors import ImageError
from monodepth2_ros.geometry.depth import disparity_to_depth
from monodepth2_ros.inference.colorize import colorize
from monodepth2_training.data.dataset import TripletDataset
from monodepth2_training.loss.photometric import l1_error, photometric_error, reference
from monodepth2_training.loss.reduction import reduce_sources
from monodepth2_training.model.view_synthesis import (
    cast_rays,
    project,
    sample,
    sampling_positions,
)
from monodepth2_training.report.observation import predict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monodepth2_training.data.augmentation import Views
    from monodepth2_training.data.frame_store import FrameStore
    from monodepth2_training.data.triplets import Sample
    from monodepth2_training.loss.config import LossConfig
    from monodepth2_training.model.depth_pose import DepthPoseModel, Prediction

    Pixels = NDArray[np.uint8]

MOST_SAMPLES = 5
"""Samples that are shown."""

ERROR_WHITE = 0.4
"""Photometric error that is drawn in the brightest colour."""

COLUMN_PX, PAGE_PX = 480, 1200
"""Widest pictures in a column of the page, and across it."""

_QUALITY = 82
_NARROWEST = 240
_HIDDEN = np.array([150, 105, 60], np.float32)
_HIDING = 0.75


def choose(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """At most ``MOST_SAMPLES`` of them, evenly spread, the ends left out."""
    count = min(MOST_SAMPLES, len(samples))
    places = (np.arange(count) + 0.5) * len(samples) / max(count, 1)
    return tuple(samples[int(place)] for place in places)


def draw_sample(
    model: DepthPoseModel, store: FrameStore, item: Sample, loss: LossConfig
) -> list[tuple[str, bytes]]:
    """Draw one sample.

    Args:
        model: in evaluation mode on the CPU.
        store: what the sample indexes.
        item: which one.
        loss: how errors are measured.

    Returns:
        names and JPEGs: camera, disparity, auto-mask; reconstruction, error with depth and
        motion, error without motion.
    """
    views, prediction = predict(model, TripletDataset(store, [item]), [0])
    depth = disparity_to_depth(prediction.disparities[0].float(), model.depth_range)
    warped = _warp(views, prediction, depth)
    moved, still = (_error(images, views, loss) for images in (warped, views.sources))
    camera = _pixels(views.target[0])
    keeps = 'keeps' if loss.automasking else 'would keep'
    pictures = [
        ('camera', camera),
        ('predicted disparity', colorize(depth[0, 0].numpy())),
        (f'what the auto-mask {keeps}', _hide(camera, ~(moved < still))),
        (f'reconstructed from the {model.sources[-1]} picture', _pixels(warped[0, -1])),
        ('photometric error', _heat(moved)),
        ('error without depth and motion', _heat(still)),
    ]
    return [(name, jpeg(picture)) for name, picture in pictures]


def jpeg(picture: Pixels, *, widest: int = COLUMN_PX) -> bytes:
    """A picture [H, W, 3] BGR as JPEG, about as wide as a column of the page or as told.

    Raises:
        ImageError: it cannot be encoded.
    """
    height, width = picture.shape[:2]
    wanted = min(max(width, _NARROWEST), widest)
    if width != wanted:
        size = (wanted, max(1, round(height * wanted / width)))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    done, data = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise ImageError(f'a picture of shape {list(picture.shape)} cannot be encoded as JPEG')
    return bytes(data.tobytes())


def _warp(views: Views, prediction: Prediction, depth_m: torch.Tensor) -> torch.Tensor:
    """The sources as seen from the target, float [1, S, 3, H, W]."""
    T = prediction.T_target_to_sources.float()
    rays = cast_rays(views.K, views.K_sources, T, views.target.shape[-2:])
    positions = sampling_positions(project(depth_m, rays), rays.pixels)
    images = sample(views.sources.flatten(0, 1), positions.flatten(0, 1))
    return images.view(views.sources.shape)


def _error(images: torch.Tensor, views: Views, loss: LossConfig) -> NDArray[np.float32]:
    """Error [H, W] of images [1, S, 3, H, W] against the target, reduced over the sources."""
    sources = images[0]
    target = views.target.expand_as(sources)
    if loss.ssim:
        errors = photometric_error(sources, reference(target))
    else:
        errors = l1_error(sources, target)
    return np.asarray(reduce_sources(errors[None], minimum=loss.minimum_reprojection)[0])


def _pixels(image: torch.Tensor) -> Pixels:
    """RGB float [3, H, W] in 0 to 1 as BGR uint8 [H, W, 3]."""
    pixels = (image.clamp(0.0, 1.0) * 255.0).round().byte().flip(0).permute(1, 2, 0)
    return np.ascontiguousarray(pixels.numpy())


def _heat(error: NDArray[np.float32]) -> Pixels:
    """An error [H, W] as a picture: black is none."""
    level = np.clip(error * (255.0 / ERROR_WHITE), 0.0, 255.0).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(level, cv2.COLORMAP_INFERNO), np.uint8)


def _hide(picture: Pixels, hidden: NDArray[np.bool_]) -> Pixels:
    """A picture with some pixels covered in blue."""
    covered = (1.0 - _HIDING) * picture + _HIDING * _HIDDEN
    return np.where(hidden[..., None], covered, picture).round().astype(np.uint8)
