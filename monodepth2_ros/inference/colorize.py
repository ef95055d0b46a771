# SPDX-License-Identifier: Apache-2.0
"""Depth as a picture for people: near is bright, far is dark, unknown is black.

Colours follow inverse depth, as the eye does: half the colours go to the nearer half of the view.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import ConfigError
from monodepth2_ros.typed_document import nearest

_TABLES = {
    'magma': cv2.COLORMAP_MAGMA,
    'inferno': cv2.COLORMAP_INFERNO,
    'plasma': cv2.COLORMAP_PLASMA,
    'viridis': cv2.COLORMAP_VIRIDIS,
    'cividis': cv2.COLORMAP_CIVIDIS,
    'turbo': cv2.COLORMAP_TURBO,
    'jet': cv2.COLORMAP_JET,
    'hot': cv2.COLORMAP_HOT,
    'bone': cv2.COLORMAP_BONE,
}

COLORMAPS = (*_TABLES, 'gray')
"""Names of the colormaps."""

_SAMPLES = 20_000
_PERCENTILES = (2.0, 98.0)
_CLOSEST = 0.999


def check_colormap(name: str) -> None:
    """Raise ConfigError, with the nearest name, unless ``name`` is one of ``COLORMAPS``."""
    if name not in COLORMAPS:
        raise ConfigError(f'colormap {name!r} is not known: {nearest(name, COLORMAPS)}')


def check_limits(min_depth_m: float, max_depth_m: float) -> None:
    """Raise ConfigError unless the limits are 0 (automatic) or finite, positive and in order."""
    finite = np.isfinite(min_depth_m) and np.isfinite(max_depth_m)
    in_order = max_depth_m == 0.0 or min_depth_m < max_depth_m
    if not finite or min_depth_m < 0.0 or max_depth_m < 0.0 or not in_order:
        raise ConfigError(
            f'colour limits {min_depth_m} to {max_depth_m} m are not usable: expected '
            '0 <= min < max in metres, or 0 for an automatic limit'
        )


def colorize(
    depth: NDArray[np.float32],
    *,
    colormap: str = 'magma',
    min_depth_m: float = 0.0,
    max_depth_m: float = 0.0,
) -> NDArray[np.uint8]:
    """Colour a depth image.

    Args:
        depth: float32 [H, W] in metres; -Inf is shown as nearest, +Inf as farthest, NaN black.
        colormap: one of ``COLORMAPS``.
        min_depth_m: depth of the brightest colour; 0 takes the nearest 2 % of this image.
        max_depth_m: depth of the darkest colour; 0 takes the farthest 2 % of this image.

    Returns:
        uint8 [H, W, 3] in the order blue, green, red.

    Raises:
        ConfigError: the colormap is unknown or the limits are not usable.
    """
    check_colormap(colormap)
    check_limits(min_depth_m, max_depth_m)
    far, near = _limits(depth, min_depth_m, max_depth_m)
    with np.errstate(divide='ignore', invalid='ignore', over='ignore'):
        level = np.divide(np.float32(1.0), depth)
        level[depth <= 0.0] = near
        level -= np.float32(far)
        level *= np.float32(255.0 / (near - far))
    unknown = np.isnan(level)
    level[unknown] = 0.0
    np.clip(level, 0.0, 255.0, out=level)
    picture = _paint(level.astype(np.uint8), colormap)
    picture[unknown] = 0
    return picture


def _paint(level: NDArray[np.uint8], colormap: str) -> NDArray[np.uint8]:
    """Look levels 0 to 255 up in a colormap, as uint8 [H, W, 3] BGR."""
    if colormap == 'gray':
        return np.asarray(cv2.cvtColor(level, cv2.COLOR_GRAY2BGR), np.uint8)
    return np.asarray(cv2.applyColorMap(level, _TABLES[colormap]), np.uint8)


def _limits(
    depth: NDArray[np.float32], min_depth_m: float, max_depth_m: float
) -> tuple[float, float]:
    """Inverse depths of the darkest and the brightest colour, in 1/m; the first is smaller."""
    far, near = _percentiles(depth)
    if max_depth_m > 0.0:
        far = 1.0 / max_depth_m
    if min_depth_m > 0.0:
        near = 1.0 / min_depth_m
        return min(far, near * _CLOSEST), near
    return far, max(near, far / _CLOSEST)


def _percentiles(depth: NDArray[np.float32]) -> tuple[float, float]:
    """Robust extremes of inverse depth over at most about 20 000 finite pixels; (0, 1) if none."""
    step = max(1, int(np.sqrt(depth.size / _SAMPLES)))
    sample = depth[::step, ::step]
    sample = sample[np.isfinite(sample) & (sample > 0.0)]
    if sample.size == 0:
        return 0.0, 1.0
    far, near = np.percentile(np.float32(1.0) / sample, _PERCENTILES)
    return float(far), float(near)
