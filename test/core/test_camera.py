# SPDX-License-Identifier: Apache-2.0
"""Cameras: resize, crop and mirror keep a projected point on the same spot of the picture."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monodepth2_ros.errors import CalibrationError
from monodepth2_ros.geometry.camera import PinholeCamera, Window
from monodepth2_ros.geometry.projection import project

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


POINTS = st.tuples(st.floats(-20, 20), st.floats(-20, 20), st.floats(0.1, 100))


def seen(camera: PinholeCamera, point: tuple[float, ...]) -> np.ndarray:
    """Column and row of a point."""
    return project(np.array([point]), camera)[0][0]


@given(point=POINTS, width=st.integers(1, 2000), height=st.integers(1, 2000))
def test_a_point_keeps_its_spot_in_a_resized_image(point, width, height):
    """Its share of the way from the image's left edge, at -0.5, to its right one."""
    u, v = seen(CAMERA, point)
    expected = ((u + 0.5) / 640 * width - 0.5, (v + 0.5) / 480 * height - 0.5)
    np.testing.assert_allclose(seen(CAMERA.resized(width, height), point), expected, atol=1e-6)


@given(point=POINTS, x=st.integers(0, 600), y=st.integers(0, 400))
def test_a_point_is_as_much_further_left_and_up_as_is_cropped_there(point, x, y):
    cropped = CAMERA.cropped(Window(x=x, y=y, width=40, height=80))
    np.testing.assert_allclose(seen(cropped, point), seen(CAMERA, point) - [x, y], atol=1e-9)


@given(point=POINTS)
def test_a_mirrored_point_is_as_far_from_the_other_side(point):
    u, v = seen(CAMERA, point)
    mirrored = (-point[0], *point[1:])
    np.testing.assert_allclose(seen(CAMERA.flipped(), mirrored), (639 - u, v), atol=1e-9)


@given(x=st.integers(0, 30), width=st.integers(1, 50), factor=st.sampled_from([2, 4, 5, 8]))
def test_cropping_then_resizing_is_resizing_then_cropping(x, width, factor):
    part = Window(x=factor * x, y=0, width=factor * width, height=480)
    there = CAMERA.cropped(part).resized(width, 480)
    small = Window(x=x, y=0, width=width, height=480)
    back = CAMERA.resized(640 // factor, 480).cropped(small)
    np.testing.assert_allclose(there.K, back.K, atol=1e-9)
    assert there.tx_px_m == pytest.approx(back.tx_px_m)


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
