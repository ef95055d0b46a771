# SPDX-License-Identifier: Apache-2.0
"""What to know about the truth of a recording: what the stamps say, how much of it there is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from monodepth2_training.evaluation.evaluation import Doubt
from monodepth2_training.evaluation.scoring import FEWEST_PIXELS, FramePairs

if TYPE_CHECKING:
    from monodepth2_training.evaluation.true_frames import TrueFrames, TruthSettings

_FEW_PIXELS = 1_000
_NOTABLE_DELAY_S = 0.005


def view_doubts(frames: TrueFrames) -> list[Doubt]:
    """Whether depth images are of this camera at all."""
    if not frames.other_view:
        return []
    return [
        Doubt(
            what=f'The truth is of another view than the pictures: {frames.other_view}.',
            advice='Record depth that is aligned to the pictures.',
            urgent=True,
        )
    ]


def matching_doubts(frames: TrueFrames, truth: TruthSettings) -> list[Doubt]:
    """What the stamps say."""
    later_s = np.array(frames.later_s)
    doubts = []
    if len(frames.unusable):
        doubts.append(
            Doubt(
                what=f'{len(frames.unusable)} frames cannot be read: {frames.unusable[0]}.',
                advice='They are left out.',
                urgent=False,
            )
        )
    within = np.abs(later_s) <= truth.tolerance_s
    if not len(later_s) or not within.any():
        apart = f'{np.median(later_s):+.3f} s' if len(later_s) else 'unknown'
        doubts.append(
            Doubt(
                what=f'No truth is within {truth.tolerance_s * 1e3:.0f} ms of a picture: by its '
                f'stamps it is {apart} later, in the median over {len(later_s)} pairs.',
                advice='If the clocks differ, add --truth-delay-ms; if both run at their own '
                'pace, allow more with --tolerance-ms.',
                urgent=True,
            )
        )
        return doubts
    delay_s = float(np.median(np.abs(later_s[within])))
    if delay_s > _NOTABLE_DELAY_S:
        doubts.append(
            Doubt(
                what=f'Truth and picture are {delay_s * 1e3:.0f} ms apart in the median.',
                advice='At 10 m/s that is '
                f'{delay_s * 10.0:.2f} m; {frames.motion or "nothing makes up for it"}.',
                urgent=False,
            )
        )
    return doubts


def prediction_doubts(blank: Sequence[str]) -> list[Doubt]:
    """Whether there is depth to be judged, by the names of the frames without any."""
    if not blank:
        return []
    return [
        Doubt(
            what=f'The predictions of {len(blank)} frames are unusable, the first at {blank[0]}: '
            'no value is finite and positive.',
            advice='Look at the predictions: they are left out.',
            urgent=True,
        )
    ]


def coverage_doubts(frames: TrueFrames, pairs: Sequence[FramePairs], bare: int) -> list[Doubt]:
    """Whether truth reaches the picture at all."""
    source = 'the extrinsics' if frames.lidar else 'that depth and picture are of one view'
    if not pairs and bare:
        return [
            Doubt(
                what=f'None of {bare} frames has {FEWEST_PIXELS} pixels with truth: nearly no '
                f'point of {frames.topic} falls into the picture or into the judged range.',
                advice=f'Check {source}.',
                urgent=True,
            )
        ]
    few = float(np.median([len(frame.pixels) for frame in pairs])) if pairs else _FEW_PIXELS
    if few < _FEW_PIXELS or bare > len(pairs):
        return [
            Doubt(
                what=f'Little truth falls into the picture: {few:.0f} pixels a frame in the '
                f'median, and {bare} frames with fewer than {FEWEST_PIXELS}.',
                advice=f'Check {source}.',
                urgent=True,
            )
        ]
    return []


def truth_facts(
    frames: TrueFrames, truth: TruthSettings, pairs: Sequence[FramePairs]
) -> list[tuple[str, str]]:
    """What was compared with what."""
    kind = 'lidar' if frames.lidar else 'depth images'
    mounting = 'from a file' if truth.extrinsics is not None else 'from /tf_static'
    scan = f', mounted as told {mounting}; {frames.motion}' if frames.lidar else ''
    hidden = '' if truth.keep_hidden or not frames.lidar else '; hidden points are left out'
    matched = sum(abs(later) <= truth.tolerance_s for later in frames.later_s)
    pixels = np.median([len(frame.pixels) for frame in pairs]) if pairs else 0
    return [
        ('camera', frames.image),
        ('truth', f'{kind} of {frames.topic}{scan}{hidden}'),
        ('stamps', f'{matched} pairs within {truth.tolerance_s * 1e3:.0f} ms'),
        ('delay taken off', f'{truth.delay_s * 1e3:.0f} ms' if truth.delay_s else 'none'),
        ('frames judged', f'{len(pairs)}, {pixels:.0f} pixels each in the median'),
    ]
