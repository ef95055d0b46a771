# SPDX-License-Identifier: Apache-2.0
"""A generated drive is what its truth says it is."""

import hashlib

import numpy as np
import pytest
import torch
from monodepth2_training.world.drive import Drive, DriveFrame, DriveSettings
from monodepth2_training.world.motion import (
    CAMERA_IN_BASE_M,
    T_camera_to_base,
    quaternion_xyzw,
)
from monodepth2_training.world.patterns import band, rgb, stripes
from monodepth2_training.world.solids import Solids
from monodepth2_training.world.traffic import vehicle_solids
from numpy.typing import NDArray
from support.gpu_waits import GpuWaits

from monodepth2_ros.errors import ConfigError

CPU = torch.device('cpu')


def settings(**values: object) -> DriveSettings:
    small = {'frames': 60, 'width': 208, 'height': 64, 'rate_hz': 5.0, 'noise': False}
    return DriveSettings(**{**small, 'exposure_changes': False, **values})


@pytest.fixture(scope='module')
def still_world() -> Drive:
    return Drive(settings(rate_hz=10.0, moving_cars=False, standstill=False), CPU)


@pytest.fixture(scope='module')
def traffic() -> Drive:
    return Drive(settings(), CPU)


def rays_of(drive: Drive) -> NDArray[np.float64]:
    camera = drive.camera
    u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    x, y = (u - camera.cx_px) / camera.fx_px, (v - camera.cy_px) / camera.fy_px
    return np.stack([x, y, np.ones_like(x)], axis=-1)


def bilinear(image: NDArray[np.float64], u: NDArray[np.float64], v: NDArray[np.float64]):
    u0, v0 = np.floor(u).astype(int), np.floor(v).astype(int)
    fu, fv = (u - u0)[..., None], (v - v0)[..., None]
    top = image[v0, u0] * (1 - fu) + image[v0, u0 + 1] * fu
    bottom = image[v0 + 1, u0] * (1 - fu) + image[v0 + 1, u0 + 1] * fu
    return top * (1 - fv) + bottom * fv


def warp(drive: Drive, target: DriveFrame, source: DriveFrame) -> tuple[NDArray[np.float64], ...]:
    """Where the target's pixels lie in ``source``: colours, depth, expected depth, mask."""
    finite = np.isfinite(target.depth_m)
    points = rays_of(drive) * np.where(finite, target.depth_m, 1.0)[..., None]
    T_target_to_source = np.linalg.inv(source.T_camera_to_odom) @ target.T_camera_to_odom
    moved = points @ T_target_to_source[:3, :3].T + T_target_to_source[:3, 3]
    depth = np.maximum(moved[..., 2], 0.1)
    u = drive.camera.fx_px * moved[..., 0] / depth + drive.camera.cx_px
    v = drive.camera.fy_px * moved[..., 1] / depth + drive.camera.cy_px
    height, width = finite.shape
    inside = finite & (u >= 0) & (u < width - 1) & (v >= 0) & (v < height - 1)
    u, v = np.where(inside, u, 0.0), np.where(inside, v, 0.0)
    seen = source.depth_m[np.rint(v).astype(int), np.rint(u).astype(int)]
    return bilinear(source.rgb.astype(float), u, v), seen, depth, inside


def test_road_depth_is_that_of_the_ground_plane(still_world: Drive):
    frame = still_world.frame(7)
    world = rays_of(still_world) @ frame.T_camera_to_odom[:3, :3].T
    height = frame.T_camera_to_odom[2, 3]
    for row, column in ((63, 104), (60, 96), (55, 104)):
        assert frame.instance[row, column] == 1
        expected = height / -world[row, column, 2]
        assert frame.depth_m[row, column] == pytest.approx(expected, rel=1e-5)


def test_sky_has_infinite_depth_and_nothing_else_has(still_world: Drive):
    frame = still_world.frame(0)
    assert frame.depth_m.dtype == np.float32
    np.testing.assert_array_equal(np.isinf(frame.depth_m), frame.instance == 0)
    assert (frame.depth_m > 0).all()


@pytest.mark.parametrize('step', [1, -1])
def test_true_depth_and_motion_explain_the_next_picture(still_world: Drive, step: int):
    target, source = still_world.frame(20), still_world.frame(20 + step)
    colours, seen, expected, inside = warp(still_world, target, source)
    visible = inside & (np.abs(seen - expected) < 0.03 * expected)
    assert visible.mean() > 0.55
    warped = np.abs(colours - target.rgb)[visible].mean()
    unmoved = np.abs(source.rgb.astype(float) - target.rgb)[visible].mean()
    assert warped < 0.4 * unmoved


