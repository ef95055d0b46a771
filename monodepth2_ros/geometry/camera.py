# SPDX-License-Identifier: Apache-2.0
"""Cameras that know their own size, crop and resize, and the full calibration they come from.

Pixel centres lie at integers. Resizing by a factor s maps a coordinate c to (c + 0.5) * s - 0.5,
for images and intrinsics alike. Camera frames are optical frames (REP 103): x right, y down, z
forward.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import CalibrationError
from monodepth2_ros.geometry import calibration_checks

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

    @property
    def slices(self) -> tuple[slice, slice]:
        """Its rows and its columns, to index an image [H, W, ...] with."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)


@dataclass(frozen=True, kw_only=True)
class PinholeCamera:
    """A camera without distortion; points are in its own optical frame."""

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
    """P[0, 3] of CameraInfo: minus fx times baseline for a stereo pair's second camera, else 0."""

    def __post_init__(self) -> None:
        """Refuse sizes and focal lengths that are not positive and finite."""
        if self.width < 1 or self.height < 1:
            raise CalibrationError(f'camera size {self.width}x{self.height} is not positive')
        values = (self.fx_px, self.fy_px, self.cx_px, self.cy_px, self.tx_px_m)
        if not np.isfinite(values).all() or self.fx_px <= 0 or self.fy_px <= 0:
            raise CalibrationError(
                f'intrinsics fx={self.fx_px} fy={self.fy_px} cx={self.cx_px} cy={self.cy_px} are '
                'not usable: expected finite values in pixels with fx, fy > 0'
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

    ``width`` and ``height`` are the full sensor image's; the images themselves are the region of
    interest divided by the binning. Matrices are row-major tuples, so that two calibrations
    compare and hash by value.
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

    @property
    def region(self) -> Window:
        """The region of interest in unbinned pixels; the full sensor where ``roi`` is empty."""
        if self.roi.width == 0 and self.roi.height == 0:
            return Window(x=0, y=0, width=self.width, height=self.height)
        return self.roi

    @property
    def image_size(self) -> tuple[int, int]:
        """Width and height of the images after region of interest and binning."""
        region = self.region
        return region.width // max(1, self.binning_x), region.height // max(1, self.binning_y)

    @property
    def has_distortion(self) -> bool:
        """Whether the lens bends straight lines; an equidistant lens does so with D = 0 too."""
        return self.distortion_model == 'equidistant' or any(self.D)

    @property
    def needs_rectification(self) -> bool:
        """Whether the raw image differs from the rectified one: distortion, R, or P unlike K."""
        if self.has_distortion:
            return True
        turned = any(self.R) and not np.allclose(self.R, IDENTITY_3X3, rtol=0.0, atol=1e-9)
        raw, rectified = self.raw_camera(), self.rectified_camera()
        return turned or not np.allclose(raw.K, rectified.K, rtol=0.0, atol=1e-3)

    @property
    def R_raw_to_rectified(self) -> NDArray[np.float64]:
        """R as float64 [3, 3], the identity where it is all zero.

        Frames of tf are raw ones: what tf tells of directions holds for pictures after this turn.
        """
        return np.reshape(self.R if any(self.R) else IDENTITY_3X3, (3, 3)).astype(np.float64)

    def fits(self, width: int, height: int) -> bool:
        """Whether images of ``width`` x ``height`` are the ones described."""
        return (width, height) == self.image_size

    def checked(self) -> CameraCalibration:
        """Check everything, and write defaults out: an all-zero R becomes the identity.

        Returns:
            the same calibration, whose ``R``, ``binning`` and ``roi`` may be used as they are.

        Raises:
            CalibrationError: naming the field, what it holds and what was expected.
        """
        calibration_checks.check(self)
        return replace(
            self,
            R=self.R if any(self.R) else IDENTITY_3X3,
            binning_x=max(1, self.binning_x),
            binning_y=max(1, self.binning_y),
            roi=self.region,
        )

    def raw_camera(self) -> PinholeCamera:
        """The camera of the raw image, distortion left out: K after region and binning."""
        return self._camera(fx=self.K[0], fy=self.K[4], cx=self.K[2], cy=self.K[5], tx=0.0)

    def rectified_camera(self) -> PinholeCamera:
        """The camera of the rectified image: P (K if P is all zero) after region and binning."""
        if not any(self.P):
            return self.raw_camera()
        return self._camera(fx=self.P[0], fy=self.P[5], cx=self.P[2], cy=self.P[6], tx=self.P[3])

    def _camera(self, *, fx: float, fy: float, cx: float, cy: float, tx: float) -> PinholeCamera:
        """Take full-sensor intrinsics to the image: crop, then resize by the half-pixel rule."""
        width, height = self.image_size
        bin_x, bin_y = max(1, self.binning_x), max(1, self.binning_y)
        return PinholeCamera(
            width=width,
            height=height,
            fx_px=float(fx / bin_x),
            fy_px=float(fy / bin_y),
            cx_px=float((cx - self.region.x + 0.5) / bin_x - 0.5),
            cy_px=float((cy - self.region.y + 0.5) / bin_y - 0.5),
            tx_px_m=float(tx / bin_x),
        )
