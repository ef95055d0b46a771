# SPDX-License-Identifier: Apache-2.0
"""What is wanted of a frame, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.geometry.camera import PinholeCamera
from monodepth2_ros.inference.point_cloud import PackedCloud


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which results somebody listens to."""

    depth: bool = True
    """The depth image."""
    points: bool = False
    """The point cloud."""
    color: bool = False
    """The picture of the depth."""

    def __bool__(self) -> bool:
        """Whether anything at all is wanted."""
        return self.depth or self.points or self.color


@dataclass(frozen=True, kw_only=True)
class Timings:
    """Seconds that the stages of one frame took."""

    decode: float = 0.0
    """Message bytes to RGB."""
    rectify: float = 0.0
    """Undoing the distortion; computing its maps when the calibration is new."""
    preprocess: float = 0.0
    """Cropping and resizing to the network's input."""
    infer: float = 0.0
    """The network."""
    postprocess: float = 0.0
    """Depth at the size wanted, range marks, cloud and colours."""


@dataclass(frozen=True, kw_only=True)
class Products:
    """What came of one frame."""

    depth: NDArray[np.float32] | None = None
    """Depth float32 [H, W] in metres with REP 117 marks, of the image's or the network's size;
    None if not wanted."""
    camera: PinholeCamera | None = None
    """The camera of all results; None without a usable calibration."""
    points: PackedCloud | None = None
    """The cloud, valid until the next frame; None if not wanted or without a camera."""
    color: NDArray[np.uint8] | None = None
    """Picture of the depth, uint8 [H, W, 3] BGR; None if not wanted."""
    rgb: NDArray[np.uint8] | None = None
    """The image that the depth is of, rectified, uint8 [H, W, 3]; None if nothing is wanted or the
    picture was decoded smaller than it is."""
    timings_s: Timings = field(default_factory=Timings)
    """How long the stages took."""
    notes: tuple[str, ...] = ()
    """What a user should know about this frame's calibration."""
