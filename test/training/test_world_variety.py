# SPDX-License-Identifier: Apache-2.0
"""Drives with variety: their truth is as exact as ever, and others stay as they were."""

import cv2
import numpy as np
import pytest
import torch
from monodepth2_training.world.bounds import screen_bounds
from monodepth2_training.world.drive import Drive, DriveSettings
from monodepth2_training.world.lens import EQUIDISTANT, Lens
from monodepth2_training.world.motion_blur import smeared
from monodepth2_training.world.rig import FLEET, fleet_rig
from monodepth2_training.world.sensor import Sensor
from monodepth2_training.world.solids import Shape, Solid, Solids
from monodepth2_training.world.traffic import vehicle_solids
from monodepth2_training.world.weather import draw_weather, exposure_gain

from monodepth2_ros.geometry.camera import PinholeCamera

CPU = torch.device('cpu')
GOLDEN_RGB = (104.782, 103.180, 101.951)
GOLDEN_DEPTH_M = (np.inf, 64.3278, 64.3995, 7.98223)
CAMERA = PinholeCamera(width=128, height=64, fx_px=70, fy_px=70, cx_px=63.0, cy_px=32.5)
LENSES = (
    Lens(camera=CAMERA, D=(-0.28, 0.06, 1e-3, -5e-4, 0.002)),
    Lens(camera=CAMERA, distortion_model=EQUIDISTANT, D=(0.02, -0.01, 0.0, 0.0)),
)


BENT_SEEDS = (5, 10, 12)
"""A camera without colour, one whose corners move by a twelfth of the width, a fisheye."""


def drive_of(seed: int) -> Drive:
    return Drive(DriveSettings(frames=30, width=96, height=48, seed=seed, variety=True), CPU)


@pytest.fixture(scope='module')
def bent() -> Drive:
    return drive_of(BENT_SEEDS[0])


@pytest.fixture(scope='module', params=BENT_SEEDS)
def any_bent(request: pytest.FixtureRequest) -> Drive:
    return drive_of(request.param)


@pytest.mark.parametrize('lens', LENSES, ids=['plumb_bob', 'equidistant'])
def test_rays_of_a_lens_are_those_of_opencv(lens: Lens):
    x, y = lens.rays
    points = np.stack([x, y, np.ones_like(x)], axis=-1).reshape(-1, 1, 3)
    still = np.zeros(3)
    project = cv2.fisheye.projectPoints if lens.distortion_model == EQUIDISTANT else None
    if project:
        pixels, _ = project(points, still, still, CAMERA.K, np.array(lens.D))
    else:
        pixels, _ = cv2.projectPoints(points, still, still, CAMERA.K, np.array(lens.D))
    u, v = np.meshgrid(np.arange(CAMERA.width), np.arange(CAMERA.height))
    np.testing.assert_allclose(
        pixels.reshape(-1, 2), np.stack([u, v], -1).reshape(-1, 2), atol=1e-6
    )


@pytest.mark.parametrize('lens', LENSES, ids=['plumb_bob', 'equidistant'])
def test_rays_of_a_lens_project_onto_their_pixels(lens: Lens):
    u, v = lens.project(*(torch.from_numpy(at_1) for at_1 in lens.rays))
    torch.testing.assert_close(u, torch.arange(128.0).double().expand(64, 128), atol=1e-6, rtol=0)
    torch.testing.assert_close(v[:, 0], torch.arange(64.0).double(), atol=1e-6, rtol=0)


@pytest.mark.parametrize('lens', LENSES, ids=['plumb_bob', 'equidistant'])
def test_bounds_through_a_lens_hold_all_that_a_solid_covers(lens: Lens):
    ball = Solid(shape=Shape.ELLIPSOID, centre=(-2.5, 1.0, 6.0), half=(1.0, 1.0, 1.0))
    bounds = screen_bounds(Solids.of([ball]), CAMERA, np.eye(4), max_depth_m=50.0, lens=lens)
    x, y = lens.rays
    directions = np.stack([x, y, np.ones_like(x)], axis=-1)
    along = directions @ ball.centre / np.linalg.norm(directions, axis=-1)
    seen = np.square(ball.centre).sum() - along**2 < 1.0
    assert seen.any()
    rows, columns = np.nonzero(seen)
    (top, bottom), (left, right) = bounds.rows[0], bounds.columns[0]
    assert top <= rows.min() and rows.max() < bottom
    assert left <= columns.min() and columns.max() < right


