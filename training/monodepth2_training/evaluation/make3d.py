# SPDX-License-Identifier: Apache-2.0
"""Make3D's test pictures and laser depth as a data set (Saxena et al., PAMI 2009).

Judged as in table 3 of the paper: the central half square of the upright pictures (2 wide, 1 high)
and the 21 of 55 laser rows that lie in it, truth under 70 m ("C1"), each picture scaled to its
truth's median, predictions brought to the laser's 21 x 305 by the nearest value.

| file below the root | what |
|---|---|
| ``Test134/img-NAME.jpg`` | picture, 2272 rows of 1704 |
| ``Gridlaserdata/depth_sph_corr-NAME.mat`` | ``Position3DGrid`` [55, 305, 4], depth in the last |
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import EvaluationError
from monodepth2_ros.optional_packages import load_package
from monodepth2_training.evaluation.data_set import DataSet, Depth, SetFrame
from monodepth2_training.evaluation.depth_errors import DepthLimits
from monodepth2_training.evaluation.missing_files import look_for
from monodepth2_training.prediction.image_files import read_image

FRAMES = 134
"""How many test pictures there are."""

LIMITS = DepthLimits(max_depth_m=70.0)
"""Of C1."""

_DOWNLOAD = (
    'download Test134 and Gridlaserdata (the laser depth of the test pictures) from '
    'cs.stanford.edu/group/reconstruction3d'
)
_PICTURES, _DEPTHS = 'Test134', 'Gridlaserdata'
_GRID, _DEPTH_CHANNEL, _ASPECT = 'Position3DGrid', 3, 2.0
_GRID_ROWS, _KEPT_ROWS = 55, 21


def make3d_set(root: Path) -> DataSet:
    """Find the test pictures that have laser depth, and the names of those without.

    Raises:
        EvaluationError: there is no picture, or scipy is not installed.
    """
    _mat_reader()
    pictures = sorted((root / _PICTURES).glob('img-*.jpg'))
    if not pictures:
        raise EvaluationError(f'{root / _PICTURES} holds no img-*.jpg: {_DOWNLOAD}')
    names = [path.stem.removeprefix('img-') for path in pictures]
    depths = [root / _DEPTHS / f'depth_sph_corr-{name}.mat' for name in names]
    return DataSet(
        title='Make3D, 2x1 crop, under 70 m',
        kind='make3d',
        frames=[
            SetFrame(
                name=name,
                position=position,
                read_picture=partial(_read_half_square, picture),
                read_truth=partial(read_laser_depth, depth),
            )
            for position, (name, picture, depth) in enumerate(
                zip(names, pictures, depths, strict=True)
            )
            if depth.is_file()
        ],
        missing=look_for(depths, remedy=_DOWNLOAD),
        truth_limits=LIMITS,
        limits=LIMITS,
        nearest=True,
    )


def read_laser_depth(path: Path) -> Depth:
    """Read the judged rows of a laser depth file: float32 [21, 305] in metres.

    Raises:
        EvaluationError: it cannot be read or holds something else.
    """
    try:
        grid = np.asarray(_mat_reader()(path)[_GRID])
    except (OSError, KeyError, ValueError, TypeError, NotImplementedError) as err:
        raise EvaluationError(f'{path} holds no {_GRID}: {err}') from err
    if grid.ndim != 3 or grid.shape[0] != _GRID_ROWS or grid.shape[2] <= _DEPTH_CHANNEL:
        raise EvaluationError(f'{path}: {_GRID} is {list(grid.shape)}, expected [55, 305, 4]')
    top = (_GRID_ROWS - _KEPT_ROWS) // 2
    return np.asarray(grid[top : top + _KEPT_ROWS, :, _DEPTH_CHANNEL], np.float32)


def half_square(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The rows in the middle of a picture [H, W, 3] that make it twice as wide as high."""
    rows = min(round(rgb.shape[1] / _ASPECT), rgb.shape[0])
    top = (rgb.shape[0] - rows) // 2
    return rgb[top : top + rows]


def _read_half_square(path: Path) -> NDArray[np.uint8]:
    return half_square(read_image(path))


def _mat_reader() -> Callable[[Path], dict[str, Any]]:
    """What reads Matlab files."""
    cannot = "Make3D's Matlab files cannot be read"
    reader: Callable[[Path], dict[str, Any]] = load_package(
        'scipy.io', cannot=cannot, error=EvaluationError
    ).loadmat
    return reader
