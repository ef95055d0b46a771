# SPDX-License-Identifier: Apache-2.0
"""Depth errors against true depth, as published and median-scaled, beside one depth everywhere."""

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
    metric_abs_rel: float | None
    """The same as published, in metres; None where the model knows none."""
    constant_abs_rel: float
    """The same for the truth's median as the depth of every pixel."""


def measure(outputs: Path, source: Source, *, metric: bool) -> Accuracy | None:
    """Compare the recorded depth with the truth of the same stamps.

    Args:
        outputs: bag of a run.
        source: what was played.
        metric: whether depth is in metres.

    Returns:
        None if nothing can be compared.
    """
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
    abs_rel, metric_abs_rel, constant_abs_rel = np.mean(errors, axis=0).tolist()
    return Accuracy(
        frames=len(errors),
        abs_rel=abs_rel,
        metric_abs_rel=metric_abs_rel if metric else None,
        constant_abs_rel=constant_abs_rel,
    )


def frame_errors(depth: Depth, true: Depth) -> tuple[float, float, float] | None:
    """abs_rel of one frame, median-scaled, as it is, and of a constant.

    Args:
        depth: [H, W], any unit; not finite where unknown.
        true: [H, W] in metres; not finite where unknown.

    Returns:
        None if too little is known.
    """
    frame = pair('', depth, true)
    if frame is None:
        return None
    constant = frame.guessing(np.ones_like(depth))
    scored = (score(frame, frame.ratio), score(frame, 1.0), score(constant, constant.ratio))
    return scored[0].abs_rel, scored[1].abs_rel, scored[2].abs_rel
