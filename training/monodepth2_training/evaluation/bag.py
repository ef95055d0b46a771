# SPDX-License-Identifier: Apache-2.0
"""Evaluates the depth that is predicted of a recording by the truth that was recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from monodepth2_ros.errors import EvaluationError
from monodepth2_training.evaluation.alignment import (
    Rims,
    alignment_doubts,
    check_alignment,
    rims_of,
)
from monodepth2_training.evaluation.bag_notes import (
    coverage_doubts,
    matching_doubts,
    prediction_doubts,
    truth_facts,
    view_doubts,
)
from monodepth2_training.evaluation.depth_errors import DepthLimits, garg_crop
from monodepth2_training.evaluation.evaluation import (
    DepthResult,
    Doubt,
    Evaluation,
    FrameView,
    Method,
)
from monodepth2_training.evaluation.judgement import judge
from monodepth2_training.evaluation.median_map import CELL_PX, MedianMap
from monodepth2_training.evaluation.scoring import FramePairs, pair, usable_pixels
from monodepth2_training.evaluation.true_frames import TrueFrames, TruthSettings
from monodepth2_training.report.depth_pictures import draw_frame
from monodepth2_training.report.pictures import PAGE_PX, jpeg

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monodepth2_ros.geometry.camera import Window
    from monodepth2_ros.recordings import Recording
    from monodepth2_training.evaluation.bag_predictions import BagPredictions
    from monodepth2_training.evaluation.true_frames import TrueFrame

USUAL, CONSTANT = 'usual depth of each place', 'one depth everywhere'
"""Names of the guesses."""

_MOST_PIXELS = 60_000
_MAP_FRAMES = 64
_SHOWN = 3
_DENSE = 0.2


@dataclass(frozen=True, kw_only=True)
class JudgeSettings:
    """What of each frame is judged."""

    limits: DepthLimits = field(default_factory=DepthLimits)
    """The depths that are judged."""
    garg: bool = False
    """Whether only the part of the picture counts that KITTI's protocol judges."""
    most_frames: int = 500
    """Stop after so many."""


@dataclass(frozen=True, kw_only=True)
class _Judged:
    """What is kept of the frames."""

    pairs: list[FramePairs]
    pictures: list[list[tuple[str, bytes]]]
    rims: list[Rims]
    blank: list[str]


