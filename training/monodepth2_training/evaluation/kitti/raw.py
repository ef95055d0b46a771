# SPDX-License-Identifier: Apache-2.0
"""KITTI's raw drives as a data set: true depth from the lidar, or the improved one.

| file below the root | what |
|---|---|
| ``DAY/calib_cam_to_cam.txt``, ``calib_velo_to_cam.txt`` | calibration |
| ``DAY/DRIVE/image_02/data/FRAME.png`` (or .jpg) | picture |
| ``DAY/DRIVE/velodyne_points/data/FRAME.bin`` | lidar scan |
| ``DAY/DRIVE/proj_depth/groundtruth/image_02/FRAME.png`` | improved truth, metres times 256 |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import ConfigError, EvaluationError
from monodepth2_ros.typed_document import nearest
from monodepth2_training.evaluation.data_set import DataSet, Depth, SetFrame
from monodepth2_training.evaluation.depth_errors import DepthLimits, Mask, garg_crop
from monodepth2_training.evaluation.kitti.calibration import (
    CAMERA_FILE,
    LIDAR_FILE,
    KittiCalibration,
    read_calibration,
    read_camera,
)
from monodepth2_training.evaluation.kitti.lidar import lidar_depth, read_points
from monodepth2_training.evaluation.kitti.split import SplitEntry
from monodepth2_training.evaluation.missing_files import look_for
from monodepth2_training.prediction.image_files import read_image

TRUTHS = ('lidar', 'improved')
"""Where true depth comes from: one scan, or the depth benchmark's eleven (Uhrig et al.)."""

PNG_PER_METRE = 256.0
"""Value of a 16-bit depth PNG of KITTI at one metre."""

_DOWNLOAD = (
    'download the "synced+rectified data" and "calibration" of the drives from '
    'cvlibs.net/datasets/kitti/raw_data.php'
)
_DOWNLOAD_IMPROVED = (
    f'{_DOWNLOAD}, and the "annotated depth maps" from '
    'cvlibs.net/datasets/kitti/eval_depth.php?benchmark=depth_prediction; put their proj_depth '
    'folders into the folders of the drives'
)
_EIGEN_ROWS, _EIGEN_COLUMNS = (0.3324324, 0.91351351), (0.0359477, 0.96405229)


def eigen_crop(height: int, width: int) -> Mask:
    """The part of a picture that Eigen et al. judged, bool [H, W] (NeurIPS 2014)."""
    inside = np.zeros((height, width), np.bool_)
    top, bottom = (int(share * height) for share in _EIGEN_ROWS)
    left, right = (int(share * width) for share in _EIGEN_COLUMNS)
    inside[top:bottom, left:right] = True
    return inside


CROPS: dict[str, Callable[[int, int], Mask] | None] = {
    'garg': garg_crop,
    'eigen': eigen_crop,
    'none': None,
}
"""Parts of the picture that count."""


def kitti_set(
    root: Path, entries: Sequence[SplitEntry], *, truth: str = 'lidar', crop: str = ''
) -> DataSet:
    """The frames of a list whose files are all there, and the names of those that are not.

    Args:
        root: the folder with the days in it.
        entries: of ``read_split``.
        truth: one of ``TRUTHS``.
        crop: one of ``CROPS``; by default that of the paper: ``garg`` for the lidar, none for
            the improved truth.

    Raises:
        ConfigError: an unknown truth or crop.
    """
    crop = crop or ('garg' if truth == 'lidar' else 'none')
    _check('truth', truth, TRUTHS)
    _check('crop', crop, tuple(CROPS))
    needed = [_files(root, entry, truth) for entry in entries]
    calibration, camera_of = cache(read_calibration), cache(read_camera)
    improved = truth == 'improved'
    return DataSet(
        title=f'KITTI, {"improved" if improved else "lidar"} truth, {crop} crop',
        kind='kitti',
        frames=[
            SetFrame(
                name=entry.name,
                position=position,
                read_picture=partial(read_image, files[0]),
                read_truth=partial(read_depth_png, files[1])
                if improved
                else partial(_lidar_truth, files[1], root / entry.day, entry.camera, calibration),
                read_camera=partial(camera_of, root / entry.day, camera=entry.camera),
            )
            for position, (entry, files) in enumerate(zip(entries, needed, strict=True))
            if all(path.is_file() for path in files)
        ],
        missing=look_for(
            (path for files in needed for path in files),
            remedy=_DOWNLOAD_IMPROVED if improved else _DOWNLOAD,
        ),
        crop=CROPS[crop],
        # The improved truth is judged wherever it is known, also beyond 80 m.
        truth_limits=DepthLimits(max_depth_m=65536.0 / PNG_PER_METRE)
        if improved
        else DepthLimits(),
    )


def read_depth_png(path: Path) -> Depth:
    """Read a 16-bit depth PNG of KITTI: float32 [H, W] in metres, NaN where it has 0.

    Raises:
        EvaluationError: it cannot be read or has another type.
    """
    values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16 or values.ndim != 2:
        raise EvaluationError(f'{path} is no depth PNG: expected one channel of 16 bits')
    depth_m = np.asarray(values, np.float32) / np.float32(PNG_PER_METRE)
    depth_m[values == 0] = np.nan
    return depth_m


def picture_path(root: Path, entry: SplitEntry) -> Path:
    """The picture of a frame: PNG as shipped, or the JPEG that md2's users have made of it."""
    stem = root / entry.drive / f'image_{entry.camera:02d}' / 'data' / f'{entry.frame:010d}'
    jpeg = stem.with_suffix('.jpg')
    return jpeg if jpeg.is_file() else stem.with_suffix('.png')


def _files(root: Path, entry: SplitEntry, truth: str) -> list[Path]:
    """Picture and truth of a frame, then what else is needed."""
    drive = root / entry.drive
    if truth == 'improved':
        folder = drive / 'proj_depth' / 'groundtruth' / f'image_{entry.camera:02d}'
        return [picture_path(root, entry), folder / f'{entry.frame:010d}.png']
    scan = drive / 'velodyne_points' / 'data' / f'{entry.frame:010d}.bin'
    calibration = [root / entry.day / name for name in (CAMERA_FILE, LIDAR_FILE)]
    return [picture_path(root, entry), scan, *calibration]


def _lidar_truth(
    scan: Path, day: Path, camera: int, calibration: Callable[..., KittiCalibration]
) -> NDArray[np.float32]:
    """True depth of a frame by its scan."""
    return lidar_depth(read_points(scan), calibration(day, camera=camera))


def _check(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse what is not among the choices."""
    if value not in choices:
        raise ConfigError(f'{name} {value!r} is not known: {nearest(value, choices)}')
