# SPDX-License-Identifier: Apache-2.0
"""Depth errors against true depth, median-scaled, beside those of one depth everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from monodepth2_training.evaluation import truth
from monodepth2_training.evaluation.depth_messages import depth_frames
from monodepth2_training.evaluation.matching import match
from monodepth2_training.evaluation.scoring import pair, score
from numpy.typing import NDArray

from demo.source import Source
from monodepth2_ros.recordings import open_recording

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
        pairs = match(depth_frames(ours, '/depth/image'), true)
        # The player keeps the recorded stamps: depth of another stamp is of another picture.
        found = (frame_errors(both.ours, both.theirs) for both in pairs if not both.later_ns)
        errors = [error for error in found if error is not None]
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
    frame = pair('', depth, true)
    if frame is None:
        return None
    constant = frame.guessing(np.ones_like(depth))
    return score(frame, frame.ratio).abs_rel, score(constant, constant.ratio).abs_rel