def evaluate_bag(
    recording: Recording,
    predictions: BagPredictions,
    truth: TruthSettings,
    settings: JudgeSettings,
    *,
    on_frame: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Evaluate predictions on a recording; where truth cannot be used, the reason is a doubt.

    Args:
        recording: opened.
        predictions: what is judged.
        truth: where truth comes from.
        settings: what is judged.
        on_frame: told how many frames of how many are done.

    Raises:
        RecordingError: no such camera or topic, or damage.
    """
    try:
        return _evaluate_depth(recording, predictions, truth, settings, on_frame)
    except EvaluationError as err:
        what, _, advice = str(err).partition('. ')
        return Evaluation(
            title=f'Depth on {recording.name}',
            kind='bag',
            facts=[('recording', str(recording.path)), *predictions.facts],
            doubts=[Doubt(what=f'{what}.', advice=f'{advice}.' if advice else '', urgent=True)],
        )


def _evaluate_depth(
    recording: Recording,
    predictions: BagPredictions,
    truth: TruthSettings,
    settings: JudgeSettings,
    on_frame: Callable[[int, int], None],
) -> Evaluation:
    """Judge depth by truth."""
    frames = TrueFrames(recording, truth)
    judged = _Judged(pairs=[], pictures=[], rims=[], blank=[])
    bare = 0
    total = min(settings.most_frames, recording.topic(frames.topic).count // truth.every)
    for done, frame in enumerate(islice(frames, settings.most_frames), start=1):
        bare += not _take(judged, predictions, frame, settings)
        on_frame(done, total)
    alignment = check_alignment(recording, frames.image, frames.view, judged.rims)
    doubts = [
        *view_doubts(frames),
        *prediction_doubts(judged.blank),
        *matching_doubts(frames, truth),
        *coverage_doubts(frames, judged.pairs, bare - len(judged.blank)),
        *alignment_doubts(alignment, lidar=frames.lidar),
        *(
            Doubt(what=note, advice='Depth is compared all the same.', urgent=False)
            for note in frames.view.notes
        ),
    ]
    return Evaluation(
        title=f'Depth on {recording.name}',
        kind='bag',
        facts=[
            ('recording', str(recording.path)),
            *predictions.facts,
            *truth_facts(frames, truth, judged.pairs),
            ('part judged', "KITTI's (Garg)" if settings.garg else 'the whole picture'),
        ],
        doubts=doubts,
        depth=_result(judged, predictions, settings) if judged.pairs else None,
        overlays=[
            (name, jpeg(_seen(rgb, frames.view.window), widest=PAGE_PX))
            for name, rgb in alignment.examples
        ],
    )


def _seen(rgb: NDArray[np.uint8], window: Window) -> NDArray[np.uint8]:
    """The window of a picture, BGR."""
    return np.ascontiguousarray(rgb[window.slices][..., ::-1])


def _take(
    judged: _Judged, predictions: BagPredictions, frame: TrueFrame, settings: JudgeSettings
) -> bool:
    """Predict and keep one frame; False if it has too little truth or depth."""
    window = frame.view.window
    depth = predictions.depth(frame)
    inside = np.ones(depth.shape, np.bool_) if frame.view.valid is None else frame.view.valid
    if settings.garg:
        crop = np.zeros(depth.shape, np.bool_)
        crop[window.slices] = garg_crop(window.height, window.width)
        inside = inside & crop
    name = f'{frame.stamp_s:.2f} s'
    found = pair(name, depth, frame.true_m, inside=inside, limits=settings.limits)
    if found is None:
        if not usable_pixels(depth).any():
            judged.blank.append(name)
        return False
    judged.pictures.append(draw_frame(frame.rgb, depth, found, window))
    judged.pairs.append(_thinned(found))
    judged.rims.append(rims_of(frame))
    return True


def _thinned(frame: FramePairs) -> FramePairs:
    """A frame with every so many of its rows and columns, if it has very many pixels."""
    step = int(np.ceil(np.sqrt(len(frame.pixels) / _MOST_PIXELS)))
    if step < 2:
        return frame
    rows, columns = np.divmod(frame.pixels, frame.width)
    return frame.within((rows % step == step // 2) & (columns % step == step // 2))


def _result(judged: _Judged, predictions: BagPredictions, settings: JudgeSettings) -> DepthResult:
    """Judge the predictions and the guesses."""
    pairs, limits = judged.pairs, settings.limits
    model = judge(pairs, scale=predictions.scale, limits=limits)
    constant = [
        frame.guessing(np.ones((frame.height, frame.width), np.float32)) for frame in pairs
    ]
    errors = [found.abs_rel for found in model.scores['frame'].frames]
    order = np.argsort(errors, kind='stable').tolist()
    shown = min(_SHOWN, max(1, len(order) // 2))
    views = [
        FrameView(
            name=f'{pairs[number].name}, abs_rel {errors[number]:.3f}',
            pictures=judged.pictures[number],
        )
        for number in order
    ]
    return DepthResult(
        limits=limits,
        frames=pairs,
        methods=[
            Method(name=predictions.name, judgement=model),
            *(
                [Method(name=USUAL, judgement=judge(_usual(pairs), scale=1.0, limits=limits))]
                if len(pairs) > 1
                else []
            ),
            Method(name=CONSTANT, judgement=judge(constant, scale=None, limits=limits)),
        ],
        best=views[:shown],
        worst=views[: -shown - 1 : -1] if len(views) > 1 else [],
    )


def _usual(pairs: Sequence[FramePairs]) -> list[FramePairs]:
    """The guess of each place's usual depth in the other frames."""
    chosen = np.unique(np.linspace(0, len(pairs) - 1, _MAP_FRAMES).round().astype(int)).tolist()
    dense = len(pairs[0].pixels) > _DENSE * pairs[0].height * pairs[0].width
    places = MedianMap.of_frames(
        [pairs[number] for number in chosen], cell_px=CELL_PX // 4 if dense else CELL_PX
    )
    common = places.median()
    own = {number: places.median(without=place) for place, number in enumerate(chosen)}
    return [frame.guessing(own.get(number, common)) for number, frame in enumerate(pairs)]
