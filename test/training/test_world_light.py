# SPDX-License-Identifier: Apache-2.0
"""Shadows of what moves, and lamps at dusk: where they are, and that truth stays what it was."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from monodepth2_training.world.drive import Drive, DriveSettings
from monodepth2_training.world.lens import Lens
from monodepth2_training.world.path import StreetPath
from monodepth2_training.world.rendering import Exposure, Renderer, Rendering
from monodepth2_training.world.scene import Light, Scene, StreetLayout
from monodepth2_training.world.solids import Solids
from monodepth2_training.world.traffic import MODELS, car_on_street, car_parts

from monodepth2_ros.geometry.camera import PinholeCamera

CPU = torch.device('cpu')
CAMERA = PinholeCamera(width=160, height=64, fx_px=90, fy_px=90, cx_px=79.5, cy_px=20.0)
EYE_M = (0.0, 0.0, 1.6)
SUN_ON_THE_LEFT = Light(sun_azimuth=np.pi / 2, sun_elevation=0.6)
OVERCAST = replace(
    SUN_ON_THE_LEFT, sun_colour=(0.1, 0.1, 0.1), sky_colour=(1.0, 1.0, 1.0), cloud_cover=1.0
)


DUSK = replace(OVERCAST, sun_colour=(0.0, 0.0, 0.0), sky_colour=(0.15, 0.16, 0.2), lit_windows=0.4)
DUSK_SEED = 39
GOLDEN_DEPTH_M = (np.inf, np.inf, 53.728474, 5.9873033)
GOLDEN_PLACE_M = (42.28791362, 3.24497686, 1.93914717)


def scene_with_car(light: Light, *, driven: bool = True) -> Scene:
    """A straight street on which a car stands 9 m ahead of the camera."""
    path = StreetPath(amplitudes_m=(0.0, 0.0), lengths_m=(300.0, 120.0), phases=(0.0, 0.0))
    parts = Solids.of(car_parts(MODELS[0], (0.5, 0.5, 0.5), 2, driven=driven))
    here = np.array([9.0, 9.0])
    car = car_on_street(path, parts, np.array([0.0, 1.0]), here, 0.0)
    return Scene(
        path=path,
        layout=StreetLayout(),
        light=light,
        solids=Solids.of([]),
        vehicles=(car,),
        extent_m=(-10.0, 60.0),
        moving_shadows=True,
    )


def rendered(scene: Scene) -> Rendering:
    T_camera_to_world = np.eye(4)
    T_camera_to_world[:3, :3] = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    T_camera_to_world[:3, 3] = EYE_M
    exposure = Exposure(time_s=0.5, T_camera_to_world=T_camera_to_world)
    return Renderer(scene, CPU).render(Lens(camera=CAMERA), exposure)


def brightness(rendering: Rendering, x_m: float, y_m: float) -> float:
    """Of the pixel that sees a point of the road."""
    u = round(CAMERA.fx_px * -y_m / x_m + CAMERA.cx_px)
    v = round(CAMERA.fy_px * EYE_M[2] / x_m + CAMERA.cy_px)
    assert rendering.instance[v, u] == 1
    return float(rendering.radiance[v, u].mean())


def test_the_road_is_darker_on_the_side_of_a_car_that_is_away_from_the_sun():
    scene = scene_with_car(SUN_ON_THE_LEFT)
    casts, casts_not = rendered(scene), rendered(replace(scene, moving_shadows=False))
    assert brightness(casts, 9.0, -1.7) < 0.5 * brightness(casts_not, 9.0, -1.7)
    for lit in ((9.0, 1.7), (9.0, -4.2), (5.0, -1.7)):
        assert brightness(casts, *lit) == pytest.approx(brightness(casts_not, *lit))


def test_a_shadow_ends_where_the_line_over_the_roof_meets_the_road():
    casts = rendered(scene_with_car(SUN_ON_THE_LEFT))
    model = MODELS[0]
    height_m = model.body_height_m + model.cabin_height_m
    half_m = model.width_m / 2 - 0.06 - model.lean[1] * model.cabin_height_m
    end_m = half_m + height_m / np.tan(SUN_ON_THE_LEFT.sun_elevation)
    inside, outside = (brightness(casts, 9.0, -(end_m + by_m)) for by_m in (-0.35, 0.35))
    assert inside < 0.6 * outside


def test_under_clouds_a_car_has_a_soft_dark_patch_and_no_shadow():
    scene = scene_with_car(OVERCAST)
    casts, casts_not = rendered(scene), rendered(replace(scene, moving_shadows=False))
    torch.testing.assert_close(casts.radiance, casts_not.radiance, rtol=0, atol=0)
    empty = rendered(replace(scene, vehicles=()))
    assert brightness(casts, 7.3, -1.15) < 0.85 * brightness(empty, 7.3, -1.15)
    assert brightness(casts, 7.3, -1.7) == pytest.approx(brightness(empty, 7.3, -1.7))


@pytest.mark.parametrize('seed', [17, 28])
def test_shadows_of_what_moves_leave_depth_and_masks_as_they_are(seed: int):
    settings = DriveSettings(frames=60, width=160, height=64, seed=seed, rate_hz=4, variety=True)
    drive = Drive(settings, CPU)
    exposure, lens = drive._exposure(6.0), drive.rig.lens
    casts = drive._renderer.render(lens, exposure)
    casts_not = Renderer(replace(drive.scene, moving_shadows=False), CPU).render(lens, exposure)
    assert torch.equal(casts.depth_m, casts_not.depth_m)
    assert torch.equal(casts.instance, casts_not.instance)
    darker = casts.radiance.mean(dim=-1) < 0.7 * casts_not.radiance.mean(dim=-1)
    assert 0.001 < float(darker.float().mean()) < 0.3


def test_only_drives_with_variety_have_shadows_of_what_moves():
    few = DriveSettings(frames=2, width=32, height=32)
    assert not Drive(few, CPU).scene.moving_shadows
    assert Drive(replace(few, variety=True), CPU).scene.moving_shadows


def test_tail_lamps_of_a_driven_car_shine_red_at_dusk_alone():
    at_dusk, parked, by_day = (
        rendered(scene).radiance
        for scene in (
            scene_with_car(DUSK),
            scene_with_car(DUSK, driven=False),
            scene_with_car(replace(DUSK, lit_windows=0.0)),
        )
    )
    assert torch.equal(parked, by_day)
    shines = (at_dusk - parked).max(dim=-1).values > 0.1
    assert 4 < int(shines.sum()) < 60
    red, green, _ = at_dusk[shines].mean(dim=0)
    assert red > 4 * green


@pytest.fixture(scope='module')
def dusk() -> Drive:
    settings = DriveSettings(
        frames=60, width=320, height=112, seed=DUSK_SEED, rate_hz=4, variety=True
    )
    return Drive(settings, CPU)


def with_lit_windows(drive: Drive, share: float) -> Rendering:
    light = replace(drive.scene.light, lit_windows=share)
    renderer = Renderer(replace(drive.scene, light=light, vehicles=()), CPU)
    return renderer.render(drive.rig.lens, drive._exposure(6.0))


def test_some_windows_are_lit_at_dusk_and_stay_so_when_more_are(dusk: Drive):
    assert 0.15 <= dusk.scene.light.lit_windows <= 0.5
    none, some, more = (
        with_lit_windows(dusk, share).radiance.mean(dim=-1) for share in (0.0, 0.3, 0.6)
    )
    lit_some, lit_more = (picture > none + 0.03 for picture in (some, more))
    assert 0.002 < float(lit_some.float().mean()) < float(lit_more.float().mean()) < 0.2
    assert not (lit_some & ~lit_more).any()
    assert float((some - none).min()) > -1e-5


def test_lamps_leave_depth_and_masks_as_they_are(dusk: Drive):
    dark, lit = (with_lit_windows(dusk, share) for share in (0.0, 0.6))
    assert torch.equal(dark.depth_m, lit.depth_m)
    assert torch.equal(dark.instance, lit.instance)


def test_drives_at_dusk_have_the_truth_of_earlier_versions(dusk: Drive):
    frame = dusk.frame(24)
    assert frame.depth_m[::28, 160] == pytest.approx(GOLDEN_DEPTH_M, rel=1e-4)
    assert frame.T_camera_to_odom[:3, 3] == pytest.approx(GOLDEN_PLACE_M, abs=1e-6)
    sky, ground = (int((frame.instance == number).sum()) for number in (0, 1))
    assert (sky, ground) == pytest.approx((3771, 11937), abs=5)
    assert (dusk.moving_instances[0], dusk.moving_instances[-1]) == (380, 421)