def test_depth_of_distorted_pixels_is_exact_on_the_road(any_bent: Drive):
    frame = any_bent.frame(9)
    x, y = any_bent.rig.lens.rays
    down = np.stack([x, y, np.ones_like(x)], axis=-1) @ frame.T_camera_to_odom[2, :3]
    road = (frame.instance == 1) & (frame.depth_m < 8.0)
    height_m = frame.T_camera_to_odom[2, 3]
    layout = any_bent.scene.layout
    expected = [(height_m - level) / -down[road] for level in (0.0, layout.kerb_height_m)]
    error = np.min([np.abs(frame.depth_m[road] / e - 1.0) for e in expected], axis=0)
    assert road.sum() > 100
    assert np.quantile(error, 0.95) < 1e-5


def test_distorted_depth_is_that_of_the_straight_picture_along_the_same_rays(any_bent: Drive):
    lens, camera = any_bent.rig.lens, any_bent.camera
    exposure = any_bent._exposure(0.9)
    bent_m, straight_m = (
        any_bent._renderer.render(eye, exposure).depth_m.numpy()
        for eye in (lens, Lens(camera=camera.resized(960, 480)))
    )
    x, y = lens.rays
    wide = camera.resized(960, 480)
    u = np.round(x * wide.fx_px + wide.cx_px).astype(int)
    v = np.round(y * wide.fy_px + wide.cy_px).astype(int)
    inside = (u >= 0) & (u < 960) & (v >= 0) & (v < 480)
    there = straight_m[v.clip(0, 479), u.clip(0, 959)]
    both = inside & np.isfinite(bent_m) & np.isfinite(there)
    assert both.mean() > 0.5
    error = np.abs(bent_m[both] / there[both] - 1.0)
    assert np.median(error) < 0.005
    assert np.quantile(error, 0.9) < 0.03


def test_same_seed_gives_the_same_bytes_with_variety(bent: Drive):
    again = Drive(bent.settings, CPU)
    for number in (0, 11):
        one, two = bent.frame(number), again.frame(number)
        np.testing.assert_array_equal(one.rgb, two.rgb)
        np.testing.assert_array_equal(one.depth_m, two.depth_m)


def test_drives_without_variety_are_those_of_earlier_versions():
    drive = Drive(DriveSettings(frames=40, width=208, height=64, seed=4, rate_hz=4.0), CPU)
    frame = drive.frame(13)
    assert drive.rig.lens.bends is False
    assert frame.rgb.mean(axis=(0, 1)) == pytest.approx(GOLDEN_RGB, abs=0.05)
    assert frame.depth_m[::16, 100] == pytest.approx(GOLDEN_DEPTH_M, rel=1e-4)


def test_a_camera_without_colour_gives_three_equal_channels(bent: Drive):
    rgb = bent.frame(3).rgb
    np.testing.assert_array_equal(rgb[..., 0], rgb[..., 1])
    np.testing.assert_array_equal(rgb[..., 0], rgb[..., 2])


def test_the_mounting_of_a_camera_is_where_it_looks_from(bent: Drive):
    frame, mounting = bent.frame(5), bent.rig.mounting
    T_camera_to_base = np.linalg.inv(frame.T_base_to_odom) @ frame.T_camera_to_odom
    place = (mounting.forward_m, mounting.left_m, mounting.up_m)
    np.testing.assert_allclose(T_camera_to_base[:3, 3], place, atol=1e-9)
    ahead = T_camera_to_base[:3, 2]
    assert np.arctan2(-ahead[2], ahead[0]) == pytest.approx(mounting.pitch_rad)


def test_people_walk_have_numbers_of_their_own_and_keep_clear_of_the_vehicle():
    drive = Drive(DriveSettings(frames=80, width=96, height=48, seed=2, variety=True), CPU)
    people = [v for v in drive.scene.vehicles if v.swing_m is not None]
    numbers = {int(person.parts.instance[0]) for person in people}
    assert len(numbers) == len(people) > 5
    assert numbers <= set(drive.moving_instances)
    ways = [
        np.abs(vehicle_solids(p, 5.0).centre[0] - vehicle_solids(p, 3.0).centre[0]).max()
        for p in people
    ]
    assert np.median(ways) > 1.0
    for time_s in np.arange(0.0, 8.0, 0.5):
        here = drive.ego.T_base_to_world(time_s)[:2, 3]
        there = np.array([vehicle_solids(p, time_s).centre[0, :2] for p in people])
        assert np.linalg.norm(there - here, axis=1).min() > 2.5


