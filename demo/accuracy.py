# SPDX-License-Identifier: Apache-2.0
"""Depth errors against true depth, median-scaled, beside those of one depth everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from monodepth2_training.evaluation import truth
from monodepth2_training.evaluation.depth_errors import depth_errors, known_pixels
from monodepth2_training.evaluation.depth_messages import depth_frames
from numpy.typing import NDArray

from demo.source import Source
from monodepth2_ros.recordings import open_recording

_FEWEST_PIXELS = 100

Depth = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Mean errors over the frames that have true depth."""

    frames: int
    """Frames compared."""
    abs_rel: float
    """Mean of |depth - truth| / truth, each frame's depth scaled to the truth's median."""
    constant_abs_rel: float
    """The same for the truth's median as the depth of every pixel."""


def measure(outputs: Path, source: Source) -> Accuracy | None:
    """Compare the recorded depth with the truth of the same stamps; None if none can be."""
    if source.truth_topic is None:
        return None
    with open_recording(outputs) as ours, open_recording(source.path) as theirs:
        true = truth.frames(theirs, source.truth_topic, source.camera, truth.view_of(ours))
        pairs = _pairs(depth_frames(ours, '/depth/image'), true)
        errors = [error for pair in pairs if (error := frame_errors(*pair)) is not None]
    if not errors:
        return None
    mean = np.mean(errors, axis=0)
    return Accuracy(frames=len(errors), abs_rel=float(mean[0]), constant_abs_rel=float(mean[1]))


def frame_errors(depth: Depth, true: Depth) -> tuple[float, float] | None:
    """abs_rel of one frame, median-scaled, and of a constant; None if too little is known.

    Args:
        depth: [H, W], any unit; not finite where unknown.
        true: [H, W] in metres; not finite where unknown.
    """
    if depth.shape != true.shape:
        return None
    known = known_pixels(true) & np.isfinite(depth) & (depth > 0)
    if np.count_nonzero(known) < _FEWEST_PIXELS:
        return None
    depth, true = depth[known], true[known]
    middle = np.median(true)
    scaled = depth * (middle / np.median(depth))
    constant = np.full_like(true, middle)
    return depth_errors(scaled, true).abs_rel, depth_errors(constant, true).abs_rel


def _pairs(
    ours: Iterator[tuple[int, Depth]], theirs: Iterator[tuple[int, Depth]]
) -> Iterator[tuple[Depth, Depth]]:
    stamp_ns, true = next(theirs, (None, None))
    for wanted_ns, depth in ours:
        while stamp_ns is not None and stamp_ns < wanted_ns:
            stamp_ns, true = next(theirs, (None, None))
        if stamp_ns == wanted_ns and true is not None:
            yield depth, true
