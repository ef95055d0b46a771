# SPDX-License-Identifier: Apache-2.0
"""A data set that depth is judged on: pictures, their true depth, and which of it counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.geometry.camera import PinholeCamera
from monodepth2_training.evaluation.depth_errors import KITTI_LIMITS, DepthLimits, Mask
from monodepth2_training.evaluation.missing_files import MissingFiles

Depth: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class SetFrame:
    """One frame; its files are read when they are asked for."""

    name: str
    """What the frame is called."""
    position: int
    """Its line in the list of frames, from 0: where a stack of predictions has it."""
    read_picture: Callable[[], NDArray[np.uint8]]
    """Gives RGB uint8 [H, W, 3]."""
    read_truth: Callable[[], Depth]
    """Gives float32 [h, w] in metres, not finite where unknown."""
    read_camera: Callable[[], PinholeCamera | None] = lambda: None
    """Gives the camera of the picture; None where it is unknown."""


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """Frames and the rules by which they are judged."""

    title: str
    """What the set is called."""
    kind: str
    """``kitti`` or ``make3d``."""
    frames: Sequence[SetFrame]
    """Those whose files are there."""
    missing: MissingFiles
    """The files that are not."""
    crop: Callable[[int, int], Mask] | None = None
    """Of height and width: the part of a picture that counts; all of it if None."""
    truth_limits: DepthLimits = KITTI_LIMITS
    """The truth that counts."""
    limits: DepthLimits = KITTI_LIMITS
    """What predictions are clamped to."""
    nearest: bool = False
    """Whether predictions take the truth's size by the nearest value rather than bilinearly."""
