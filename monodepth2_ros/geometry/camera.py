# SPDX-License-Identifier: Apache-2.0
"""Cameras that know their own size, crop and resize, and the full calibration they come from.

Pixel centres lie at integers. Resizing by a factor s maps a coordinate c to (c + 0.5) * s - 0.5, for images and
intrinsics alike. Camera frames are optical frames (REP 103): x right, y down, z forward.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import CalibrationError

DISTORTION_COEFFICIENTS = {'plumb_bob': 5, 'rational_polynomial': 8, 'equidistant': 4}
"""Supported distortion models (REP 2003 names as in sensor_msgs) and their number of coefficients."""

IDENTITY_3X3 = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Window:
    """A rectangle of whole pixels inside an image."""

    x: int
    """Left column."""
    y: int
    """Top row."""
    width: int
    """Columns."""
    height: int
    """Rows."""


@dataclass(frozen=True, kw_only=True)
class PinholeCamera:
    """A camera without distortion; ``tx_px_m`` is P[0, 3] of a stereo pair's second camera, else 0."""

    width: int
    """Columns of the image."""
    height: int
    """Rows of the image."""
    fx_px: float
    """Horizontal focal length in pixels."""
    fy_px: float
    """Vertical focal length in pixels."""
    cx_px: float
    """Column of the principal point."""
    cy_px: float
    """Row of the principal point."""
    tx_px_m: float = 0.0
    """P[0, 3] of CameraInfo: minus focal length times baseline."""

    def __post_init__(self) -> None:
        """Refuse sizes and focal lengths that are not positive and finite."""
        if self.width < 1 or self.height < 1:
            raise CalibrationError(f'camera size {self.width}x{self.height} is not positive')
        values = (self.fx_px, self.fy_px, self.cx_px, self.cy_px, self.tx_px_m)
        if not np.isfinite(values).all() or self.fx_px <= 0 or self.fy_px <= 0:
            raise CalibrationError(
                f'intrinsics fx={self.fx_px} fy={self.fy_px} cx={self.cx_px} cy={self.cy_px} are not '
                'usable: expected finite values in pixels with fx, fy > 0 (not normalised to the image size)'
            )

    @property
    def K(self) -> NDArray[np.float64]:
        """Intrinsic matrix, float64 [3, 3], in pixels."""
        return np.array(
            [[self.fx_px, 0.0, self.cx_px], [0.0, self.fy_px, self.cy_px], [0.0, 0.0, 1.0]]
        )

    def resized(self, width: int, height: int) -> PinholeCamera:
        """The camera of the image resized to ``width`` x ``height`` pixels (half-pixel rule)."""
        sx, sy = width / self.width, height / self.height
        return PinholeCamera(
            width=width,
            height=height,
            fx_px=self.fx_px * sx,
            fy_px=self.fy_px * sy,
            cx_px=(self.cx_px + 0.5) * sx - 0.5,
            cy_px=(self.cy_px + 0.5) * sy - 0.5,
            tx_px_m=self.tx_px_m * sx,
        )

    def cropped(self, window: Window) -> PinholeCamera:
        """The camera of the part of the image inside ``window``."""
        return replace(
            self,
            width=window.width,
            height=window.height,
            cx_px=self.cx_px - window.x,
            cy_px=self.cy_px - window.y,
        )

    def flipped(self) -> PinholeCamera:
        """The camera of the image mirrored left to right: cx becomes width - 1 - cx."""
        return replace(self, cx_px=self.width - 1 - self.cx_px)


@dataclass(frozen=True, kw_only=True)
class CameraCalibration:
    """What a ``sensor_msgs/CameraInfo`` or a calibration YAML says, in the same units and order.

    ``width`` and ``height`` are the full sensor image's; the images themselves are the region of interest
    divided by the binning. Matrices are row-major tuples, so that two calibrations compare and hash by value.
    """

    width: int
    """Columns of the calibrated, unbinned sensor image."""
    height: int
    """Rows of the calibrated, unbinned sensor image."""
    distortion_model: str = 'plumb_bob'
    """``plumb_bob``, ``rational_polynomial`` or ``equidistant``; empty means no distortion."""
    D: tuple[float, ...] = ()
    """Distortion coefficients; empty means no distortion."""
    K: tuple[float, ...]
    """Intrinsics of the raw image, 3x3."""
    R: tuple[float, ...] = IDENTITY_3X3
    """Rotation from the raw to the rectified optical frame, 3x3."""
    P: tuple[float, ...] = (0.0,) * 12
    """Projection of the rectified image, 3x4; all zero means: as K."""
    binning_x: int = 1
    """Columns averaged into one; 0 means 1."""
    binning_y: int = 1
    """Rows averaged into one; 0 means 1."""
    roi: Window = Window(x=0, y=0, width=0, height=0)
    """Region of interest in unbinned pixels; a zero size means the full image."""
