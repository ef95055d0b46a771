# SPDX-License-Identifier: Apache-2.0
"""The pictures of KITTI's depth benchmark, whose truth only the server has."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from monodepth2_ros.errors import EvaluationError
from monodepth2_training.evaluation.data_set import DataSet, Depth, SetFrame
from monodepth2_training.evaluation.missing_files import look_for
from monodepth2_training.prediction.image_files import read_image

PICTURES = 500
"""How many there are."""

_DOWNLOAD = (
    'download "manually selected validation and test data sets" from '
    'cvlibs.net/datasets/kitti/eval_depth.php?benchmark=depth_prediction and give its folder '
    'depth_selection/test_depth_prediction_anonymous'
)


def server_set(folder: Path) -> DataSet:
    """The pictures ``image/0000000000.png`` on of a folder, or those in the folder itself.

    Raises:
        EvaluationError: there is none.
    """
    place = pictures_folder(folder)
    wanted = [place / f'{number:010d}.png' for number in range(PICTURES)]
    missing = look_for(wanted, remedy=_DOWNLOAD)
    there = [(n, path) for n, path in enumerate(wanted) if path.is_file()]
    if not there:
        raise EvaluationError(f'{missing.text()}; {missing.remedy}')
    return DataSet(
        title="KITTI's depth server",
        kind='kitti',
        frames=[
            SetFrame(
                name=path.name,
                position=number,
                read_picture=partial(read_image, path),
                read_truth=_unknown,
            )
            for number, path in there
        ],
        missing=missing,
    )


def pictures_folder(folder: Path) -> Path:
    """Where the pictures of a folder are: in ``image``, if it has that, or in itself."""
    return folder / 'image' if (folder / 'image').is_dir() else folder


def _unknown() -> Depth:
    return np.full((1, 1), np.nan, np.float32)
