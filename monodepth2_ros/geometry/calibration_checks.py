# SPDX-License-Identifier: Apache-2.0
"""Refuse a camera calibration that would give wrong depth, and say what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monodepth2_ros.errors import CalibrationError

if TYPE_CHECKING:
    from monodepth2_ros.geometry.camera import CameraCalibration

COEFFICIENT_COUNTS = {
    'plumb_bob': (4, 5),
    'rational_polynomial': (8, 12, 14),
    'equidistant': (4,),
}
"""Distortion models, named as in sensor_msgs, and the numbers of coefficients each may have.

12 adds OpenCV's thin prism terms to a rational polynomial, 14 the tilt of the sensor.
"""

MAX_SIDE_PX = 32766
"""Longest image side: OpenCV's remap counts pixels in 16 bits."""

_MAX_WIDTH_PER_FOCAL = 20.0


def check(calibration: CameraCalibration) -> None:
    """Check every field of a calibration.

    Raises:
        CalibrationError: naming the field, what it holds and what was expected.
    """
    _check_size(calibration)
    _check_numbers(calibration)
    _check_intrinsics('K', calibration.K, 3, calibration)
    if any(calibration.P):
        _check_intrinsics('P', calibration.P, 4, calibration)
    _check_rotation(calibration.R)
    _check_distortion(calibration.distortion_model, calibration.D)


def _check_size(calibration: CameraCalibration) -> None:
    width, height = calibration.width, calibration.height
    if min(width, height) < 1 or max(width, height) > MAX_SIDE_PX:
        raise CalibrationError(
            f'calibration is for images of {width}x{height}: expected 1 to {MAX_SIDE_PX} pixels a '
            'side; calibrate the camera, or correct width and height'
        )
    if calibration.binning_x < 0 or calibration.binning_y < 0:
        raise CalibrationError(
            f'binning {calibration.binning_x}x{calibration.binning_y} is negative: expected 0 or '
            'more'
        )
    region = calibration.region
    too_low = min(region.x, region.y) < 0 or min(region.width, region.height) < 1
    if too_low or region.x + region.width > width or region.y + region.height > height:
        raise CalibrationError(
            f'roi {region.width}x{region.height} at ({region.x}, {region.y}) is not inside the '
            f'sensor of {width}x{height}: expected offsets and sizes in unbinned pixels'
        )
    if min(calibration.image_size) < 1:
        raise CalibrationError(
            f'binning {calibration.binning_x}x{calibration.binning_y} leaves nothing of a region '
            f'of {region.width}x{region.height} pixels'
        )


def _check_numbers(calibration: CameraCalibration) -> None:
    for name, values, count in (
        ('K', calibration.K, 9),
        ('R', calibration.R, 9),
        ('P', calibration.P, 12),
        ('D', calibration.D, len(calibration.D)),
    ):
        if len(values) != count:
            raise CalibrationError(f'{name} has {len(values)} numbers: expected {count}')
        if not np.isfinite(values).all():
            raise CalibrationError(f'{name} = {_list(values)} is not finite: calibrate again')


def _check_intrinsics(
    name: str, values: tuple[float, ...], columns: int, calibration: CameraCalibration
) -> None:
    """Check the left 3x3 part of K or P, whose rows have ``columns`` numbers."""
    fx, fy = values[0], values[columns + 1]
    if not any(values):
        raise CalibrationError(f'{name} is all zero: the camera is not calibrated; calibrate it')
    if fx <= 0.0 or fy <= 0.0:
        raise CalibrationError(
            f'{name} has focal lengths {fx:g} and {fy:g}: expected positive pixels'
        )
    longest = max(calibration.width / fx, calibration.height / fy)
    if longest > _MAX_WIDTH_PER_FOCAL:
        raise CalibrationError(
            f'{name} has focal lengths {fx:g} and {fy:g} for a sensor of {calibration.width}x'
            f'{calibration.height} pixels: expected pixels, but they look normalised to the image '
            'size or given in millimetres'
        )
    _check_pattern(name, values, columns)
    cx, cy = values[2], values[columns + 2]
    off_x = abs(cx - calibration.width / 2) > 1.5 * calibration.width
    off_y = abs(cy - calibration.height / 2) > 1.5 * calibration.height
    if off_x or off_y:
        raise CalibrationError(
            f'{name} has its principal point at ({cx:g}, {cy:g}), far outside the sensor of '
            f'{calibration.width}x{calibration.height} pixels: expected it near the middle'
        )


def _check_pattern(name: str, values: tuple[float, ...], columns: int) -> None:
    """Refuse skew, and a last row other than 0 0 1."""
    zeros = [values[i] for i in (1, columns, 2 * columns, 2 * columns + 1)]
    if max(map(abs, zeros)) > 1e-6 * values[0] or abs(values[2 * columns + 2] - 1.0) > 1e-6:
        raise CalibrationError(
            f'{name} = {_list(values)} is no intrinsic matrix: expected fx 0 cx / 0 fy cy / 0 0 '
            '1, row by row and without skew'
        )


def _check_rotation(values: tuple[float, ...]) -> None:
    """Refuse an R that is neither a rotation nor all zero, which some drivers send for none."""
    R = np.array(values).reshape(3, 3)
    if not R.any():
        return
    if np.abs(R @ R.T - np.eye(3)).max() > 1e-3 or np.linalg.det(R) < 0.0:
        raise CalibrationError(
            f'R = {_list(values)} is no rotation: expected an orthonormal 3x3 matrix, or the '
            'identity for a single camera'
        )


def _check_distortion(model: str, coefficients: tuple[float, ...]) -> None:
    """Refuse unknown models and odd numbers of coefficients; all zero means none in any model."""
    if model == 'equidistant' and len(coefficients) != 4:
        raise CalibrationError(f'equidistant has {len(coefficients)} coefficients D: expected 4')
    if not any(coefficients):
        return
    counts = COEFFICIENT_COUNTS.get(model)
    if counts is None:
        raise CalibrationError(
            f'distortion model {model[:40]!r} is unknown: expected '
            f'{", ".join(COEFFICIENT_COUNTS)}; rectify the images before this package'
        )
    if len(coefficients) not in counts:
        raise CalibrationError(
            f'{model} has {len(coefficients)} coefficients D: expected '
            f'{" or ".join(map(str, counts))}; check distortion_model'
        )


def _list(values: tuple[float, ...]) -> str:
    return '[' + ', '.join(f'{value:g}' for value in values) + ']'