def test_a_wrong_motion_or_depth_explains_it_worse(still_world: Drive):
    target, source = still_world.frame(20), still_world.frame(21)
    true = _photometric_error(still_world, target, source)
    backwards = np.linalg.inv(source.T_camera_to_odom) @ target.T_camera_to_odom
    mirrored = _replaced(source, target.T_camera_to_odom @ backwards)
    deeper = _replaced(target, target.T_camera_to_odom, depth_m=target.depth_m * 1.3)
    assert true < 0.5 * _photometric_error(still_world, target, mirrored)
    assert true < 0.7 * _photometric_error(still_world, deeper, source)


def _photometric_error(drive: Drive, target: DriveFrame, source: DriveFrame) -> float:
    colours, _, _, inside = warp(drive, target, source)
    return float(np.median(np.abs(colours - target.rgb)[inside].mean(axis=-1)))


def _replaced(frame: DriveFrame, pose: NDArray[np.float64], **values: object) -> DriveFrame:
    return DriveFrame(**{**vars(frame), 'T_camera_to_odom': pose, **values})


def test_points_of_two_frames_lie_on_the_same_surfaces(still_world: Drive):
    target, source = still_world.frame(30), still_world.frame(31)
    _, seen, expected, inside = warp(still_world, target, source)
    error = np.abs(seen - expected)[inside] / expected[inside]
    assert np.median(error) < 0.005


def test_odometry_is_the_camera_pose_through_its_mounting(traffic: Drive):
    frame = traffic.frame(11)
    np.testing.assert_allclose(
        frame.T_base_to_odom @ T_camera_to_base(), frame.T_camera_to_odom, atol=1e-12
    )
    forward = frame.T_camera_to_odom[:3, 2]
    assert forward @ frame.T_base_to_odom[:3, 0] == pytest.approx(1.0)
    assert CAMERA_IN_BASE_M[2] == 1.65


def test_odometry_starts_at_its_origin(traffic: Drive):
    start = traffic.frame(0).T_base_to_odom
    np.testing.assert_allclose(start[:2, 3], 0.0, atol=1e-9)
    assert np.arctan2(start[1, 0], start[0, 0]) == pytest.approx(0.0, abs=1e-9)


def test_twist_integrates_to_the_pose(traffic: Drive):
    step = 0.02
    times = np.arange(2.0, 3.0, step) + step / 2
    twists = [traffic.ego.twist(t) for t in times]
    moved = sum(
        traffic.ego.T_base_to_world(t)[:3, :3] @ twist.linear_m_s * step
        for t, twist in zip(times, twists, strict=True)
    )
    start, end = traffic.ego.T_base_to_world(2.0), traffic.ego.T_base_to_world(3.0)
    np.testing.assert_allclose(moved, end[:3, 3] - start[:3, 3], atol=2e-3)
    turned = sum(twist.angular_rad_s[2] * step for twist in twists)
    yaw = np.arctan2(end[1, 0], end[0, 0]) - np.arctan2(start[1, 0], start[0, 0])
    assert turned == pytest.approx(yaw, abs=2e-3)


def test_vehicle_drives_forward_at_about_its_usual_speed(still_world: Drive):
    speeds = [still_world.ego.twist(t).linear_m_s for t in (1.0, 4.0, 9.0)]
    for speed in speeds:
        assert speed[0] == pytest.approx(8.0, rel=0.15)
        assert abs(speed[1]) < 0.3


def test_vehicle_drives_from_its_very_first_frame_on(still_world: Drive):
    first, soon = (still_world.ego.twist(t).linear_m_s[0] for t in (0.0, 0.05))
    assert first == pytest.approx(soon, rel=0.02)


def test_vehicle_stands_still_once_and_then_nothing_static_changes(traffic: Drive):
    stop = traffic.ego.profile.stop_s
    assert stop is not None
    assert stop[1] - stop[0] > 1.0
    first = int(np.ceil(stop[0] * 5)) + 1
    before, after = traffic.frame(first), traffic.frame(first + 1)
    np.testing.assert_allclose(before.T_base_to_odom, after.T_base_to_odom, atol=1e-9)
    assert np.abs(after.twist.linear_m_s).max() < 1e-6
    moving = np.isin(before.instance, traffic.moving_instances) | np.isin(
        after.instance, traffic.moving_instances
    )
    np.testing.assert_array_equal(before.depth_m[~moving], after.depth_m[~moving])


def test_standstill_can_be_switched_off(still_world: Drive):
    assert still_world.ego.profile.stop_s is None
    assert min(still_world.ego.profile.speed_m_s) > 5.0


