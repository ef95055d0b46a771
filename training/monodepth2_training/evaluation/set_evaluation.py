# SPDX-License-Identifier: Apache-2.0
"""Judges predictions on a data set, by the rules of the published evaluations.

Inverse depth is brought to the truth's size first and inverted then. Unlike the node's own
upsampling this blurs edges; the papers' figures are made so, and only so they compare.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import EvaluationError
from monodepth2_training.evaluation.data_set import DataSet, SetFrame
from monodepth2_training.evaluation.depth_errors import DepthLimits
from monodepth2_training.evaluation.evaluation import (
    DepthResult,
    Doubt,
    Evaluation,
    FrameView,
    Method,
)
from monodepth2_training.evaluation.judgement import Judgement, judge
from monodepth2_training.evaluation.scoring import FramePairs, pair, usable_pixels
from monodepth2_training.evaluation.set_predictions import Predictions
from monodepth2_training.report.depth_pictures import draw_frame

Progress = Callable[[int, int], None]

_SHOWN = 3


def evaluate_set(
    data: DataSet,
    predictions: Predictions,
    *,
    facts: tuple[tuple[str, str], ...] = (),
    progress: Progress | None = None,
) -> Evaluation:
    """Judge predictions on all frames of a set that are there.

    Args:
        data: the frames and rules.
        predictions: what is judged.
        facts: more to say about what was judged.
        progress: called with the number of frames done and of all.

    Raises:
        EvaluationError: no frame can be judged.
    """
    frames = _all_pairs(data, predictions, progress)
    judgement = judge(frames, scale=predictions.scale, limits=data.limits)
    method = Method(name=predictions.name, judgement=judgement)
    views = _views(data, frames, predictions, judgement)
    shown = min(_SHOWN, max(1, len(frames) // 2))
    return Evaluation(
        title=f'{predictions.name} on {data.title}',
        kind=data.kind,
        facts=(
            ('predictions', predictions.name),
            ('data set', data.title),
            ('frames', f'{len(frames)} of {len(data.frames)} that are there'),
            *facts,
            *predictions.facts,
        ),
        doubts=(*_doubts(data, len(frames)), *predictions.doubts),
        depth=DepthResult(
            limits=data.limits,
            frames=frames,
            methods=(method, _constant(frames, data.limits)),
            best=views[:shown],
            worst=views[: -shown - 1 : -1] if len(frames) > 1 else [],
        ),
    )


def _all_pairs(
    data: DataSet, predictions: Predictions, progress: Progress | None
) -> list[FramePairs]:
    """The judged pixels of all frames that have enough of them."""
    frames = []
    for done, frame in enumerate(data.frames, 1):
        paired = judged_pixels(data, frame, predictions)
        if paired is not None:
            frames.append(paired)
        if progress is not None:
            progress(done, len(data.frames))
    if not frames:
        raise EvaluationError(_nothing(data, predictions))
    return frames


def judged_pixels(data: DataSet, frame: SetFrame, predictions: Predictions) -> FramePairs | None:
    """The pixels of one frame that are judged; None where too few have truth."""
    true_m = frame.read_truth()
    depth = depth_of_size(predictions.inverse_depth(frame), *true_m.shape, nearest=data.nearest)
    inside = None if data.crop is None else data.crop(*true_m.shape)
    return pair(frame.name, depth, true_m, inside=inside, limits=data.truth_limits)


def depth_of_size(
    inverse_depth: NDArray[np.float32], height: int, width: int, *, nearest: bool = False
) -> NDArray[np.float32]:
    """Depth [height, width] of inverse depth [h, w], resized before it is inverted."""
    how = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
    inverse = cv2.resize(inverse_depth, (width, height), interpolation=how)
    with np.errstate(divide='ignore'):
        return np.asarray(np.float32(1.0) / inverse, np.float32)


def _views(
    data: DataSet, frames: list[FramePairs], predictions: Predictions, judgement: Judgement
) -> list[FrameView]:
    """Pictures of the best and the worst frames, best first; none where truth has another size."""
    errors = [errors.abs_rel for errors in judgement.scores['frame'].frames]
    order = np.argsort(errors, kind='stable').tolist()
    ends = order if len(order) <= 2 * _SHOWN else [*order[:_SHOWN], *order[-_SHOWN:]]
    files = {frame.name: frame for frame in data.frames}
    views = []
    for number in ends:
        pairs, frame = frames[number], files[frames[number].name]
        rgb = frame.read_picture()
        if rgb.shape[:2] != (pairs.height, pairs.width):
            continue
        depth = depth_of_size(predictions.inverse_depth(frame), pairs.height, pairs.width)
        name = f'{pairs.name}, abs_rel {errors[number]:.3f}'
        views.append(FrameView(name=name, pictures=draw_frame(rgb, depth, pairs)))
    return views


def missing_doubts(data: DataSet) -> tuple[Doubt, ...]:
    """Which files of a set are missing, if any: figures then compare with no published ones."""
    if not data.missing.paths:
        return ()
    return (Doubt(what=f'{data.missing.text()}.', advice=data.missing.remedy, urgent=True),)


def _doubts(data: DataSet, judged: int) -> tuple[Doubt, ...]:
    """What makes the figures incomparable with published ones."""
    bare = len(data.frames) - judged
    if not bare:
        return missing_doubts(data)
    few = Doubt(
        what=f'{bare} frames have too little truth to be judged.',
        advice='Look whether their files are whole.',
        urgent=False,
    )
    return (*missing_doubts(data), few)


def _nothing(data: DataSet, predictions: Predictions) -> str:
    """Why nothing could be judged."""
    seen = (usable_pixels(predictions.inverse_depth(frame)).any() for frame in data.frames)
    if data.frames and not any(seen):
        return (
            f'no frame of {data.title} can be judged: {predictions.name} is unusable, because no '
            'value is finite and positive; look at the predictions'
        )
    missing = data.missing
    if missing.paths:
        return f'no frame of {data.title} can be judged: {missing.text()}; {missing.remedy}'
    return f'no frame of {data.title} has enough truth to be judged'


def _constant(frames: list[FramePairs], limits: DepthLimits) -> Method:
    """The guess that all is equally far: pictures of several sizes have no common median map."""
    middle = float(np.median([np.median(frame.true_m) for frame in frames]))
    guesses = [frame.guessing(np.full((frame.height, frame.width), middle)) for frame in frames]
    return Method(name='constant depth', judgement=judge(guesses, scale=1.0, limits=limits))
