# SPDX-License-Identifier: Apache-2.0
"""Judges a model on the frames of a recording whose true depth is known, beside two guesses.

The guesses never look at the picture: one depth everywhere, and the usual depth at each place of
other frames with truth. Every prediction is scaled to its truth's median.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from monodepth2_training.evaluation.depth_errors import METRICS
from monodepth2_training.evaluation.judgement import Judgement, Scores, judge
from monodepth2_training.evaluation.median_map import median_map
from monodepth2_training.evaluation.scoring import pair
from monodepth2_training.evaluation.true_frames import TrueFrame, TrueFrames, TruthSettings
from numpy.typing import NDArray

from monodepth2_ros.inference.estimator import DepthEstimator
from monodepth2_ros.recordings import open_recording

Depth = NDArray[np.float32]

_SAME_STAMP = TruthSettings(tolerance_s=0.0, keep_hidden=True)


def true_frames(path: Path) -> Iterator[TrueFrame]:
    """Stream the frames of the first camera for whose very stamp there is true depth."""
    with open_recording(path) as recording:
        yield from TrueFrames(recording, _SAME_STAMP)


def judge_model(
    model: Path,
    frames: Sequence[TrueFrame],
    others_m: Sequence[Depth],
    inside: NDArray[np.bool_],
    *,
    cell_px: int,
) -> dict[str, Judgement]:
    """Judge a model and two guesses that never look at the picture.

    Args:
        model: the model file.
        frames: what to judge it on.
        others_m: true depth [H, W] of the frames that the usual depth is taken from.
        inside: bool [H, W], the part of the picture that counts.
        cell_px: within how large a cell truth is gathered; 1 for dense truth.
    """
    usual = median_map(others_m, cell_px=cell_px)
    estimator = DepthEstimator.load(model)
    depths = (estimator.infer(frame.rgb, window=frame.view.window) for frame in frames)
    pairs = (
        pair(f'{frame.stamp_s:.2f} s', depth, frame.true_m, inside=inside)
        for frame, depth in zip(frames, depths, strict=True)
    )
    judged = [frame for frame in pairs if frame is not None]
    return {
        'model': judge(judged, scale=1.0 if estimator.description.scale else None),
        'usual depth of each place': judge([f.guessing(usual) for f in judged], scale=None),
        'one depth everywhere': judge(
            [f.guessing(np.ones_like(usual)) for f in judged], scale=None
        ),
    }


def table(judgements: dict[str, dict[str, Judgement]]) -> str:
    """A markdown table of several judgements by name.

    Each frame is scaled to its truth; a model that knows metres has a second line without that.
    """
    lines = [
        f'| frames | depth | {" | ".join(METRICS)} |',
        f'|---|---|{"---|" * len(METRICS)}',
    ]
    for name, methods in judgements.items():
        for label, judgement in methods.items():
            scale = (
                f' (median scale {judgement.ratio:.3f} ± {judgement.ratio_spread:.1%}, of pixels '
                f'{judgement.pixel_ratio:.3f} ± {judgement.pixel_ratio_spread:.1%})'
            )
            label += scale if label == 'model' else ''
            lines.append(_row(name, label, judgement.scores['frame']))
            if 'metric' in judgement.scores:
                lines.append(_row(name, 'the same in metres', judgement.scores['metric']))
    return '\n'.join(lines)


def _row(name: str, label: str, scores: Scores) -> str:
    values = ' | '.join(f'{getattr(scores.mean, key):.3f}' for key in METRICS)
    return f'| {name} ({len(scores.frames)}) | {label} | {values} |'
