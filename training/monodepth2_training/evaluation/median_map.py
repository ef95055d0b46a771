# SPDX-License-Identifier: Apache-2.0
"""The guess that any network has to beat: at each place of the picture its usual depth.

On a road the lower rows are near and the upper ones far in every picture, so the median of known
depths alone, which never looks at the picture, is a strong guess.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import ConfigError
from monodepth2_training.evaluation.depth_errors import known_pixels

CELL_PX = 8
"""Sparse truth is gathered in cells of this size: a lidar hits few pixels twice."""


def median_map(
    truths_m: Sequence[NDArray[np.floating]], *, cell_px: int = CELL_PX
) -> NDArray[np.float32]:
    """Give the median of true depths at each place.

    Args:
        truths_m: depth images [H, W] in metres of equal size, not finite where unknown.
        cell_px: side of the cells within which depths are gathered; 1 for dense truth.

    Returns:
        float32 [H, W] in metres, interpolated between cells; a cell without any depth takes that
        of the nearest cell with some.

    Raises:
        ConfigError: there is no known depth at all.
    """
    if not truths_m or not any(known_pixels(np.asarray(true)).any() for true in truths_m):
        raise ConfigError('no true depth is known: a median map needs at least one depth')
    height, width = truths_m[0].shape
    rows = [_row(truths_m, top, cell_px) for top in range(0, height, cell_px)]
    cells = _filled(np.array(rows, np.float32))
    return np.asarray(cv2.resize(cells, (width, height), interpolation=cv2.INTER_LINEAR))


def _row(truths_m: Sequence[NDArray[np.floating]], top: int, cell_px: int) -> list[float]:
    """Medians of one row of cells; NaN where nothing is known."""
    band = np.stack([true[top : top + cell_px] for true in truths_m]).astype(np.float32)
    band[~known_pixels(band)] = np.nan
    starts = range(0, band.shape[2], cell_px)
    return [_median(band[..., left : left + cell_px]) for left in starts]


def _median(depths: NDArray[np.float32]) -> float:
    known = depths[np.isfinite(depths)]
    return float(np.median(known)) if known.size else float('nan')


def _filled(cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fill cells that are NaN from the nearest that is not."""
    known = np.isfinite(cells)
    _, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    of_label = np.zeros(int(labels.max()) + 1, np.float32)
    of_label[labels[known]] = cells[known]
    return np.asarray(of_label[labels], np.float32)
