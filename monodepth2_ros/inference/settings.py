# SPDX-License-Identifier: Apache-2.0
"""What a user may choose about the results; all of it may change from one frame to the next."""

from __future__ import annotations

import math
from dataclasses import dataclass

from monodepth2_ros.errors import ConfigError
from monodepth2_ros.images import DEFAULT_MAX_PIXELS
from monodepth2_ros.inference.colorize import check_colormap, check_limits
from monodepth2_ros.inference.point_cloud import LAYOUTS
from monodepth2_ros.inference.views import RECTIFY_CHOICES

DEPTH_SIZES = ('image', 'network')
"""Sizes that depth and all that is made of it can have."""

_CHOICES = {
    'rectify': RECTIFY_CHOICES,
    'depth_size': DEPTH_SIZES,
    'cloud_fields': tuple(LAYOUTS),
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What can be chosen about the results, frame by frame."""

    rectify: str = 'auto'
    """``auto`` (if raw and rectified image differ), ``always``, or ``never`` (``image_rect``)."""
    min_depth_m: float = 0.1
    """What is nearer becomes -Inf."""
    max_depth_m: float = 100.0
    """What is this far or farther becomes +Inf."""
    scale: float = 0.0
    """Metres per unit of network depth; 0 takes the model's own, or 1 if it knows none."""
    colormap: str = 'magma'
    """Colours of the depth picture."""
    color_min_depth_m: float = 0.0
    """Depth of the brightest colour; 0 follows each image."""
    color_max_depth_m: float = 0.0
    """Depth of the darkest colour; 0 follows each image."""
    depth_size: str = 'image'
    """``image`` (depth, camera, cloud and picture at the image's own size) or ``network``."""
    reduced_decode: bool = False
    """Decode a JPEG at 1/2, 1/4 or 1/8 where nothing needs its full size."""
    cloud_fields: str = 'xyzrgb'
    """A name of ``LAYOUTS``: what a point of the cloud holds."""
    cloud_stride: int = 1
    """Every how many pixels, along rows and columns, there is a point."""
    max_pixels: int = DEFAULT_MAX_PIXELS
    """Images with more pixels are refused."""

    @property
    def points_take_image_colours(self) -> bool:
        """Whether points need the colours of all of the image's pixels."""
        coloured = LAYOUTS[self.cloud_fields].rgb_float is not None
        return coloured and self.depth_size == 'image'

    def __post_init__(self) -> None:
        """Refuse values outside their ranges, alone and together."""
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ConfigError(
                    f'{name} {getattr(self, name)!r} is not known: expected one of '
                    f'{", ".join(choices)}'
                )
        if not 0.0 <= self.min_depth_m < self.max_depth_m < math.inf:
            raise ConfigError(
                f'depth limits {self.min_depth_m} to {self.max_depth_m} m are not usable: '
                'expected 0 <= min_depth_m < max_depth_m'
            )
        if not 0.0 <= self.scale < math.inf:
            raise ConfigError(
                f'scale {self.scale} is not usable: expected a positive number, or 0 for the '
                "model's own"
            )
        for name in ('cloud_stride', 'max_pixels'):
            if getattr(self, name) < 1:
                raise ConfigError(
                    f'{name} {getattr(self, name)} is not usable: expected 1 or more'
                )
        check_colormap(self.colormap)
        check_limits(self.color_min_depth_m, self.color_max_depth_m)
