# SPDX-License-Identifier: Apache-2.0
"""Which terms the objective has, and how much each weighs."""

from __future__ import annotations

from dataclasses import dataclass

from monodepth2_ros.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """The parts of the objective."""

    ssim: bool = True
    """Structural similarity (0.85) beside the absolute difference (0.15), or that alone."""
    minimum_reprojection: bool = True
    """Each pixel's least error over the sources, or their mean."""
    automasking: bool = True
    """Leave out pixels that look the same without motion: standstills, cars at our own pace."""
    full_resolution: bool = True
    """Judge coarse disparities at the images' full size, or the images at the coarse sizes."""
    predictive_mask: bool = False
    """Weigh errors by a mask that a network predicts; not together with ``automasking``."""
    smoothness: float = 1e-3
    """Weight of the edge-aware smoothness at the finest scale, halved at each coarser one."""
    velocity: float = 0.0
    """Weight of the difference between predicted motion and the distance travelled by odometry,
    which makes depth metric; 0 leaves odometry out."""
    velocity_warm_up: int = 300
    """Steps in which that weight grows to its full: pulled from the start, motion gets its length
    before it knows its direction, and depth may become one plane and stay so."""

    def __post_init__(self) -> None:
        """Refuse switches that exclude each other and a weight that is no weight."""
        if self.predictive_mask and self.automasking:
            raise ConfigError(
                'predictive_mask and automasking are both on: they answer the same question, '
                'so switch one of them off (automasking: false for the mask of Zhou et al.)'
            )
        for name in ('smoothness', 'velocity'):
            weight = getattr(self, name)
            if not 0.0 <= weight < float('inf'):
                raise ConfigError(f'{name} {weight} is no weight: expected a number from 0 on')
        if self.velocity_warm_up < 0:
            raise ConfigError(f'velocity_warm_up is {self.velocity_warm_up}: expected 0 or more')

    def velocity_at(self, step: int) -> float:
        """Weight of the velocity term in a step of the training, counted from 0."""
        if step >= self.velocity_warm_up:
            return self.velocity
        return self.velocity * step / self.velocity_warm_up
