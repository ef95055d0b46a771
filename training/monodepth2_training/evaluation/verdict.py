# SPDX-License-Identifier: Apache-2.0
"""A whole evaluation in a sentence or two, which say first what must not be believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monodepth2_training.evaluation.evaluation import DepthResult, Evaluation

SCALING_TITLES = {
    'metric': 'In metres, as the model says',
    'recording': 'With one factor for the recording',
    'frame': 'With each frame scaled to its own truth, as the papers do',
}
"""What each scaling is called, in the order of reports."""

_SIMILAR = 0.03


def verdict(evaluation: Evaluation) -> str:
    """The evaluation in a sentence or two."""
    urgent = [doubt for doubt in evaluation.doubts if doubt.urgent]
    warning = f'Do not believe the figures yet: {urgent[0].what}' if urgent else ''
    if evaluation.depth is None:
        usual = 'There is no true depth to compare with; see what can be said without.'
        return warning or evaluation.headline or usual
    return f'{warning} {_against_guesses(evaluation.depth)}{_metres(evaluation.depth)}'.strip()


def _against_guesses(depth: DepthResult) -> str:
    """How much better than a guess depth is, once scale is forgiven."""
    model, *guesses = (m.judgement.scores['frame'].mean for m in depth.methods)
    frames = len(depth.frames)
    said = f'abs_rel {model.abs_rel:.3f} over {frames} frame{"" if frames == 1 else "s"}'
    said += ', each scaled to its truth'
    if not guesses:
        return f'{said}.'
    best = min(guess.abs_rel for guess in guesses)
    if model.abs_rel < (1.0 - _SIMILAR) * best:
        gain = 1.0 - model.abs_rel / best
        return f'{said}: {gain:.0%} less than the best guess that never looks ({best:.3f}).'
    if model.abs_rel <= (1.0 + _SIMILAR) * best:
        return f'{said}: no better than a guess that never looks at the picture ({best:.3f}).'
    return f'{said}: worse than a guess that never looks at the picture ({best:.3f}).'


def _metres(depth: DepthResult) -> str:
    """What is said about metres."""
    judgement = depth.methods[0].judgement
    recording = judgement.scores['recording'].mean.abs_rel
    if 'metric' not in judgement.scores:
        return (
            f' The model knows no metres; with one factor, {judgement.ratio:.3g}, abs_rel is '
            f'{recording:.3f} and its scale varies by {judgement.ratio_spread:.0%} over the '
            'frames.'
        )
    metric = judgement.scores['metric']
    farther = judgement.pixel_ratio / metric.factors[0]
    return (
        f' In the metres of its model file abs_rel is {metric.mean.abs_rel:.3f}; truth is '
        f'{farther:.3f} times as far in the median pixel, varying by '
        f'{judgement.pixel_ratio_spread:.0%} over the frames.'
    )
