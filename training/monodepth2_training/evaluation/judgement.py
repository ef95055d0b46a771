# SPDX-License-Identifier: Apache-2.0
"""Judges a method by all frames under three scalings, by true depth and by place in the picture.

A network trained on one camera knows depth up to a factor. What that factor is allowed to come
from decides what errors mean, so that all three answers stand side by side:

- ``metric``: from the model file alone. What a vehicle gets.
- ``recording``: one factor for all frames, the median over frames of truth over prediction. What
  it gets once the factor is calibrated.
- ``frame``: each frame scaled to its own truth, as the papers do. What shape alone is worth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monodepth2_training.evaluation.depth_errors import (
    KITTI_LIMITS,
    DepthErrors,
    DepthLimits,
    mean_errors,
)
from monodepth2_training.evaluation.scoring import FEWEST_PIXELS, FramePairs, score

SCALINGS = ('metric', 'recording', 'frame')
"""Where the factor from predicted depth to metres comes from."""

_EDGES_M = (5.0, 10.0, 20.0, 40.0)
_ROWS, _COLUMNS = ('top', 'middle', 'bottom'), ('left', 'centre', 'right')


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What a method scores under one scaling, over F frames."""

    factors: tuple[float, ...]
    """Metres per unit of prediction that were used, of each frame."""
    frames: tuple[DepthErrors, ...]
    """Errors of each frame."""

    @property
    def mean(self) -> DepthErrors:
        """Mean over the frames."""
        return mean_errors(self.frames)


@dataclass(frozen=True, kw_only=True)
class Part:
    """Errors within one depth range or region, over the frames with enough truth in it."""

    name: str
    """What part."""
    frames: int
    """How many frames have it."""
    share: float
    """Its share of all judged pixels."""
    errors: DepthErrors
    """Mean over those frames."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """All that is said about one method."""

    ratio: float
    """Median over the frames of the median of the truth over that of the prediction."""
    ratio_spread: float
    """Its standard deviation over the frames, relative to the median."""
    pixel_ratio: float
    """Median over the frames of the median over the pixels of truth over prediction."""
    pixel_ratio_spread: float
    """Its standard deviation over the frames, relative to the median."""
    scores: Mapping[str, Scores]
    """By scaling; without ``metric`` where no metric scale is known."""
    ranges: Mapping[str, tuple[Part, ...]]
    """By scaling: errors by true depth."""
    regions: Mapping[str, tuple[Part, ...]]
    """By scaling: errors by place in the picture."""


def judge(
    frames: Sequence[FramePairs],
    *,
    scale: float | None,
    limits: DepthLimits = KITTI_LIMITS,
) -> Judgement:
    """Judge a method by all frames, under each scaling that it allows.

    Args:
        frames: at least one.
        scale: metres per unit of prediction as far as the method itself knows; None if not.
        limits: the depths that are judged.
    """
    ratios = np.array([frame.ratio for frame in frames])
    middle, spread = _middle(ratios)
    pixel_middle, pixel_spread = _middle(np.array([frame.pixel_ratio for frame in frames]))
    factors = {'recording': np.full(len(frames), middle), 'frame': ratios}
    if scale is not None:
        factors = {'metric': np.full(len(frames), scale), **factors}
    return Judgement(
        ratio=middle,
        ratio_spread=spread,
        pixel_ratio=pixel_middle,
        pixel_ratio_spread=pixel_spread,
        scores={name: _scores(frames, values, limits) for name, values in factors.items()},
        ranges={name: _ranges(frames, values, limits) for name, values in factors.items()},
        regions={name: _regions(frames, values, limits) for name, values in factors.items()},
    )


def _middle(ratios: NDArray[np.float64]) -> tuple[float, float]:
    """Median, and standard deviation relative to it."""
    middle = float(np.median(ratios))
    return middle, float(np.std(ratios / middle))


def _scores(
    frames: Sequence[FramePairs], factors: NDArray[np.float64], limits: DepthLimits
) -> Scores:
    errors = (score(*both, limits) for both in zip(frames, factors.tolist(), strict=True))
    return Scores(factors=tuple(factors.tolist()), frames=tuple(errors))


def _ranges(
    frames: Sequence[FramePairs], factors: NDArray[np.float64], limits: DepthLimits
) -> tuple[Part, ...]:
    """Errors by true depth."""
    inner = [edge for edge in _EDGES_M if limits.min_depth_m < edge < limits.max_depth_m]
    edges = [limits.min_depth_m, *inner, limits.max_depth_m]
    lows = [0.0, *inner]
    names = [f'{low:.3g} to {high:.3g} m' for low, high in zip(lows, edges[1:], strict=True)]
    places = [np.digitize(frame.true_m, inner) for frame in frames]
    return _parts(names, frames, places, factors, limits)


def _regions(
    frames: Sequence[FramePairs], factors: NDArray[np.float64], limits: DepthLimits
) -> tuple[Part, ...]:
    """Errors by ninths of the picture."""
    names = [f'{row} {column}' for row in _ROWS for column in _COLUMNS]
    places = []
    for frame in frames:
        rows, columns = np.divmod(frame.pixels, frame.width)
        places.append(3 * (3 * rows // frame.height) + 3 * columns // frame.width)
    return _parts(names, frames, places, factors, limits)


def _parts(
    names: Sequence[str],
    frames: Sequence[FramePairs],
    places: Sequence[NDArray[np.int_]],
    factors: NDArray[np.float64],
    limits: DepthLimits,
) -> tuple[Part, ...]:
    """Errors of each part, where ``places`` holds the part of each pixel of each frame."""
    total = sum(len(frame.true_m) for frame in frames)
    parts = []
    for number, name in enumerate(names):
        chosen = [(frame, place == number) for frame, place in zip(frames, places, strict=True)]
        enough = [np.count_nonzero(inside) >= FEWEST_PIXELS for _, inside in chosen]
        errors = [
            score(frame.within(inside), factor, limits)
            for (frame, inside), factor, usable in zip(chosen, factors, enough, strict=True)
            if usable
        ]
        pixels = sum(np.count_nonzero(inside) for _, inside in chosen)
        part = Part(
            name=name, frames=len(errors), share=pixels / total, errors=mean_errors(errors)
        )
        parts.append(part)
    return tuple(parts)
