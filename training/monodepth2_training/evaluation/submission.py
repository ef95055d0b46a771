# SPDX-License-Identifier: Apache-2.0
"""Writes predictions as KITTI's depth benchmark server takes them: a folder of PNGs."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import EvaluationError
from monodepth2_training.evaluation.data_set import DataSet
from monodepth2_training.evaluation.evaluation import Evaluation
from monodepth2_training.evaluation.kitti.raw import PNG_PER_METRE
from monodepth2_training.evaluation.set_evaluation import depth_of_size, missing_doubts
from monodepth2_training.evaluation.set_predictions import Predictions

SUBMISSION_SIZE = (1216, 352)
"""Columns and rows of the pictures of the server."""

_MOST_M = 80.0


def submit(data: DataSet, predictions: Predictions, folder: Path) -> Evaluation:
    """Write the depth of every frame of the server's list.

    Raises:
        EvaluationError: the predictions know no metres, or a picture cannot be written.
    """
    scale = predictions.scale
    if scale is None:
        raise EvaluationError(
            f'{predictions.name} knows no metres, and the server has no median scaling: give a '
            'model file with a scale, or --scale beside --predictions'
        )
    for frame in data.frames:
        write_submission(folder, frame.position, predictions.inverse_depth(frame), scale)
    return Evaluation(
        title=f'{predictions.name} for {data.title}',
        kind=data.kind,
        facts=(
            ('predictions', predictions.name),
            ('pictures', str(len(data.frames))),
            ('written to', str(folder)),
            ('scale', f'{scale:.4g} m per unit'),
            *predictions.facts,
        ),
        doubts=(*missing_doubts(data), *predictions.doubts),
        headline=f'{len(data.frames)} depth pictures are ready: zip {folder.name} and submit it.',
    )


def write_submission(
    folder: Path, number: int, inverse_depth: NDArray[np.float32], scale: float
) -> Path:
    """Write one depth picture for KITTI's server: 16 bits, metres times 256, 1216x352.

    Args:
        folder: where to; it is made.
        number: of the picture among those of the server's list.
        inverse_depth: float32 [h, w].
        scale: metres per unit of depth.

    Raises:
        EvaluationError: it cannot be written.
    """
    width, height = SUBMISSION_SIZE
    depth_m = np.minimum(scale * depth_of_size(inverse_depth, height, width), _MOST_M)
    path = folder / f'{number:010d}.png'
    try:
        folder.mkdir(parents=True, exist_ok=True)
        done = cv2.imwrite(str(path), (depth_m * PNG_PER_METRE).astype(np.uint16))
    except OSError as err:
        raise EvaluationError(f'{path} cannot be written: {err.strerror or err}') from err
    if not done:
        raise EvaluationError(f'{path} cannot be written: is there room?')
    return path
