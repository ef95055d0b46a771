# SPDX-License-Identifier: Apache-2.0
"""The paper's odometry figure: trajectory errors of snippets of five frames.

Source: Godard et al., ICCV 2019, supplementary table 4, as Zhou et al. (CVPR 2017) compute it. Two
oddities are kept, because all published figures share them: the root of the summed squares is
divided by the number of frames, not by its root, which makes the figure 1/sqrt(5) of a root mean
square; and positions are those of the chained ``T_earlier_to_later``, the inverse of the
trajectory. At the end of a sequence snippets are shorter. Each is scaled to its truth.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import EvaluationError
from monodepth2_training.evaluation.odometry.poses import Transforms

SNIPPET_FRAMES = 5
"""Frames of a snippet."""


def snippet_errors(
    predicted: Transforms, true: Transforms, *, frames: int = SNIPPET_FRAMES
) -> NDArray[np.float64]:
    """Error of the snippet that begins with each motion.

    Args:
        predicted: motions ``T_earlier_to_later`` [N, 4, 4] in any unit.
        true: the same in metres.
        frames: of a snippet, at least two.

    Returns:
        float64 [N] in metres, divided as above.

    Raises:
        EvaluationError: the numbers of motions differ, or are none.
    """
    if len(predicted) != len(true) or not len(true):
        raise EvaluationError(
            f'{len(predicted)} predicted and {len(true)} true motions: expected as many, and some'
        )
    starts = range(len(true))
    return np.array(
        [_error(predicted[i : i + frames - 1], true[i : i + frames - 1]) for i in starts]
    )


def _error(predicted: Transforms, true: Transforms) -> float:
    """Error of one snippet."""
    ours, theirs = _positions(predicted), _positions(true)
    length = float((ours * ours).sum())
    # Who does not move at all stays at the start, whatever the scale.
    scale = float((theirs * ours).sum()) / length if length else 0.0
    return float(np.sqrt(((scale * ours - theirs) ** 2).sum()) / len(theirs))


def _positions(motions: Transforms) -> NDArray[np.float64]:
    """Translations [N + 1, 3] of the chained motions, from the origin on."""
    chained, places = np.eye(4), [np.zeros(3)]
    for T_earlier_to_later in motions:
        chained = chained @ T_earlier_to_later
        places.append(chained[:3, 3])
    return np.array(places)