def test_people_are_seen_in_pictures_and_move_there():
    drive = Drive(DriveSettings(frames=80, width=320, height=96, seed=2, variety=True), CPU)
    people = [v for v in drive.scene.vehicles if v.swing_m is not None]
    numbers = [int(person.parts.instance[0]) for person in people]
    seen = [set(np.unique(drive.frame(n).instance)) & set(numbers) for n in (0, 20, 40)]
    assert set.union(*seen)


def test_legs_swing_while_somebody_walks():
    drive = Drive(DriveSettings(frames=30, width=96, height=48, seed=2, variety=True), CPU)
    person = next(v for v in drive.scene.vehicles if v.swing_m is not None)
    leg = int(np.argmax(person.swing_m))
    apart = [
        vehicle_solids(person, t).centre[leg] - vehicle_solids(person, t).centre[0]
        for t in np.arange(0.5, 3.0, 0.1)
    ]
    assert np.ptp(np.linalg.norm(apart, axis=1)) < 0.5
    assert np.std(np.array(apart)[:, :2], axis=0).max() > 0.05


def test_motion_blur_spreads_an_edge_over_its_way_and_leaves_the_rest():
    picture = torch.zeros(16, 64, 3)
    picture[:, 32:] = 1.0
    blurred = smeared(picture, torch.full((16, 64), 10.0), torch.zeros(16, 64))
    ramp = blurred[8, :, 0]
    assert ramp[:26].max() == 0.0
    assert ramp[38:].min() == 1.0
    assert 0.3 < float(ramp[31]) < 0.7
    torch.testing.assert_close(smeared(picture, torch.zeros(16, 64), torch.zeros(16, 64)), picture)


def test_only_what_moves_against_the_camera_is_blurred():
    settings = DriveSettings(frames=30, width=96, height=48, seed=2, variety=True, noise=False)
    drive = Drive(settings, CPU)
    frozen = drive._exposure(1.0)
    assert frozen.T_end_to_world is not None
    still = type(frozen)(**{**vars(frozen), 'T_end_to_world': frozen.T_camera_to_world})
    sharp = type(frozen)(**{**vars(frozen), 'T_end_to_world': None})
    lens = drive.rig.lens
    pictures = [drive._renderer.render(lens, e).radiance for e in (still, sharp)]
    difference = (pictures[0] - pictures[1]).abs()
    assert float(difference.median()) < 1e-3


def test_compression_leaves_the_picture_and_its_channels_nearly_as_they_were():
    x, y = torch.linspace(0.05, 0.5, 64), torch.linspace(0.0, 0.3, 64)[:, None]
    radiance = torch.stack([x + y, x + 0.0 * y, 0.5 * x + y], dim=-1)
    plain = Sensor(noise=0.0, exposure_changes=False)
    squeezed = Sensor(noise=0.0, exposure_changes=False, jpeg_quality=90)
    before, after = (s.capture(radiance, 1, 1.0).float() for s in (plain, squeezed))
    assert 0.0 < float((before - after).abs().mean()) < 2.0


def test_every_weather_is_exposed_well():
    kinds = set()
    for seed in range(40):
        light = draw_weather(np.random.default_rng(seed))
        kinds.add((light.sun_colour[0] > 0.5, light.haze_m < 140.0, light.sun_elevation < 0.45))
        lit = np.mean(light.sky_colour) + 0.5 * np.mean(light.sun_colour) * light.to_sun[2]
        assert 0.15 < 0.3 * lit * exposure_gain(light) < 0.6
    assert len(kinds) >= 4


def test_seeds_have_different_cameras_until_the_fleet_begins_again():
    rigs = [fleet_rig(number, 640, 192) for number in range(FLEET + 1)]
    assert len({rig.lens.camera.fx_px for rig in rigs}) == FLEET
    assert rigs[FLEET].lens == rigs[0].lens
    assert {rig.lens.distortion_model for rig in rigs if rig.lens.bends} == {
        'plumb_bob',
        EQUIDISTANT,
    }
    assert {rig.sensor.colour for rig in rigs} == {True, False}
    heights = [rig.mounting.up_m for rig in rigs]
    assert min(heights) < 1.2 and max(heights) > 2.0
