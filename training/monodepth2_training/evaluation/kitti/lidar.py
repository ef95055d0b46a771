# SPDX-License-Identifier: Apache-2.0
"""True depth of a KITTI picture from one lidar scan, as the Eigen split defines it.

Three rules of that definition are odd and kept, because all published figures rest on them: depth
is x of the lidar's own frame (the paper's comparison, and those before it), a pixel is the rounded
projection minus one (KITTI's Matlab counts from one), and points behind the camera are told by x
of the lidar. Where several points hit a pixel, the nearest counts.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import EvaluationError
from monodepth2_training.evaluation.kitti.calibration import KittiCalibration

_FLOATS = 4


def read_points(path: Path) -> NDArray[np.float64]:
    """Read a scan: float64 [N, 3] in metres, x forward, y left, z up.

    Raises:
        EvaluationError: the file cannot be read or is no scan.
    """
    try:
        values = np.fromfile(path, '<f4')
    except OSError as err:
        raise EvaluationError(f'{path} cannot be read: {err.strerror or err}') from err
    if not values.size or values.size % _FLOATS:
        raise EvaluationError(
            f'{path} holds {values.size} numbers: expected x y z and reflectance of each point'
        )
    return values.reshape(-1, _FLOATS)[:, :3].astype(np.float64)


def lidar_depth(
    points_m: NDArray[np.float64], calibration: KittiCalibration
) -> NDArray[np.float32]:
    """Depth image of a scan.

    Args:
        points_m: float64 [N, 3] in the lidar's frame.
        calibration: of the day and camera.

    Returns:
        float32 [H, W] in metres, NaN where no point is.
    """
    ahead = points_m[points_m[:, 0] >= 0.0]
    pixels = ahead @ calibration.P_lidar_to_image[:, :3].T + calibration.P_lidar_to_image[:, 3]
    with np.errstate(divide='ignore', invalid='ignore'):
        places = np.round(pixels[:, :2] / pixels[:, 2:]) - 1.0
    inside = (places >= 0.0).all(axis=1)
    inside &= (places < (calibration.width, calibration.height)).all(axis=1)
    columns, rows = places[inside].astype(np.int64).T
    depth_m = ahead[inside, 0]
    # The nearest point of a pixel is written last.
    order = np.argsort(-depth_m, kind='stable')
    image = np.full((calibration.height, calibration.width), np.nan, np.float32)
    image[rows[order], columns[order]] = depth_m[order]
    return image
