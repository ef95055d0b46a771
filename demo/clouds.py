# SPDX-License-Identifier: Apache-2.0
"""Point clouds of a frame: the node's, and the one that true depth makes of the same picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.geometry.camera import CameraCalibration
from monodepth2_ros.geometry.projection import pixel_rays
from monodepth2_ros.geometry.rectification import Rectifier

_DENSE = 0.3


@dataclass(frozen=True)
class Cloud:
    """Coloured points in the camera's optical frame."""

    points: NDArray[np.float32]
    """[N, 3] in metres, or in network units if the scale is unknown."""
    colors: NDArray[np.uint8]
    """[N, 3] as BGR."""


def is_dense(depth: NDArray[np.float32]) -> bool:
    """Whether a depth image is known at more than the scattered points of a lidar."""
    return float(np.isfinite(depth).mean()) > _DENSE


def true_cloud(
    depth_m: NDArray[np.float32],
    picture: NDArray[np.uint8],
    calibration: CameraCalibration,
    *,
    stride: int,
) -> Cloud:
    """The cloud that true depth makes, its points as dense as the node's.

    Args:
        depth_m: [H, W] of the rectified view, in metres; not finite where unknown.
        picture: BGR [H, W, 3] as recorded.
        calibration: of the picture.
        stride: every so many pixels become a point; all that are known, if those are few.
    """
    view = calibration.rectified_camera()
    if calibration.needs_rectification:
        picture = Rectifier(calibration).rectify(picture)
    step = stride if is_dense(depth_m) else 1
    depth, rays = depth_m[::step, ::step], pixel_rays(view)[::step, ::step]
    known = np.isfinite(depth) & (depth > 0)
    z = depth[known][:, None]
    points = np.concatenate([rays[known] * z, z], axis=1)
    return Cloud(points=points, colors=picture[::step, ::step][known])
