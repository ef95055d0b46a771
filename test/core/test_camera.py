# SPDX-License-Identifier: Apache-2.0
"""Cameras: resize, crop and mirror keep a projected point on the same spot of the picture."""

from __future__ import annotations

import math

import pytest

from monodepth2_ros.errors import CalibrationError
from monodepth2_ros.geometry.camera import PinholeCamera, Window

CAMERA = PinholeCamera(
    width=640, height=480, fx_px=500.0, fy_px=510.0, cx_px=319.5, cy_px=239.5, tx_px_m=-50.0
)


def test_halving_an_image_moves_the_centre_by_the_half_pixel_rule():
    half = CAMERA.resized(320, 240)
    assert (half.fx_px, half.fy_px) == (250.0, 255.0)
    assert (half.cx_px, half.cy_px) == (159.5, 119.5)
    assert half.tx_px_m == -25.0
    assert (half.width, half.height) == (320, 240)


def test_the_outer_corner_of_an_image_stays_its_outer_corner():
    corner = PinholeCamera(width=4, height=4, fx_px=4, fy_px=4, cx_px=-0.5, cy_px=3.5)
    resized = corner.resized(12, 2)
    assert (resized.cx_px, resized.cy_px) == (-0.5, 1.5)


def test_resizing_there_and_back_changes_nothing():
    back = CAMERA.resized(123, 45).resized(640, 480)
    assert pytest.approx(CAMERA.K, abs=1e-12) == back.K


def test_cropping_moves_the_principal_point():
    cropped = CAMERA.cropped(Window(x=100, y=40, width=200, height=300))
    assert (cropped.width, cropped.height) == (200, 300)
    assert (cropped.cx_px, cropped.cy_px) == (219.5, 199.5)
    assert cropped.fx_px == CAMERA.fx_px


def test_flip_mirrors_the_principal_point():
    off_centre = PinholeCamera(width=10, height=5, fx_px=8, fy_px=8, cx_px=2.0, cy_px=2.0)
    assert off_centre.flipped().cx_px == 7.0
    assert off_centre.flipped().flipped() == off_centre


@pytest.mark.parametrize(
    ('changes', 'text'),
    [
        ({'width': 0}, 'size 0x480 is not positive'),
        ({'fx_px': 0.0}, 'fx=0.0'),
        ({'fy_px': -3.0}, 'fy=-3.0'),
        ({'cx_px': math.nan}, 'cx=nan'),
        ({'tx_px_m': math.inf}, 'not usable'),
    ],
)
def test_an_impossible_camera_is_refused(changes, text):
    fields = {'width': 640, 'height': 480, 'fx_px': 1.0, 'fy_px': 1.0, 'cx_px': 0.0, 'cy_px': 0.0}
    with pytest.raises(CalibrationError, match=text):
        PinholeCamera(**{**fields, **changes})
