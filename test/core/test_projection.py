# SPDX-License-Identifier: Apache-2.0
"""Projection: pixels to rays and back."""

from __future__ import annotations

import numpy as np

from monodepth2_ros.geometry.camera import PinholeCamera
from monodepth2_ros.geometry.projection import pixel_rays, project

CAMERA = PinholeCamera(width=7, height=5, fx_px=4.0, fy_px=8.0, cx_px=3.0, cy_px=2.5)


def test_rays_by_hand():
    rays = pixel_rays(CAMERA)
    assert rays.shape == (5, 7, 2)
    assert rays.dtype == np.float32
    assert rays[0, 3].tolist() == [0.0, -2.5 / 8.0]
    assert rays[4, 1].tolist() == [-0.5, 1.5 / 8.0]


def test_a_point_by_hand_right_is_right_and_down_is_down():
    uv, depth_m = project(np.array([[1.0, 2.0, 4.0]]), CAMERA)
    assert uv.tolist() == [[4.0, 6.5]]
    assert depth_m.tolist() == [4.0]


def test_every_pixel_comes_back_from_any_depth():
    rays = pixel_rays(CAMERA).reshape(-1, 2)
    depth_m = np.random.default_rng(0).uniform(0.1, 90.0, len(rays))
    points_m = np.column_stack([rays, np.ones(len(rays))]) * depth_m[:, None]
    uv, projected_depth_m = project(points_m, CAMERA)
    v, u = np.mgrid[0:5, 0:7]
    np.testing.assert_allclose(uv, np.column_stack([u.ravel(), v.ravel()]), atol=1e-5)
    np.testing.assert_allclose(projected_depth_m, depth_m)


def test_points_not_in_front_of_the_camera_have_no_pixel():
    points_m = np.array([[0.0, 1.0, 0.0], [1.0, 1.0, -2.0], [0.0, 0.0, np.nan]])
    uv, depth_m = project(points_m, CAMERA)
    assert np.isnan(uv).all()
    np.testing.assert_array_equal(depth_m, [0.0, -2.0, np.nan])


def test_no_points_give_no_pixels():
    uv, depth_m = project(np.empty((0, 3)), CAMERA)
    assert uv.shape == (0, 2)
    assert depth_m.shape == (0,)
