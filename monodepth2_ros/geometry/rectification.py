# SPDX-License-Identifier: Apache-2.0
"""Rectify raw images: undo distortion and stereo rotation, and say which pixels are real.

The rectified image has the raw image's size, and P decides what it shows, as image_proc does it.
P may fill less than the image or look beyond it, so ``valid`` marks the pixels with a source, and
``window`` is a rectangle of them: what a network should look at, without the black rim that it has
never seen in training. A distortion polynomial holds only up to some angle, beyond which it turns
back and would show the picture's inside again at its rim; such pixels are not valid either.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import CalibrationError, ImageError
from monodepth2_ros.geometry.camera import CameraCalibration, PinholeCamera, Window

_FloatMap = NDArray[np.float32]

_TOLERANCE_PX = 1.0 / 64.0
"""How far beyond the outermost pixel centres a source may lie by rounding alone."""


class Rectifier:
    """Rectification of one calibration's images; its maps are computed once, on construction.

    Attributes:
        camera: of the rectified image.
        valid: bool [H, W], pixels whose source lies inside the raw image.
        window: a rectangle of valid pixels, about as large as there is one.
    """

    camera: PinholeCamera
    valid: NDArray[np.bool_]
    window: Window

    def __init__(self, calibration: CameraCalibration) -> None:
        """Compute the maps.

        Raises:
            CalibrationError: the calibration is unusable, or P shows nothing of the image.
        """
        calibration = calibration.checked()
        self.camera = calibration.rectified_camera()
        map_x, map_y = _float_maps(calibration, self.camera)
        self.valid = _unfolded(calibration, self.camera, _inside(map_x, map_y))
        self.window = _largest_window(self.valid)
        for sources, length in ((map_x, self.camera.width), (map_y, self.camera.height)):
            np.clip(sources, 0.0, length - 1, out=sources)
            sources[~self.valid] = -2.0
        self._maps = map_x, map_y

    def maps_px(self, window: Window) -> tuple[_FloatMap, _FloatMap]:
        """Column and row in the raw image of a window's pixels, float32 [h, w]; -2: not valid."""
        map_x, map_y = self._maps
        return map_x[window.slices], map_y[window.slices]

    def sources_px(self) -> NDArray[np.float32]:
        """Column and row in the raw image of each pixel, float32 [H, W, 2]; -2 where not valid."""
        return np.stack(self._maps, axis=-1)

    def rectify(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Rectify one image, bilinearly.

        Args:
            rgb: uint8 [H, W, 3] of the calibration's image size.

        Returns:
            uint8 [H, W, 3], a new array; black where not valid.

        Raises:
            ImageError: the image is of another size.
        """
        height, width = rgb.shape[:2]
        if (width, height) != (self.camera.width, self.camera.height):
            raise ImageError(
                f'image of {width}x{height} cannot be rectified: expected '
                f"{self.camera.width}x{self.camera.height}, the calibration's size"
            )
        return remap_rgb(rgb, *self._maps)


def remap_rgb(
    rgb: NDArray[np.uint8],
    map_x: _FloatMap,
    map_y: _FloatMap,
    out: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Look RGB [H, W, 3] up at maps [h, w], bilinearly; black outside; into ``out`` if given."""
    # OpenCV 5 remaps four channels by such maps in less than half the time of three.
    rgba = cv2.cvtColor(rgb, cv2.COLOR_RGB2RGBA)
    remapped = cv2.remap(rgba, map_x, map_y, cv2.INTER_LINEAR)
    return np.asarray(cv2.cvtColor(remapped, cv2.COLOR_RGBA2RGB, dst=out), np.uint8)


def _float_maps(
    calibration: CameraCalibration, camera: PinholeCamera
) -> tuple[_FloatMap, _FloatMap]:
    """Give each rectified pixel's column and row in the raw image, float32 [H, W] each."""
    K = calibration.raw_camera().K
    D = np.array(calibration.D, np.float64)
    R = np.array(calibration.R, np.float64).reshape(3, 3)
    if not calibration.has_distortion:
        D = np.zeros(5)
    fisheye = calibration.distortion_model == 'equidistant'
    compute = cv2.fisheye.initUndistortRectifyMap if fisheye else cv2.initUndistortRectifyMap
    size = (camera.width, camera.height)
    map_x, map_y = compute(K, D, R, camera.K, size, cv2.CV_32FC1)
    return np.asarray(map_x, np.float32), np.asarray(map_y, np.float32)


def _inside(map_x: _FloatMap, map_y: _FloatMap) -> NDArray[np.bool_]:
    """Mark pixels whose source lies between the raw image's outermost pixel centres."""
    height, width = map_x.shape
    in_x = (map_x >= -_TOLERANCE_PX) & (map_x <= width - 1 + _TOLERANCE_PX)
    in_y = (map_y >= -_TOLERANCE_PX) & (map_y <= height - 1 + _TOLERANCE_PX)
    return np.asarray(in_x & in_y)


def _unfolded(
    calibration: CameraCalibration, camera: PinholeCamera, inside: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Of some pixels, those whose ray is in front of the lens and where distortion still grows."""
    columns, rows = (np.flatnonzero(inside.any(axis=axis)) for axis in (0, 1))
    ends = (side[:: max(1, len(side) - 1)] for side in (columns, rows))
    corners = _raw_radius(calibration, camera, *ends)
    # The rays within an angle of the axis are convex: with the corners they hold all pixels.
    if (corners <= _growth_limit(calibration, corners)).all():
        return inside
    radius = _raw_radius(calibration, camera, np.arange(camera.width), np.arange(camera.height))
    return inside & (radius <= _growth_limit(calibration, radius))


def _growth_limit(calibration: CameraCalibration, radius: NDArray[np.float64]) -> float:
    """Up to where the distortion grows: at most the largest of some radii that is finite."""
    largest = float(np.max(radius, initial=0.0, where=np.isfinite(radius)))
    if not calibration.has_distortion:
        return largest
    samples = np.tan(np.linspace(0.0, np.arctan(largest), 4096))
    falling = np.flatnonzero(~(np.diff(_distorted_radius(calibration, samples)) > 0.0))
    return float(samples[falling[0]]) if falling.size else largest


def _raw_radius(
    calibration: CameraCalibration,
    camera: PinholeCamera,
    columns: NDArray[np.int_],
    rows: NDArray[np.int_],
) -> NDArray[np.float64]:
    """Distance of rectified pixels' rays from the raw optical axis at z = 1; inf behind it."""
    R = np.reshape(calibration.R, (3, 3))
    x = (columns - camera.cx_px) / camera.fx_px
    y = (rows[:, None] - camera.cy_px) / camera.fy_px
    raw_x, raw_y, raw_z = (R[0, i] * x + R[1, i] * y + R[2, i] for i in range(3))
    behind = raw_z <= 0.0
    raw_z[behind] = 1.0
    radius: NDArray[np.float64] = np.hypot(raw_x, raw_y) / raw_z
    radius[behind] = np.inf
    return radius


def _distorted_radius(
    calibration: CameraCalibration, radius: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Radial part of the distortion (OpenCV's models) for undistorted radii at z = 1."""
    if calibration.distortion_model == 'equidistant':
        angle = np.arctan(radius)
        return np.asarray(angle * np.polyval([*calibration.D[3::-1], 1.0], angle**2))
    k1, k2, _, _, k3, k4, k5, k6 = (*calibration.D, *(0.0,) * 8)[:8]
    squared = radius**2
    denominator = np.polyval([k6, k5, k4, 1.0], squared)
    numerator = np.polyval([k3, k2, k1, 1.0], squared)
    positive = denominator > 0.0
    ratio = np.where(positive, numerator / np.where(positive, denominator, 1.0), 0.0)
    return np.asarray(radius * ratio)


def _largest_window(valid: NDArray[np.bool_]) -> Window:
    """Shrink the image from its worst side until no side has an invalid pixel."""
    top, bottom, left, right = 0, valid.shape[0], 0, valid.shape[1]
    while top < bottom and left < right:
        box = valid[top:bottom, left:right]
        sides = (box[0], box[-1], box[:, 0], box[:, -1])
        shares = [np.count_nonzero(side) / side.size for side in sides]
        worst = shares.index(min(shares))
        if shares[worst] == 1.0:
            return Window(x=left, y=top, width=right - left, height=bottom - top)
        top, bottom = top + (worst == 0), bottom - (worst == 1)
        left, right = left + (worst == 2), right - (worst == 3)
    raise CalibrationError(
        'no pixel of the rectified image has a source in the raw image: P looks elsewhere; '
        'check P, R and D, or set P to zero to use K'
    )
