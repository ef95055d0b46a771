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
from monodepth2_training.evaluation.scoring import FramePairs

CELL_PX = 8
"""Sparse truth is gathered in cells of this size: a lidar hits few pixels twice."""

Pixels = NDArray[np.int32]
Depth = NDArray[np.float32]


class MedianMap:
    """True depths of several frames by cell, sorted once, so that any frame can be left out."""

    def __init__(
        self,
        truths: Sequence[tuple[Pixels, Depth]],
        *,
        height: int,
        width: int,
        cell_px: int = CELL_PX,
    ) -> None:
        """Gather.

        Args:
            truths: of each frame, places [N] in the flattened picture and depths [N] in metres.
            height: rows of the picture.
            width: columns of the picture.
            cell_px: side of the cells within which depths are gathered; 1 for dense truth.

        Raises:
            ConfigError: there is no known depth at all.
        """
        self._size = width, height
        self._cells = -(-height // cell_px), -(-width // cell_px)
        if not sum(len(pixels) for pixels, _ in truths):
            raise ConfigError('no true depth is known: a median map needs at least one depth')
        pixels, depths = (np.concatenate(parts) for parts in zip(*truths, strict=True))
        rows, columns = np.divmod(pixels, width)
        cells = rows // cell_px * self._cells[1] + columns // cell_px
        frames = np.repeat(np.arange(len(truths)), [len(pixels) for pixels, _ in truths])
        order = np.lexsort((depths, cells))
        self._cell_of, self._depth, self._frame_of = cells[order], depths[order], frames[order]

    @classmethod
    def of_frames(cls, frames: Sequence[FramePairs], *, cell_px: int = CELL_PX) -> MedianMap:
        """The map of the truth of judged frames, all of one size."""
        truths = [(frame.pixels, frame.true_m) for frame in frames]
        height, width = frames[0].height, frames[0].width
        return cls(truths, height=height, width=width, cell_px=cell_px)

    def median(self, *, without: int | None = None) -> Depth:
        """The median at each place.

        Args:
            without: number of a frame to leave out, unless there is no other.

        Returns:
            float32 [H, W] in metres, interpolated between cells; a cell without any depth takes
            that of the nearest cell with some.
        """
        filled = _filled(self.cells(without=without))
        return np.asarray(cv2.resize(filled, self._size, interpolation=cv2.INTER_LINEAR))

    def cells(self, *, without: int | None = None) -> Depth:
        """The median of each cell.

        Args:
            without: number of a frame to leave out, unless there is no other.

        Returns:
            float32 [ceil(H / cell_px), ceil(W / cell_px)] in metres, NaN where nothing is known.
        """
        kept = self._frame_of != (-1 if without is None else without)
        if not kept.any():
            kept[:] = True
        depth, counts = self._depth[kept], self._counts(kept)
        known = counts > 0
        first = (np.cumsum(counts) - counts)[known]
        low, high = first + (counts[known] - 1) // 2, first + counts[known] // 2
        cells = np.full(counts.shape, np.nan, np.float32)
        cells[known] = 0.5 * (depth[low] + depth[high])
        return cells.reshape(self._cells)

    def _counts(self, kept: NDArray[np.bool_]) -> NDArray[np.int64]:
        total = self._cells[0] * self._cells[1]
        return np.asarray(np.bincount(self._cell_of[kept], minlength=total), np.int64)


def median_map(truths_m: Sequence[NDArray[np.floating]], *, cell_px: int = CELL_PX) -> Depth:
    """Give the median of true depths at each place.

    Args:
        truths_m: depth images [H, W] in metres of equal size, not finite where unknown.
        cell_px: side of the cells within which depths are gathered; 1 for dense truth.

    Returns:
        float32 [H, W] in metres, as :meth:`MedianMap.median`.

    Raises:
        ConfigError: there is no known depth at all.
    """
    if not truths_m:
        raise ConfigError('no true depth is known: a median map needs at least one depth')
    height, width = truths_m[0].shape
    flat = [np.asarray(true, np.float32).reshape(-1) for true in truths_m]
    places = [np.flatnonzero(known_pixels(true)).astype(np.int32) for true in flat]
    truths = [(pixels, true[pixels]) for pixels, true in zip(places, flat, strict=True)]
    return MedianMap(truths, height=height, width=width, cell_px=cell_px).median()


def _filled(cells: Depth) -> Depth:
    """Fill cells that are NaN from the nearest that is not."""
    known = np.isfinite(cells)
    _, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    of_label = np.zeros(int(labels.max()) + 1, np.float32)
    of_label[labels[known]] = cells[known]
    return np.asarray(of_label[labels], np.float32)
