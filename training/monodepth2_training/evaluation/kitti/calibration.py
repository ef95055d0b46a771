# SPDX-License-Identifier: Apache-2.0
"""The calibration of a KITTI recording day: how its lidar lies to its colour cameras.

Source: Geiger et al., "Vision meets Robotics: The KITTI Dataset", IJRR 2013, section 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import EvaluationError
from monodepth2_ros.geometry.camera import PinholeCamera
from monodepth2_ros.recordings.kitti_drive import CALIBRATION, read_entries

CAMERA_FILE, LIDAR_FILE = CALIBRATION, 'calib_velo_to_cam.txt'
"""Names of both files in the folder of a day."""

Numbers = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class KittiCalibration:
    """How a point of the lidar gets into a rectified picture."""

    width: int
    """Columns of the rectified pictures."""
    height: int
    """Rows of the rectified pictures."""
    P_lidar_to_image: Numbers
    """[3, 4] maps homogeneous points of the lidar (x forward, y left, z up) to pixels times z."""


def read_calibration(day: Path, *, camera: int = 2) -> KittiCalibration:
    """Read the calibration in the folder of a day.

    Args:
        day: such as ``2011_09_26``, with both files in it.
        camera: 2 left colour, 3 right colour.

    Raises:
        RecordingError: a file is missing.
        EvaluationError: a file lacks an entry.
    """
    cameras, lidar = day / CAMERA_FILE, day / LIDAR_FILE
    entries, mounting = read_entries(cameras), read_entries(lidar)
    T_lidar_to_camera, rectifying = np.eye(4), np.eye(4)
    T_lidar_to_camera[:3, :3] = _entry(mounting, 'R', (3, 3), lidar)
    T_lidar_to_camera[:3, 3] = _entry(mounting, 'T', (3,), lidar)
    rectifying[:3, :3] = _entry(entries, 'R_rect_00', (3, 3), cameras)
    P = _entry(entries, f'P_rect_{camera:02d}', (3, 4), cameras)
    width, height = _size(entries, cameras)
    return KittiCalibration(
        width=width, height=height, P_lidar_to_image=P @ rectifying @ T_lidar_to_camera
    )


def read_camera(day: Path, *, camera: int = 2) -> PinholeCamera | None:
    """Read what took a day's rectified pictures; None where the day has no such calibration.

    Raises:
        EvaluationError: the file lacks an entry.
    """
    path = day / CAMERA_FILE
    if not path.is_file():
        return None
    entries = read_entries(path)
    P = _entry(entries, f'P_rect_{camera:02d}', (3, 4), path)
    width, height = _size(entries, path)
    return PinholeCamera(
        width=width, height=height, fx_px=P[0, 0], fy_px=P[1, 1], cx_px=P[0, 2], cy_px=P[1, 2]
    )


def _size(entries: dict[str, Numbers], path: Path) -> tuple[int, int]:
    """Columns and rows: those of camera 2 for both, as in all published evaluations."""
    width, height = _entry(entries, 'S_rect_02', (2,), path).astype(int).tolist()
    return width, height


def _entry(entries: dict[str, Numbers], name: str, shape: tuple[int, ...], path: Path) -> Numbers:
    """One entry in its shape."""
    values = entries.get(name, np.empty(0))
    if values.size != np.prod(shape):
        raise EvaluationError(
            f'{path} has {values.size} numbers under {name}: expected {np.prod(shape)}'
        )
    return values.reshape(shape)