def test_moving_cars_move_and_one_keeps_ahead(traffic: Drive):
    moved = 0
    for vehicle in traffic.scene.vehicles:
        before, after = vehicle_solids(vehicle, 1.0), vehicle_solids(vehicle, 2.0)
        moved += int(np.abs(after.centre - before.centre).max() > 3.0)
    assert moved >= 4
    gaps = [_gap_to_leader(traffic, t) for t in np.arange(0.0, 8.0, 0.5)]
    assert min(gaps) > 6.0
    assert max(gaps) < 25.0


def _gap_to_leader(drive: Drive, time_s: float) -> float:
    leader: Solids = vehicle_solids(drive.scene.vehicles[0], time_s)
    here = drive.ego.T_base_to_world(time_s)[:3, 3]
    return float(np.linalg.norm(leader.centre[0, :2] - here[:2]))


def test_moving_cars_are_visible_and_can_be_switched_off(traffic: Drive, still_world: Drive):
    shares = [np.isin(traffic.frame(n).instance, traffic.moving_instances).mean() for n in (0, 20)]
    assert min(shares) > 0.005
    assert still_world.moving_instances == ()


def test_same_seed_gives_the_same_bytes_and_another_seed_others():
    def digest(seed: int) -> str:
        drive = Drive(settings(seed=seed, frames=12, noise=True, exposure_changes=True), CPU)
        content = hashlib.sha256()
        for number in (0, 5):
            frame = drive.frame(number)
            content.update(frame.rgb.tobytes() + frame.depth_m.tobytes())
            content.update(frame.T_base_to_odom.tobytes() + frame.instance.tobytes())
        return content.hexdigest()

    assert digest(4) == digest(4)
    assert digest(4) != digest(5)


def test_exposure_and_noise_change_the_picture_but_not_the_depth():
    plain = Drive(settings(frames=10), CPU).frame(9)
    noisy = Drive(settings(frames=10, noise=True), CPU).frame(9)
    exposed = Drive(settings(frames=10, exposure_changes=True), CPU).frame(9)
    difference = noisy.rgb.astype(float) - plain.rgb
    assert 0.2 < difference.std() < 4.0
    assert abs(exposed.rgb.mean() / plain.rgb.mean() - 1) > 0.01
    np.testing.assert_array_equal(plain.depth_m, noisy.depth_m)
    np.testing.assert_array_equal(plain.depth_m, exposed.depth_m)


def test_pictures_are_well_exposed_and_have_texture(still_world: Drive):
    rgb = still_world.frame(10).rgb.astype(float)
    assert 60 < rgb.mean() < 190
    assert (rgb == 255).mean() < 0.02
    road = rgb[52:64, 90:118].mean(axis=-1)
    assert np.abs(np.diff(road, axis=0)).mean() > 0.5


def test_bad_settings_are_refused_by_name():
    with pytest.raises(ConfigError, match='width 8 is out of range: expected 32 to 8192'):
        DriveSettings(width=8)
    with pytest.raises(ConfigError, match='rate_hz nan'):
        DriveSettings(rate_hz=float('nan'))


def test_one_frame_is_a_drive_too():
    frame = Drive(settings(frames=1), CPU).frame(0)
    assert frame.rgb.shape == (64, 208, 3)


def test_quaternion_rebuilds_its_rotation():
    rng = np.random.default_rng(3)
    for _ in range(20):
        q, _ = np.linalg.qr(rng.standard_normal((3, 3)))
        rotation = q * np.sign(np.linalg.det(q))
        x, y, z, w = quaternion_xyzw(rotation)
        vector = np.array([x, y, z])
        cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        rebuilt = (
            (w * w - vector @ vector) * np.eye(3) + 2 * np.outer(vector, vector) + 2 * w * cross
        )
        np.testing.assert_allclose(rebuilt, rotation, atol=1e-9)


def test_band_is_the_share_of_the_pixel():
    value, extent = torch.tensor([0.0, 0.5, 1.0, 2.0]), torch.full((4,), 1.0)
    assert band(value, 0.5, 1.5, extent).tolist() == [0.0, 0.5, 1.0, 0.0]


def test_patterns_wait_for_no_gpu():
    value, extent = torch.tensor([0.0, 0.5, 1.0, 2.0]), torch.full((4,), 1.0)
    grey = rgb(0.5, 0.5, 0.5, value)
    with GpuWaits() as waits:
        colour = rgb(0.5, 0.5, 0.5, value) * band(value, 0.5, 1.5, extent)
        stripes(value, 1.0, 0.2, 0.5, extent)
    assert waits.found == []
    torch.testing.assert_close(colour, grey * torch.tensor([0.0, 0.5, 1.0, 0.0]))


def test_stripes_fade_to_their_mean_under_large_pixels():
    value = torch.linspace(0.0, 10.0, 50)
    share = stripes(value, 0.1, 0.0, 0.025, torch.full((50,), 3.0))
    torch.testing.assert_close(share, torch.full((50,), 0.25), atol=0.01, rtol=0)
