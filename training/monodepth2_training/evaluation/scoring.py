# SPDX-License-Identifier: Apache-2.0
"""Scores a frame: where predicted and true depth are both known, and the errors there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monodepth2_training.evaluation.depth_errors import (
    KITTI_LIMITS,
    Depth,
    DepthErrors,
    DepthLimits,
    Mask,
    depth_errors,
    known_pixels,
    median_ratio,
    scaled,
)

FEWEST_PIXELS = 100
"""A frame, or a part of one, with less truth is not judged."""


@dataclass(frozen=True, kw_only=True)
class FramePairs:
    """Predicted and true depth of one frame at the N pixels that are judged."""

    name: str
    """What the frame is called."""
    depth: Depth
    """[N] as predicted, in the unit of the prediction."""
    true_m: Depth
    """[N] in metres."""
    pixels: NDArray[np.int32]
    """[N] places in the flattened picture."""
    height: int
    """Rows of the picture."""
    width: int
    """Columns of the picture."""

    @property
    def ratio(self) -> float:
        """Truth over prediction, by the medians: what papers scale each frame by."""
        return median_ratio(self.depth, self.true_m)

    @property
    def pixel_ratio(self) -> float:
        """The median over the pixels of truth over prediction: metres per unit of prediction.

        Where half of a picture is near and half is far, its median depth lies in the gap between
        them, and outlines that are a little too wide move `ratio` by a fifth; this one stays.
        """
        return float(np.median(self.true_m / self.depth))

    def within(self, chosen: Mask) -> FramePairs:
        """Those of the pixels for which bool [N] is set."""
        return self._replaced(chosen, self.depth[chosen])

    def guessing(self, guess: Depth) -> FramePairs:
        """Another prediction, float [H, W], at the same pixels."""
        return self._replaced(slice(None), np.asarray(guess, np.float32).reshape(-1)[self.pixels])

    def _replaced(self, chosen: Mask | slice, depth: Depth) -> FramePairs:
        return FramePairs(
            name=self.name,
            depth=depth,
            true_m=self.true_m[chosen],
            pixels=self.pixels[chosen],
            height=self.height,
            width=self.width,
        )


def pair(
    name: str,
    predicted: Depth,
    true_m: Depth,
    *,
    inside: Mask | None = None,
    limits: DepthLimits = KITTI_LIMITS,
) -> FramePairs | None:
    """Take the pixels of a frame that can be judged.

    Args:
        name: what to call the frame.
        predicted: float [H, W], any unit; not finite or not positive where unknown.
        true_m: float [H, W] in metres; not finite where unknown.
        inside: bool [H, W], the part of the picture that counts; all of it by default.
        limits: the depths that are judged.

    Returns:
        None where fewer than ``FEWEST_PIXELS`` have both, or where the sizes differ.
    """
    if predicted.shape != true_m.shape:
        return None
    known = known_pixels(true_m, limits) & usable_pixels(predicted)
    pixels = np.flatnonzero(known if inside is None else known & inside)
    if len(pixels) < FEWEST_PIXELS:
        return None
    return FramePairs(
        name=name,
        depth=np.asarray(predicted, np.float32).reshape(-1)[pixels],
        true_m=np.asarray(true_m, np.float32).reshape(-1)[pixels],
        pixels=pixels.astype(np.int32),
        height=true_m.shape[0],
        width=true_m.shape[1],
    )


def usable_pixels(predicted: Depth) -> Mask:
    """Where a prediction [H, W], depth or its inverse, says something: finite and positive."""
    with np.errstate(invalid='ignore'):
        return np.asarray(np.isfinite(predicted) & (predicted > 0.0))


def score(frame: FramePairs, factor: float, limits: DepthLimits = KITTI_LIMITS) -> DepthErrors:
    """Errors of a frame whose predictions are multiplied by a factor and clamped."""
    return depth_errors(scaled(frame.depth, factor, limits), frame.true_m)
