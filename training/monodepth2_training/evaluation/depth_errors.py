# SPDX-License-Identifier: Apache-2.0
"""The seven depth errors of the field, and how a picture's depth is made comparable with truth.

Source: Eigen et al., NeurIPS 2014, in the protocol of Godard et al., ICCV 2019: truth between 1 mm
and 80 m, prediction scaled to the truth's median and clamped to the same range, errors averaged
over each picture and then over the pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

MIN_DEPTH_M = 1e-3
"""Truth nearer than this does not count; predictions are clamped to it."""
MAX_DEPTH_M = 80.0
"""Truth this far or farther does not count; predictions are clamped to it."""

_GARG_ROWS = (0.40810811, 0.99189189)
_GARG_COLUMNS = (0.03594771, 0.96405229)

Depth = NDArray[np.float32]
Mask = NDArray[np.bool_]


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
    delta_1: float
    """Share of pixels with max(d / t, t / d) below 1.25."""
    delta_2: float
    """The same below 1.25^2."""
    delta_3: float
    """The same below 1.25^3."""


def depth_errors(depth_m: Depth, true_m: Depth) -> DepthErrors:
    """Compare depths, float [N] in metres each, pixel by pixel."""
    depth, true = np.asarray(depth_m, np.float64), np.asarray(true_m, np.float64)
    difference, ratio = depth - true, np.maximum(depth / true, true / depth)
    return DepthErrors(
        abs_rel=float(np.mean(np.abs(difference) / true)),
        sq_rel=float(np.mean(difference**2 / true)),
        rmse=float(np.sqrt(np.mean(difference**2))),
        rmse_log=float(np.sqrt(np.mean((np.log(depth) - np.log(true)) ** 2))),
        delta_1=float(np.mean(ratio < 1.25)),
        delta_2=float(np.mean(ratio < 1.25**2)),
        delta_3=float(np.mean(ratio < 1.25**3)),
    )


def known_pixels(true_m: Depth) -> Mask:
    """Where truth counts, bool [H, W]: not finite values and such beyond the range do not."""
    with np.errstate(invalid='ignore'):
        return np.asarray((true_m > MIN_DEPTH_M) & (true_m < MAX_DEPTH_M))


def garg_crop(height: int, width: int) -> Mask:
    """The part of a KITTI picture that is judged (Garg et al., ECCV 2016), bool [H, W]."""
    inside = np.zeros((height, width), np.bool_)
    top, bottom = (int(share * height) for share in _GARG_ROWS)
    left, right = (int(share * width) for share in _GARG_COLUMNS)
    inside[top:bottom, left:right] = True
    return inside


def median_scaled(depth: Depth, true_m: Depth) -> tuple[Depth, float]:
    """Scale depths [N] of any unit to the median of the truth [N] in metres, and clamp them.

    Returns:
        depths in metres, float [N], and the factor.
    """
    factor = float(np.median(true_m) / np.median(depth))
    return clamped(depth * np.float32(factor)), factor


def clamped(depth_m: Depth) -> Depth:
    """Depths brought into the range of the truth that counts."""
    return np.clip(depth_m, np.float32(MIN_DEPTH_M), np.float32(MAX_DEPTH_M))


def mean_errors(errors: Sequence[DepthErrors]) -> DepthErrors:
    """The mean of each error over the pictures; NaN over none."""
    names = [field.name for field in fields(DepthErrors)]
    if not errors:
        return DepthErrors(**dict.fromkeys(names, float('nan')))
    return DepthErrors(
        **{name: float(np.mean([getattr(error, name) for error in errors])) for name in names}
    )
