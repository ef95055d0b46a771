# SPDX-License-Identifier: Apache-2.0
"""Calibrations: region and binning are honoured, and wrong ones are refused by field."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from monodepth2_ros.errors import CalibrationError
from monodepth2_ros.geometry.camera import IDENTITY_3X3, CameraCalibration, Window

K = (500.0, 0.0, 310.0, 0.0, 505.0, 235.0, 0.0, 0.0, 1.0)
P = (450.0, 0.0, 320.0, -45.0, 0.0, 455.0, 240.0, 0.0, 0.0, 0.0, 1.0, 0.0)
D = (-0.3, 0.1, 0.001, 0.002, -0.01)
PLAIN = CameraCalibration(width=640, height=480, K=K)
FULL = CameraCalibration(width=640, height=480, K=K, D=D, P=P)


def matrix(values: tuple[float, ...], **changes: float) -> tuple[float, ...]:
    """Replace numbers by position, ``at2=5.0`` for the third."""
    out = list(values)
    for name, value in changes.items():
        out[int(name[2:])] = value
    return tuple(out)


def test_the_full_image_has_the_cameras_of_K_and_P():
    raw, rectified = FULL.raw_camera(), FULL.rectified_camera()
    assert (raw.fx_px, raw.fy_px, raw.cx_px, raw.cy_px, raw.tx_px_m) == (500, 505, 310, 235, 0)
    assert (rectified.fx_px, rectified.cx_px, rectified.tx_px_m) == (450, 320, -45)
    assert FULL.image_size == (640, 480)


def test_without_P_the_rectified_camera_is_that_of_K():
    assert replace(FULL, P=(0.0,) * 12).rectified_camera() == FULL.raw_camera()


def test_binning_divides_by_the_half_pixel_rule():
    binned = replace(FULL, binning_x=2, binning_y=4)
    assert binned.image_size == (320, 120)
    raw = binned.raw_camera()
    assert (raw.fx_px, raw.fy_px) == (250.0, 126.25)
    assert (raw.cx_px, raw.cy_px) == ((310.5 / 2) - 0.5, (235.5 / 4) - 0.5)
    assert binned.rectified_camera().tx_px_m == -22.5


def test_a_region_is_cropped_before_it_is_binned():
    region = replace(
        FULL, roi=Window(x=100, y=50, width=301, height=200), binning_x=2, binning_y=2
    )
    assert region.image_size == (150, 100)
    assert region.raw_camera().cx_px == (310.0 - 100 + 0.5) / 2 - 0.5
    assert region.rectified_camera().cy_px == (240.0 - 50 + 0.5) / 2 - 0.5


def test_a_point_keeps_its_place_under_binning():
    """A point's raw column, mapped by the half-pixel rule, is what the binned camera projects."""
    x_over_z = 0.123
    column = FULL.raw_camera().fx_px * x_over_z + FULL.raw_camera().cx_px
    binned = replace(FULL, binning_x=2, binning_y=2).raw_camera()
    assert binned.fx_px * x_over_z + binned.cx_px == pytest.approx((column + 0.5) / 2 - 0.5)


def test_only_the_described_size_fits():
    assert PLAIN.fits(640, 480)
    assert not PLAIN.fits(480, 640)
    assert replace(PLAIN, binning_x=2, binning_y=2).fits(320, 240)


def test_zero_binning_and_empty_region_mean_the_full_image():
    zero = replace(PLAIN, binning_x=0, binning_y=0).checked()
    assert (zero.binning_x, zero.binning_y) == (1, 1)
    assert zero.roi == Window(x=0, y=0, width=640, height=480)


