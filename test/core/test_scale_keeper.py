# SPDX-License-Identifier: Apache-2.0
"""The scale of a running node, on a street whose true depth and motion are known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from monodepth2_ros.errors import ConfigError
from monodepth2_ros.geometry.camera import CameraCalibration, PinholeCamera, Window
from monodepth2_ros.geometry.depth import DepthRange
from monodepth2_ros.geometry.poses import pose_matrix
from monodepth2_ros.geometry.projection import pixel_rays
from monodepth2_ros.geometry.static_frames import MountedCamera, StaticFrames
from monodepth2_ros.inference.odometry_steps import NO_MOTION, NO_ODOMETRY, STANDING
from monodepth2_ros.inference.scale_keeper import NO_HEIGHT, ScaleKeeper, ScaleSettings
from monodepth2_ros.inference.travelled import TravelledWay
from monodepth2_ros.inference.views import View, Views
from monodepth2_ros.model_description import ModelDescription, Scale, TrainingCamera
from monodepth2_ros.networks.depth_net import DepthNetConfig

WIDTH, HEIGHT = 320, 96
CAMERA = PinholeCamera(
    width=WIDTH, height=HEIGHT, fx_px=186.0, fy_px=186.0, cx_px=159.5, cy_px=47.5
)
UNIT_M = 90.0
CAMERA_HEIGHT_M = 1.65
STEP_M = 0.8
PERIOD_NS = 10**8
RANGE = DepthRange(min_depth_m=0.02, max_depth_m=20.0)
VIEW = View(
    width=WIDTH,
    height=HEIGHT,
    window=Window(x=0, y=0, width=WIDTH, height=HEIGHT),
    camera=CAMERA,
)
TEXTURE = cv2.GaussianBlur(
    np.random.default_rng(2).integers(0, 255, (512, 512), np.uint8), (0, 0), 2.0
)


def _depth_m() -> NDArray[np.float64]:
    """A street: ground below, a wall 25 m ahead at the moment of each frame."""
    rays = pixel_rays(CAMERA)[..., 1].astype(np.float64)
    return CAMERA_HEIGHT_M / np.maximum(rays, CAMERA_HEIGHT_M / 25.0)


def _picture(travelled_m: float) -> NDArray[np.uint8]:
    """The street from a place along it; its texture stands still in the world."""
    depth = _depth_m()
    rays = pixel_rays(CAMERA).astype(np.float64)
    on_ground = rays[..., 1] >= CAMERA_HEIGHT_M / 25.0
    x = rays[..., 0] * depth
    y = np.where(on_ground, depth + travelled_m, 40.0 - 3.0 * rays[..., 1] * depth)
    scale = 4.0
    grey = cv2.remap(
        TEXTURE,
        np.float32((x * scale) % 511.0),
        np.float32((y * scale) % 511.0),
        cv2.INTER_LINEAR,
    )
    return np.repeat(grey[..., None], 3, axis=2)


def _disparity() -> NDArray[np.float32]:
    """What a perfect network with a unit of ``UNIT_M`` says."""
    low, high = 1.0 / RANGE.max_depth_m, 1.0 / RANGE.min_depth_m
    return np.asarray((UNIT_M / _depth_m() - low) / (high - low), np.float32)


def _keeper(scale: Scale | None = None, camera: PinholeCamera = CAMERA, **chosen: Any) -> Any:
    network = DepthNetConfig(width=WIDTH, height=HEIGHT)
    description = ModelDescription(
        network=network,
        depth_range=RANGE,
        scale=scale,
        camera=TrainingCamera(camera=camera),
    )
    return ScaleKeeper(description, ScaleSettings(**chosen), clock_s=lambda: 0.0)


def _drive(
    keeper: ScaleKeeper,
    frames: int,
    *,
    metres: float = STEP_M,
    odometry: float = 1.0,
    view: View = VIEW,
) -> None:
    for number in range(frames):
        stamp_ns = 10**9 + number * PERIOD_NS
        keeper.stamp_ns = stamp_ns
        if odometry:
            keeper.way.add(stamp_ns, (odometry * metres * number, 0.0, 0.0))
        keeper.begin(view)
        keeper.watch(_picture(metres * number), _disparity(), view)


def test_the_ground_gives_the_scale() -> None:
    keeper = _keeper(source='ground_plane', camera_height_m=CAMERA_HEIGHT_M)
    _drive(keeper, 12)
    assert keeper.scale == pytest.approx(UNIT_M, rel=0.01)
    assert keeper.reading.frozen == ''


def test_a_height_ten_times_too_large_makes_the_scale_ten_times_too_large() -> None:
    keeper = _keeper(source='ground_plane', camera_height_m=10 * CAMERA_HEIGHT_M)
    _drive(keeper, 12)
    assert keeper.scale == pytest.approx(10 * UNIT_M, rel=0.01)


def test_tf_gives_the_height_where_no_parameter_does() -> None:
    keeper = _keeper(source='ground_plane')
    _drive(keeper, 12)
    assert keeper.reading.frozen == NO_HEIGHT
    keeper.mount(_mounting(CAMERA_HEIGHT_M))
    _drive(keeper, 12)
    assert keeper.scale == pytest.approx(UNIT_M, rel=0.01)


def test_a_new_mounting_counts_from_the_next_frame_on_and_one_that_is_lost_no_more() -> None:
    keeper = _keeper(source='ground_plane')
    keeper.mount(_mounting(CAMERA_HEIGHT_M))
    _drive(keeper, 2)
    tilted = np.array([0.0, np.cos(0.3), np.sin(0.3)])
    keeper.mount(_mounting(CAMERA_HEIGHT_M, tilted))
    before = keeper.measured.frames
    _drive(keeper, 3)
    assert keeper.measured.frames == before, 'no ground lies where it is said to be now'
    keeper.mount(None)
    _drive(keeper, 1)
    assert keeper.reading.frozen == NO_HEIGHT


def test_what_tf_tells_of_the_ground_is_turned_as_the_pictures_are() -> None:
    R, _ = cv2.Rodrigues(np.array([np.radians(2.0), 0.0, 0.0]))
    calibration = CameraCalibration(
        width=WIDTH, height=HEIGHT, K=tuple(CAMERA.K.ravel()), R=tuple(R.ravel())
    )
    views = Views()
    never, auto = (
        views.view(calibration, width=WIDTH, height=HEIGHT, rectify=rectify)
        for rectify in ('never', 'auto')
    )
    np.testing.assert_allclose(auto.R_raw_to_rectified, R)
    keeper = _keeper(source='ground_plane')
    keeper.mount(_mounting(CAMERA_HEIGHT_M, R.T @ [0.0, 1.0, 0.0]))
    _drive(keeper, 12, view=never)
    assert keeper.scale == pytest.approx(UNIT_M, rel=0.01)
    before = keeper.measured.frames
    _drive(keeper, 2, view=replace(never, R_raw_to_rectified=R @ R @ R @ R))
    assert keeper.measured.frames == before, 'no ground lies where it is said to be now'


def _mounting(height_m: float, down: Any = (0.0, 1.0, 0.0)) -> MountedCamera:
    return MountedCamera(height_m=height_m, down=np.array(down), ground='base_link')


def test_what_was_measured_behind_another_lens_is_dropped() -> None:
    keeper = _keeper(source='ground_plane', camera_height_m=CAMERA_HEIGHT_M)
    _drive(keeper, 12)
    assert keeper.measured.is_known
    keeper.begin(replace(VIEW, camera=replace(CAMERA, fx_px=187.0)))
    assert keeper.measured.is_known, 'half a percent is no other lens'
    keeper.begin(replace(VIEW, camera=replace(CAMERA, fx_px=372.0, fy_px=372.0)))
    assert not keeper.measured.is_known


def test_metres_of_an_unknown_camera_are_doubted() -> None:
    keeper = _keeper(Scale(value=5.4, spread=0.1, frames=80, method='lidar'))
    assert keeper.differences == ()
    keeper.begin(replace(VIEW, camera=None))
    assert keeper.differences[0].startswith('the camera is unknown')
    keeper.begin(VIEW)
    assert keeper.differences == ()


def test_without_odometry_the_scale_waits_and_says_why() -> None:
    keeper = _keeper(source='odometry')
    _drive(keeper, 15, odometry=0.0)
    assert not keeper.reading.is_known
    assert keeper.reading.frozen == NO_ODOMETRY


def test_a_loop_back_in_time_loses_no_motion_to_those_of_before() -> None:
    keeper = _keeper(source='odometry')
    _drive(keeper, 14)
    # The last frame comes before its odometry, as it does live.
    keeper.way.add(10**9 + 13 * PERIOD_NS + PERIOD_NS // 2, (13.5 * STEP_M, 0.0, 0.0))
    keeper.stamp_ns = 10**9 + 14 * PERIOD_NS
    keeper.watch(_picture(STEP_M * 14), _disparity(), VIEW)
    before = keeper.measured.frames
    _drive(keeper, 6)
    assert keeper.measured.frames > before


def test_steps_that_turn_out_to_be_short_are_not_measured() -> None:
    keeper = _keeper(source='odometry')
    for number in range(12):
        keeper.stamp_ns = 10**9 + number * PERIOD_NS
        keeper.watch(_picture(0.5 * STEP_M * number), _disparity(), VIEW)
    for number in range(13):
        keeper.way.add(10**9 + number * PERIOD_NS, (0.2 * number, 0.0, 0.0))
    keeper.stamp_ns += PERIOD_NS
    keeper.watch(_picture(0.5 * STEP_M * 12), _disparity(), VIEW)
    assert not keeper.measured.frames
    assert keeper.measured.frozen == NO_MOTION


def test_positions_sent_twice_or_late_take_nothing_away_and_a_jump_back_all() -> None:
    way = TravelledWay()
    for number in (0, 0, 1, 1, 3, 2, 3, 4):
        way.add(10**9 + number * 10**8, (float(number), 0.0, 0.0))
    assert way.between_m(10**9, 14 * 10**8) == pytest.approx(4.0)
    way.add(10**8, (0.0, 0.0, 0.0))
    assert way.between_m(10**9, 14 * 10**8) is None
    assert way.newest_ns == 10**8


def test_an_odometry_that_stands_still_gives_no_scale() -> None:
    keeper = _keeper(source='odometry')
    keeper.way.add(0, (0.0, 0.0, 0.0))
    _drive(keeper, 15, odometry=1e-9)
    assert not keeper.reading.is_known
    assert keeper.reading.frozen == STANDING


def test_a_model_without_scale_is_relative_and_one_with_scale_is_not() -> None:
    assert not _keeper().reading.is_known
    known = Scale(value=5.4, spread=0.1, frames=80, method='lidar')
    assert _keeper(known).reading.text() == '5.4 +- 10.0 % by lidar (model file)'
    assert _keeper(known, fixed=2.0).reading.text() == '2 by parameter'


def test_until_it_is_measured_the_given_scale_stands_in() -> None:
    known = Scale(value=5.4, spread=0.1, frames=80, method='lidar')
    reading = _keeper(known, source='ground_plane').reading
    assert reading.value == 5.4
    assert 'until ground_plane is measured' in reading.source


def test_another_lens_multiplies_the_models_scale_and_is_told() -> None:
    known = Scale(value=5.0, spread=0.1, frames=80, method='lidar')
    wide = replace(CAMERA, fx_px=93.0, fy_px=93.0)
    keeper = _keeper(known, camera=wide)
    keeper.begin(VIEW)
    assert keeper.scale == pytest.approx(10.0)
    assert keeper.differences[0].endswith('depth is multiplied by 2.000')
    ignoring = _keeper(known, camera=wide, camera_mismatch='ignore')
    ignoring.begin(VIEW)
    assert ignoring.scale == 5.0
    assert ignoring.differences[0].endswith('depth is off by a factor of 2.000')


def test_fixed_without_a_value_is_refused() -> None:
    with pytest.raises(ConfigError, match='scale_source is fixed but scale is 0'):
        ScaleSettings(source='fixed')


def test_the_way_is_linear_between_positions_and_unknown_in_gaps() -> None:
    way = TravelledWay()
    for stamp_ns, x in ((0, 0.0), (10**8, 1.0), (2 * 10**8, 2.0), (2 * 10**9, 9.0)):
        way.add(stamp_ns, (x, 0.0, 0.0))
    assert way.between_m(0, 15 * 10**7) == pytest.approx(1.5)
    assert way.between_m(0, 10**9) is None
    assert way.between_m(0, 3 * 10**9) is None


def test_the_mounting_follows_from_a_chain_of_static_frames() -> None:
    frames = StaticFrames()
    for child, parent, row in (
        ('base_link', '/base_footprint', [0.0, 0.0, 0.3, 0.0, 0.0, 0.0, 1.0]),
        ('camera', 'base_link', [0.5, 0.0, 1.2, 0.0, 0.0, 0.0, 1.0]),
        ('optical', 'camera', [0.0, 0.0, 0.0, -0.5, 0.5, -0.5, 0.5]),
    ):
        T = pose_matrix(np.array(row))
        assert T is not None
        frames.add(child, parent, T)
    found = frames.mounted('optical')
    assert found is not None
    assert (found.ground, found.height_m) == ('base_footprint', pytest.approx(1.5))
    assert found.down == pytest.approx([0.0, 1.0, 0.0])
    assert frames.mounted('elsewhere') is None


def test_a_pose_without_a_rotation_is_none() -> None:
    assert pose_matrix(np.zeros(7)) is None
    assert pose_matrix(np.array([0.0, np.nan, 0.0, 0.0, 0.0, 0.0, 1.0])) is None
