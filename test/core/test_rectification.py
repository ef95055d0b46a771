# SPDX-License-Identifier: Apache-2.0
"""Rectification agrees with the distortion formulas, point by point, and marks what is real."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from monodepth2_ros.errors import CalibrationError, ImageError
from monodepth2_ros.geometry.camera import CameraCalibration, Window
from monodepth2_ros.geometry.rectification import Rectifier

WIDTH, HEIGHT = 120, 90
K = (100.0, 0.0, 61.0, 0.0, 104.0, 42.0, 0.0, 0.0, 1.0)
P = (90.0, 0.0, 58.0, -9.0, 0.0, 95.0, 45.0, 0.0, 0.0, 0.0, 1.0, 0.0)
PLAIN = CameraCalibration(width=WIDTH, height=HEIGHT, K=K)
TURNED = tuple(cv2.Rodrigues(np.array([0.02, -0.03, 0.01]))[0].ravel().tolist())

LENSES = {
    'plumb_bob': (-0.28, 0.09, 0.002, -0.003, -0.01),
    'rational_polynomial': (0.3, -0.2, 0.001, 0.002, 0.05, 0.55, -0.1, 0.02),
    'equidistant': (0.05, -0.02, 0.01, -0.003),
}


def ramp() -> np.ndarray:
    """A raw picture whose red is twice the column and whose green is twice the row."""
    v, u = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([2 * u, 2 * v, np.full_like(u, 200)], -1).astype(np.uint8)


def raw_pixel(calibration: CameraCalibration, u: float, v: float) -> tuple[float, float]:
    """Where a rectified pixel comes from, by the formulas of the OpenCV manual."""
    fx, _, cx, _, _, fy, cy = (calibration.P if any(calibration.P) else (*K[:3], 0.0, *K[3:]))[:7]
    ray = np.array([(u - cx) / fx, (v - cy) / fy, 1.0])
    x, y, z = np.linalg.inv(np.reshape(calibration.R, (3, 3))) @ ray
    x, y = x / z, y / z
    r = math.hypot(x, y)
    if calibration.distortion_model == 'equidistant':
        k1, k2, k3, k4 = calibration.D
        angle = math.atan(r)
        bent = angle * (1 + k1 * angle**2 + k2 * angle**4 + k3 * angle**6 + k4 * angle**8)
        x, y = (x * bent / r, y * bent / r) if r > 0 else (x, y)
    else:
        k1, k2, p1, p2, k3, k4, k5, k6 = (*calibration.D, 0, 0, 0, 0, 0, 0, 0, 0)[:8]
        radial = 1 + k1 * r**2 + k2 * r**4 + k3 * r**6
        radial /= 1 + k4 * r**2 + k5 * r**4 + k6 * r**6
        x, y = (
            x * radial + 2 * p1 * x * y + p2 * (r**2 + 2 * x**2),
            y * radial + p1 * (r**2 + 2 * y**2) + 2 * p2 * x * y,
        )
    return K[0] * x + K[2], K[4] * y + K[5]


@pytest.mark.parametrize('R', [PLAIN.R, TURNED], ids=['single', 'stereo'])
@pytest.mark.parametrize('model', LENSES)
def test_every_valid_pixel_shows_what_the_formula_says(model, R):
    calibration = replace(PLAIN, distortion_model=model, D=LENSES[model], R=R, P=P)
    rectifier = Rectifier(calibration)
    rectified = rectifier.rectify(ramp()).astype(float)
    worst = 0.0
    for v in range(0, HEIGHT, 3):
        for u in range(0, WIDTH, 3):
            raw_u, raw_v = raw_pixel(calibration, u, v)
            inside = 0 <= raw_u <= WIDTH - 1 and 0 <= raw_v <= HEIGHT - 1
            near_rim = min(raw_u, WIDTH - 1 - raw_u, raw_v, HEIGHT - 1 - raw_v, key=abs)
            assert rectifier.valid[v, u] == inside or abs(near_rim) < 0.05
            if rectifier.valid[v, u]:
                red, green = rectified[v, u, :2]
                worst = max(worst, abs(red - 2 * raw_u), abs(green - 2 * raw_v))
    assert worst < 0.75, 'half a grey level of rounding, and 1/32 pixel of the fixed-point maps'


def test_invalid_pixels_are_black_and_the_window_has_none():
    calibration = replace(PLAIN, D=LENSES['plumb_bob'], P=(60.0, *P[1:5], 60.0, *P[6:]))
    rectifier = Rectifier(calibration)
    window = rectifier.window
    rectified = rectifier.rectify(ramp())
    assert 0 < rectifier.valid.mean() < 1
    assert not rectified[~rectifier.valid].any()
    box = rectifier.valid[window.y : window.y + window.height, window.x : window.x + window.width]
    assert box.all()
    assert box.size > 0.8 * rectifier.valid.sum()


def test_the_window_of_a_known_mask_is_found():
    """P shifts the picture by 20 columns and 10 rows, so that exactly those have no source."""
    shifted = (100.0, 0.0, 81.0, 0.0, 0.0, 104.0, 32.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    rectifier = Rectifier(replace(PLAIN, P=shifted))
    assert rectifier.window == Window(x=20, y=0, width=WIDTH - 20, height=HEIGHT - 10)
    assert rectifier.valid.sum() == (WIDTH - 20) * (HEIGHT - 10)
    np.testing.assert_array_equal(
        rectifier.rectify(ramp())[: HEIGHT - 10, 20:], ramp()[10:, : WIDTH - 20]
    )


def test_without_distortion_the_picture_stays_as_it_is():
    rectifier = Rectifier(PLAIN)
    assert rectifier.valid.all()
    assert rectifier.window == Window(x=0, y=0, width=WIDTH, height=HEIGHT)
    np.testing.assert_array_equal(rectifier.rectify(ramp()), ramp())


def test_the_camera_is_that_of_P():
    rectifier = Rectifier(replace(PLAIN, D=LENSES['plumb_bob'], P=P))
    assert (rectifier.camera.fx_px, rectifier.camera.tx_px_m) == (90.0, -9.0)


def test_a_polynomial_that_turns_back_shows_nothing_twice():
    """With k1 = -0.4 alone the distortion turns at r = sqrt(1 / 1.2) = 0.913."""
    wide = (30.0, 0.0, 60.0, 0.0, 30.0, 45.0, 0.0, 0.0, 1.0)
    rectifier = Rectifier(replace(PLAIN, K=wide, D=(-0.4, 0.0, 0.0, 0.0)))
    v, u = np.mgrid[0:HEIGHT, 0:WIDTH]
    radius = np.hypot((u - 60) / 30, (v - 45) / 30)
    assert radius[rectifier.valid].max() == pytest.approx(math.sqrt(1 / 1.2), abs=0.03)
    assert rectifier.valid[radius < 0.9].all()


def test_a_fisheye_polynomial_that_turns_back_shows_nothing_twice():
    """With k1 = -0.4 alone the distortion turns at the angle sqrt(1 / 1.2)."""
    wide = (30.0, 0.0, 60.0, 0.0, 30.0, 45.0, 0.0, 0.0, 1.0)
    D = (-0.4, 0.0, 0.0, 0.0)
    rectifier = Rectifier(replace(PLAIN, K=wide, D=D, distortion_model='equidistant'))
    v, u = np.mgrid[0:HEIGHT, 0:WIDTH]
    radius = np.hypot((u - 60) / 30, (v - 45) / 30)
    limit = math.tan(math.sqrt(1 / 1.2))
    assert radius[rectifier.valid].max() == pytest.approx(limit, abs=0.03)


def test_a_turn_beyond_the_raw_picture_costs_no_pixel():
    """With k1 = -0.2 alone the distortion turns at 1.29, whose 0.86 no raw corner reaches."""
    wide = (50.0, 0.0, 60.0, 0.0, 0.0, 50.0, 45.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    calibration = replace(PLAIN, R=TURNED, P=wide, D=(-0.2, 0.0, 0.0, 0.0))
    valid = Rectifier(calibration).valid
    for v, u in np.ndindex(valid.shape):
        x, y = raw_pixel(calibration, u, v)
        depth_px = min(x, WIDTH - 1 - x, y, HEIGHT - 1 - y)
        if abs(depth_px) > 0.1:
            assert valid[v, u] == (depth_px > 0)


def test_the_turning_point_is_seen_from_the_raw_axis():
    """R = a turn of 0.3 about y shows the raw axis fx tan(0.3) columns right of the middle."""
    wide = (30.0, 0.0, 60.0, 0.0, 30.0, 45.0, 0.0, 0.0, 1.0)
    R = tuple(cv2.Rodrigues(np.array([0.0, 0.3, 0.0]))[0].ravel().tolist())
    valid = Rectifier(replace(PLAIN, K=wide, R=R, D=(-0.4, 0.0, 0.0, 0.0))).valid
    limit = math.atan(math.sqrt(1 / 1.2))
    first, last = np.flatnonzero(valid[45])[[0, -1]]
    assert first == pytest.approx(60 + 30 * math.tan(0.3 - limit), abs=1)
    assert last == pytest.approx(min(119, 60 + 30 * math.tan(0.3 + limit)), abs=1)


def test_a_rational_polynomial_is_not_trusted_beyond_its_pole():
    """1 - 0.5 r^2 in the denominator has its pole at r = 1.414; beyond it the sign flips."""
    wide = (30.0, 0.0, 60.0, 0.0, 30.0, 45.0, 0.0, 0.0, 1.0)
    D = (0.0, 0.0, 0.0, 0.0, 0.0, -0.5, 0.0, 0.0)
    rectifier = Rectifier(replace(PLAIN, K=wide, D=D, distortion_model='rational_polynomial'))
    v, u = np.mgrid[0:HEIGHT, 0:WIDTH]
    radius = np.hypot((u - 60) / 30, (v - 45) / 30)
    assert radius[rectifier.valid].max() < math.sqrt(2)


def test_region_and_binning_rectify_to_the_same_part_of_the_same_picture():
    full = replace(PLAIN, D=LENSES['plumb_bob'], P=P)
    region = Window(x=20, y=10, width=80, height=60)
    part = Rectifier(replace(full, roi=region, binning_x=2, binning_y=2))
    v, u = np.mgrid[0:30, 0:40]
    binned = np.stack([2 * (20.5 + 2 * u), 2 * (10.5 + 2 * v), 0 * u], -1).astype(np.uint8)
    whole = Rectifier(full).rectify(ramp())[10:70, 20:100].astype(float)
    expected = whole.reshape(30, 2, 40, 2, 3).mean(axis=(1, 3))
    error = np.abs(part.rectify(binned) - expected)[..., :2][part.valid]
    assert error.max() < 1.5
    assert part.camera.width == 40


def test_a_picture_of_another_size_is_refused():
    with pytest.raises(ImageError, match='image of 90x120 cannot be rectified: expected 120x90'):
        Rectifier(PLAIN).rectify(np.zeros((120, 90, 3), np.uint8))


def test_padded_read_only_views_are_rectified():
    padded = np.pad(ramp(), ((0, 0), (0, 3), (0, 0)))[:, :WIDTH]
    padded.flags.writeable = False
    rectifier = Rectifier(replace(PLAIN, D=LENSES['plumb_bob']))
    np.testing.assert_array_equal(rectifier.rectify(padded), rectifier.rectify(ramp()))


def test_a_P_that_looks_elsewhere_is_refused():
    away = tuple(cv2.Rodrigues(np.array([0.0, 2.5, 0.0]))[0].ravel().tolist())
    with pytest.raises(CalibrationError, match='no pixel of the rectified image has a source'):
        Rectifier(replace(PLAIN, R=away))


def test_an_unusable_calibration_is_refused():
    with pytest.raises(CalibrationError, match='not calibrated'):
        Rectifier(replace(PLAIN, K=(0.0,) * 9))