def test_rectification_is_needed_for_distortion_rotation_or_another_P():
    turned = (0.8, 0.0, 0.6, 0.0, 1.0, 0.0, -0.6, 0.0, 0.8)
    same_P = (500.0, 0.0, 310.0, 0.0, 0.0, 505.0, 235.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    assert not PLAIN.needs_rectification
    assert not replace(PLAIN, D=(0.0,) * 5, P=same_P).needs_rectification
    assert not replace(PLAIN, R=(0.0,) * 9).needs_rectification
    assert replace(PLAIN, D=D).needs_rectification
    assert replace(PLAIN, R=turned).needs_rectification
    assert replace(PLAIN, P=P).needs_rectification


def test_an_equidistant_lens_distorts_even_with_zero_coefficients():
    fisheye = replace(PLAIN, distortion_model='equidistant', D=(0.0,) * 4)
    assert fisheye.has_distortion
    assert fisheye.checked().needs_rectification


def test_equal_calibrations_hash_equally():
    assert hash(FULL) == hash(replace(FULL))
    assert replace(FULL, binning_x=2) != FULL


@pytest.mark.parametrize(
    ('model', 'count'),
    [
        ('plumb_bob', 4),
        ('plumb_bob', 5),
        ('rational_polynomial', 8),
        ('rational_polynomial', 12),
        ('rational_polynomial', 14),
        ('equidistant', 4),
    ],
)
def test_every_known_model_passes(model, count):
    calibration = replace(FULL, distortion_model=model, D=(0.01,) * count)
    assert calibration.checked().D == calibration.D


@pytest.mark.parametrize('model', ['', 'plumb_bob', 'unheard_of'])
@pytest.mark.parametrize('count', [0, 4, 5, 8, 13])
def test_all_zero_coefficients_mean_no_distortion_in_any_model(model, count):
    calibration = replace(PLAIN, distortion_model=model, D=(0.0,) * count).checked()
    assert not calibration.needs_rectification


def test_an_all_zero_R_means_the_identity():
    assert replace(FULL, R=(0.0,) * 9).checked().R == IDENTITY_3X3


@pytest.mark.parametrize(
    ('changes', 'text'),
    [
        ({'width': 0}, 'images of 0x480: expected 1 to 32766'),
        ({'height': 10**6}, 'images of 640x1000000'),
        ({'K': (0.0,) * 9}, 'K is all zero: the camera is not calibrated'),
        ({'K': K[:8]}, 'K has 8 numbers: expected 9'),
        ({'K': matrix(K, at0=np.nan)}, 'K = .nan.* is not finite'),
        ({'K': matrix(K, at2=np.inf)}, 'K = .* is not finite'),
        ({'K': matrix(K, at0=-500.0)}, 'focal lengths -500 and 505: expected positive'),
        ({'K': matrix(K, at4=0.0)}, 'focal lengths 500 and 0: expected positive'),
        ({'K': (0.8, 0, 0.5, 0, 1.05, 0.5, 0, 0, 1)}, 'look normalised'),
        ({'K': (4.2, 0, 310, 0, 4.2, 235, 0, 0, 1)}, 'or given in millimetres'),
        ({'K': matrix(K, at8=0.0)}, 'K = .* is no intrinsic matrix'),
        ({'K': matrix(K, at1=3.0)}, 'without skew'),
        ({'K': matrix(K, at2=5000.0)}, r'principal point at \(5000, 235\), far outside'),
        ({'K': matrix(K, at5=-900.0)}, r'principal point at \(310, -900\), far outside'),
        ({'P': P[:9]}, 'P has 9 numbers: expected 12'),
        ({'P': matrix(P, at0=0.0)}, 'P has focal lengths 0 and 455'),
        ({'P': matrix(P, at10=0.0)}, 'P = .* is no intrinsic matrix'),
        ({'P': matrix(P, at3=np.nan)}, 'P = .* is not finite'),
        ({'R': matrix(IDENTITY_3X3, at0=2.0)}, 'R = .* is no rotation'),
        ({'R': matrix(IDENTITY_3X3, at8=-1.0)}, 'R = .* is no rotation'),
        ({'D': (0.1, np.nan, 0, 0)}, 'D = .* is not finite'),
        ({'D': (0.1,) * 8}, 'plumb_bob has 8 coefficients D: expected 4 or 5'),
        ({'D': D, 'distortion_model': ''}, "model '' is unknown: expected plumb_bob, rational"),
        ({'D': D, 'distortion_model': 'kb4'}, "model 'kb4' is unknown"),
        ({'D': D, 'distortion_model': 'equidistant'}, '5 coefficients D: expected 4'),
        ({'D': D, 'distortion_model': 'rational_polynomial'}, 'expected 8 or 12 or 14'),
        ({'binning_x': -1}, 'binning -1x1 is negative'),
        ({'binning_y': 500}, 'binning 1x500 leaves nothing'),
        ({'roi': Window(x=600, y=0, width=100, height=10)}, 'is not inside the sensor'),
        ({'roi': Window(x=-1, y=0, width=100, height=10)}, 'is not inside the sensor'),
        ({'roi': Window(x=0, y=0, width=100, height=0)}, 'is not inside the sensor'),
    ],
)
def test_a_wrong_field_is_refused_by_name(changes, text):
    with pytest.raises(CalibrationError, match=text):
        replace(FULL, **changes).checked()
