# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from monodepth2_ros.geometry.camera import PinholeCamera
from monodepth2_ros.geometry.projection import pixel_rays
from monodepth2_ros.inference.ground_plane import (
    NO_GROUND,
    NO_TEXTURE,
    TILTED,
    UPSIDE_DOWN,
    Ground,
    GroundFinder,
    NoGround,
)

CAMERA = PinholeCamera(width=320, height=96, fx_px=186.0, fy_px=186.0, cx_px=159.5, cy_px=47.5)
HEIGHT = 0.018
FAR = 4.0


def _street(pitch_deg: float = 0.0, roll_deg: float = 0.0) -> NDArray[np.float32]:
    """Depth of a ground plane in network units, and of a wall behind it."""
    pitch, roll = math.radians(pitch_deg), math.radians(roll_deg)
    flat = math.cos(pitch)
    normal = np.array([flat * math.sin(roll), flat * math.cos(roll), math.sin(pitch)])
    rays = np.dstack((pixel_rays(CAMERA), np.ones((96, 320))))
    inverse = rays @ normal / HEIGHT
    return (1.0 / np.maximum(inverse, 1.0 / FAR)).astype(np.float32)


def _found(depth: NDArray[np.float32], **known: NDArray[np.float64]) -> Ground | NoGround:
    return GroundFinder(CAMERA, **known).find(depth)


@pytest.mark.parametrize(('pitch_deg', 'roll_deg'), [(0.0, 0.0), (3.0, 0.0), (-2.0, 4.0)])
def test_height_pitch_and_roll_of_a_plane_are_exact(pitch_deg: float, roll_deg: float) -> None:
    ground = _found(_street(pitch_deg, roll_deg))
    assert isinstance(ground, Ground)
    assert ground.height_units == pytest.approx(HEIGHT, rel=1e-3)
    assert ground.pitch_deg == pytest.approx(pitch_deg, abs=0.1)
    assert ground.roll_deg == pytest.approx(roll_deg, abs=0.1)


def test_noise_and_a_car_on_the_ground_change_little() -> None:
    depth = _street() * np.random.default_rng(1).normal(1.0, 0.03, (96, 320))
    depth[60:90, 180:240] = 0.05
    ground = _found(depth.astype(np.float32))
    assert isinstance(ground, Ground)
    assert ground.height_units == pytest.approx(HEIGHT, rel=0.02)


def test_a_wall_all_over_is_no_ground() -> None:
    depth = np.full((96, 320), 0.1, np.float32)
    assert _found(depth) in (NoGround(reason=NO_GROUND), NoGround(reason=TILTED))


def test_nothing_known_is_no_ground() -> None:
    assert _found(np.full((96, 320), np.nan, np.float32)) == NoGround(reason=NO_GROUND)


def test_a_slope_that_the_mounting_rules_out_is_no_ground() -> None:
    down = np.array([0.0, 1.0, 0.0])
    assert isinstance(_found(_street(pitch_deg=9.0)), Ground)
    assert _found(_street(pitch_deg=9.0), normal=down) == NoGround(reason=NO_GROUND)


def test_a_known_mounting_gives_the_height_where_the_tilt_of_the_depth_is_wrong() -> None:
    down = np.array([0.0, 1.0, 0.0])
    ground = _found(_street(pitch_deg=0.4), normal=down)
    assert isinstance(ground, Ground)
    assert ground.height_units == pytest.approx(HEIGHT, rel=0.08)


def test_the_tilt_of_one_odd_frame_does_not_count_after_many_others() -> None:
    finder = GroundFinder(CAMERA)
    for _ in range(11):
        finder.find(_street(pitch_deg=2.0))
    odd = finder.find(_street(pitch_deg=2.3))
    assert isinstance(odd, Ground)
    assert odd.pitch_deg == pytest.approx(2.0, abs=0.05)


def test_a_camera_that_hangs_upside_down_is_told() -> None:
    assert _found(_street()[::-1, ::-1].copy()) == NoGround(reason=UPSIDE_DOWN)


def test_ground_without_texture_is_not_believed() -> None:
    plain = np.full((96, 320), 128, np.uint8)
    patterned = np.random.default_rng(0).integers(0, 255, (96, 320), np.uint8)
    finder = GroundFinder(CAMERA)
    assert finder.find(_street(), plain) == NoGround(reason=NO_TEXTURE)
    assert isinstance(finder.find(_street(), patterned), Ground)
