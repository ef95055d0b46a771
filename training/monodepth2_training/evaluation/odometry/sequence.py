# SPDX-License-Identifier: Apache-2.0
"""A sequence of KITTI odometry as it is shipped: pictures, and the poses of its camera.

| file below the root | what |
|---|---|
| ``sequences/09/image_2/000000.png`` (or .jpg) | picture of the left colour camera |
| ``poses/09.txt`` | poses of the left grey camera, in its first frame |
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import EvaluationError
from monodepth2_training.evaluation.missing_files import look_for
from monodepth2_training.evaluation.odometry.poses import Transforms, read_kitti_poses
from monodepth2_training.prediction.image_files import read_image

_DOWNLOAD = (
    'download the colour pictures and the poses from cvlibs.net/datasets/kitti/eval_odometry.php'
)


@dataclass(frozen=True, kw_only=True)
class KittiSequence:
    """Pictures with the pose of each."""

    name: str
    """What it is called."""
    pictures: tuple[Path, ...]
    """In order, one a pose."""
    poses: Transforms
    """``T_camera_to_world`` float64 [N, 4, 4] in metres."""

    def read(self) -> Iterator[NDArray[np.uint8]]:
        """Stream the pictures, RGB uint8 [H, W, 3]."""
        for path in self.pictures:
            yield read_image(path)


def open_sequence(root: Path, number: str) -> KittiSequence:
    """Find the files of a sequence.

    Args:
        root: the folder with ``sequences`` and ``poses`` in it.
        number: such as ``09``.

    Raises:
        EvaluationError: poses or pictures are missing.
    """
    number = f'{int(number):02d}' if number.isdecimal() else number
    poses = read_kitti_poses(root / 'poses' / f'{number}.txt')
    folder = root / 'sequences' / number / 'image_2'
    suffix = '.jpg' if any(folder.glob('*.jpg')) else '.png'
    pictures = tuple(folder / f'{frame:06d}{suffix}' for frame in range(len(poses)))
    missing = look_for(pictures, remedy=_DOWNLOAD)
    if missing.paths:
        raise EvaluationError(f'{missing.text()}; {missing.remedy}')
    return KittiSequence(name=f'KITTI odometry {number}', pictures=pictures, poses=poses)
