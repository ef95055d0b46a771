# SPDX-License-Identifier: Apache-2.0
"""The depth errors of the field, and how a picture's depth is made comparable with truth.

Source: Eigen et al., NeurIPS 2014, in the protocol of Godard et al., ICCV 2019: truth between 1 mm
and 80 m, prediction scaled to the truth's median and clamped to the same range, errors averaged
over each picture and then over the pictures. log10 is that of Saxena et al. (Make3D), the
scale-invariant error that of the KITTI depth benchmark (Uhrig et al., 3DV 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import ConfigError

_GARG_ROWS = (0.40810811, 0.99189189)
_GARG_COLUMNS = (0.03594771, 0.96405229)

Depth = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class DepthLimits:
    """The depths that are judged."""

    min_depth_m: float = 1e-3
    """Truth this near or nearer does not count; predictions are clamped to it."""
    max_depth_m: float = 80.0
    """Truth this far or farther does not count; predictions are clamped to it."""

    def __post_init__(self) -> None:
        """Refuse an empty or non-positive range."""
        if not 0.0 < self.min_depth_m < self.max_depth_m < float('inf'):
            raise ConfigError(
                f'depths of {self.min_depth_m} to {self.max_depth_m} m cannot be judged: expected '
                '0 < min_depth_m < max_depth_m'
            )


KITTI_LIMITS = DepthLimits()
"""Those of the KITTI protocol."""


@dataclass(frozen=True, kw_only=True)
class DepthErrors:
    """Errors of one picture, or their means over several."""

    abs_rel: float
    """Mean of |d - t| / t."""
    sq_rel: float
    """Mean of (d - t)^2 / t, in metres."""
    rmse: float
    """Root of the mean of (d - t)^2, in metres."""
    rmse_log: float
    """Root of the mean of (ln d - ln t)^2."""
    log10: float
    """Mean of |log10 d - log10 t|."""
    silog: float
    """100 times the standard deviation of ln d - ln t: the same whatever d is multiplied by."""
    delta_1: float
    """Share of pixels with max(d / t, t / d) below 1.25."""
    delta_2: float
    """The same below 1.25^2."""
    delta_3: float
    """The same below 1.25^3."""


METRICS = tuple(field.name for field in fields(DepthErrors))
"""Names of the errors, in the order in which tables show them."""


def depth_errors(depth_m: Depth, true_m: Depth) -> DepthErrors:
    """Compare positive depths, float [N] in metres each, pixel by pixel; NaN over no pixel."""
    if not len(true_m):
        return DepthErrors(**dict.fromkeys(METRICS, float('nan')))
    depth, true = np.asarray(depth_m, np.float64), np.asarray(true_m, np.float64)
    difference, ratio = depth - true, np.maximum(depth / true, true / depth)
    logarithm = np.log(depth) - np.log(true)
    return DepthErrors(
        abs_rel=float(np.mean(np.abs(difference) / true)),
        sq_rel=float(np.mean(difference**2 / true)),
        rmse=float(np.sqrt(np.mean(difference**2))),
        rmse_log=float(np.sqrt(np.mean(logarithm**2))),
        log10=float(np.mean(np.abs(logarithm)) / np.log(10.0)),
        silog=float(100.0 * np.std(logarithm)),
        delta_1=float(np.mean(ratio < 1.25)),
        delta_2=float(np.mean(ratio < 1.25**2)),
        delta_3=float(np.mean(ratio < 1.25**3)),
    )


def known_pixels(true_m: Depth, limits: DepthLimits = KITTI_LIMITS) -> Mask:
    """Where truth counts, bool [H, W]: not finite values and such beyond the range do not."""
    with np.errstate(invalid='ignore'):
        return np.asarray((true_m > limits.min_depth_m) & (true_m < limits.max_depth_m))


def garg_crop(height: int, width: int) -> Mask:
    """The part of a KITTI picture that is judged (Garg et al., ECCV 2016), bool [H, W]."""
    inside = np.zeros((height, width), np.bool_)
    top, bottom = (int(share * height) for share in _GARG_ROWS)
    left, right = (int(share * width) for share in _GARG_COLUMNS)
    inside[top:bottom, left:right] = True
    return inside


def median_ratio(depth: Depth, true_m: Depth) -> float:
    """Median of the truth [N] in metres over that of depths [N] of any unit."""
    return float(np.median(true_m) / np.median(depth))


def scaled(depth: Depth, factor: float, limits: DepthLimits = KITTI_LIMITS) -> Depth:
    """Depths [N] times a factor, in metres, brought into the range of the truth that counts."""
    low, high = np.float32(limits.min_depth_m), np.float32(limits.max_depth_m)
    return np.asarray(np.clip(depth * np.float32(factor), low, high), np.float32)


def median_scaled(
    depth: Depth, true_m: Depth, limits: DepthLimits = KITTI_LIMITS
) -> tuple[Depth, float]:
    """Scale depths [N] of any unit to the median of the truth [N] in metres, and clamp them.

    Returns:
        depths in metres, float [N], and the factor.
    """
    factor = median_ratio(depth, true_m)
    return scaled(depth, factor, limits), factor


def mean_errors(errors: Sequence[DepthErrors]) -> DepthErrors:
    """The mean of each error over the pictures; NaN over none."""
    if not errors:
        return DepthErrors(**dict.fromkeys(METRICS, float('nan')))
    return DepthErrors(
        **{name: float(np.mean([getattr(error, name) for error in errors])) for name in METRICS}
    )
