# SPDX-License-Identifier: Apache-2.0
"""Rays hit solids where paper and pencil say."""

import math

import numpy as np
import pytest
import torch
from monodepth2_training.world import intersect
from monodepth2_training.world.bounds import screen_bounds
from monodepth2_training.world.intersect import Rays
from monodepth2_training.world.path import StreetPath
from monodepth2_training.world.raycast import cast
from monodepth2_training.world.scene import StreetLayout
from monodepth2_training.world.snapshot import Snapshot
from monodepth2_training.world.solids import Material, Shape, Solid, Solids
from monodepth2_training.world.textures import TextureStack
from monodepth2_training.world.tracing import (
    GROUND,
    SKY,
    hit_ground,
    hit_solid,
    pavement_side,
)

from monodepth2_ros.geometry.camera import PinholeCamera

STRAIGHT = StreetPath(amplitudes_m=(0.0,), lengths_m=(100.0,), phases=(0.0,))
CURVED = StreetPath(amplitudes_m=(6.0, 1.0), lengths_m=(300.0, 120.0), phases=(0.4, 1.3))
# Optical axes (x right, y down, z forward) of a camera that looks along world x.
LOOK_ALONG_X = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])


def ray(origin: tuple[float, float, float], direction: tuple[float, float, float]) -> Rays:
    dx, dy, dz = (torch.tensor([value]) for value in direction)
    return Rays(ox=origin[0], oy=origin[1], oz=origin[2], dx=dx, dy=dy, dz=dz)


def solid(shape: Shape, **values: object) -> Solid:
    return Solid(shape=shape, **{'centre': (0.0, 0.0, 0.0), 'half': (1.0, 1.0, 1.0), **values})


def test_box_is_entered_at_its_front_side():
    t = intersect.frustum(ray((-5, 0.2, 0.3), (1, 0, 0)), (2.0, 1.0, 1.0), (0.0, 0.0))
    assert t.item() == pytest.approx(3.0)


def test_ray_beside_a_box_misses():
    t = intersect.frustum(ray((-5, 1.01, 0), (1, 0, 0)), (2.0, 1.0, 1.0), (0.0, 0.0))
    assert t.item() == math.inf


def test_box_behind_the_origin_is_not_hit():
    t = intersect.frustum(ray((5, 0, 0), (1, 0, 0)), (2.0, 1.0, 1.0), (0.0, 0.0))
    assert t.item() == math.inf


def test_leaning_side_is_met_where_it_has_shrunk():
    # Half size 2 at the base z = -1, less 0.5 a metre: 1.5 at z = 0.
    t = intersect.frustum(ray((-5, 0, 0), (1, 0, 0)), (2.0, 1.0, 1.0), (0.5, 0.0))
    assert t.item() == pytest.approx(3.5)


def test_ray_above_a_ridge_misses_the_roof():
    half, taper = (3.0, 2.0, 1.0), (0.0, 1.0)
    below = intersect.frustum(ray((0, -5, 0.5), (0, 1, 0)), half, taper)
    above = intersect.frustum(ray((0, -5, 1.01), (0, 1, 0)), half, taper)
    assert below.item() == pytest.approx(4.5)
    assert above.item() == math.inf


def test_untapered_and_barely_tapered_boxes_agree():
    generator = torch.Generator().manual_seed(0)
    d = torch.randn((3, 500), generator=generator)
    rays = Rays(ox=-4.0, oy=0.3, oz=0.2, dx=d[0].abs(), dy=d[1] * 0.3, dz=d[2] * 0.3)
    plain = intersect.frustum(rays, (2.0, 1.0, 1.5), (0.0, 0.0))
    leaning = intersect.frustum(rays, (2.0, 1.0, 1.5), (1e-7, 0.0))
    both = torch.isfinite(plain) & torch.isfinite(leaning)
    assert both.sum() > 100
    torch.testing.assert_close(plain[both], leaning[both], atol=1e-4, rtol=1e-4)


def test_cylinder_is_hit_at_its_radius_and_only_within_its_height():
    hit = intersect.cylinder(ray((-3, 0, 0.9), (1, 0, 0)), (0.5, 0.5, 1.0))
    over = intersect.cylinder(ray((-3, 0, 1.1), (1, 0, 0)), (0.5, 0.5, 1.0))
    assert hit.item() == pytest.approx(2.5)
    assert over.item() == math.inf


def test_ellipsoid_is_entered_and_left_at_its_radii():
    front, back = intersect.ellipsoid(ray((-5, 0, 0), (1, 0, 0)), (2.0, 1.0, 1.0))
    assert (front.item(), back.item()) == (pytest.approx(3.0), pytest.approx(7.0))


def test_turned_box_is_met_at_its_turned_side():
    rays = ray((-5, 0, 0), (1, 0, 0)).seen_from((1.0, 0.0, 0.0), math.pi / 2)
    t = intersect.frustum(rays, (2.0, 1.0, 1.0), (0.0, 0.0))
    assert t.item() == pytest.approx(5.0, abs=1e-5)


def test_road_and_pavement_lie_at_their_heights():
    layout = StreetLayout()
    road = hit_ground(ray((0, 0, 1.65), (1, 0, -0.1)), STRAIGHT, layout)
    pavement = hit_ground(ray((0, 8, 1.65), (1, 0, -0.1)), STRAIGHT, layout)
    assert road.item() == pytest.approx(16.5, rel=1e-5)
    assert pavement.item() == pytest.approx((1.65 - layout.kerb_height_m) / 0.1, rel=1e-5)


def test_kerb_face_is_hit_at_the_edge_of_the_road():
    layout = StreetLayout()
    t = hit_ground(ray((0, 0, 1.65), (0, 1, -1.6 / 5.6)), STRAIGHT, layout)
    assert t.item() == pytest.approx(layout.road_half_width_m, abs=2e-3)


def test_ground_is_not_seen_above_the_horizon():
    t = hit_ground(ray((0, 0, 1.65), (1, 0, 0.01)), STRAIGHT, StreetLayout())
    assert t.item() == math.inf


def test_lateral_offset_undoes_the_point_on_a_curve():
    along = np.linspace(0.0, 300.0, 40)
    for lateral in (-9.0, -1.65, 4.0):
        x, y = CURVED.point(along, np.full_like(along, lateral))
        back = CURVED.lateral(torch.tensor(x), torch.tensor(y))
        np.testing.assert_allclose(back.numpy(), lateral, atol=0.03)


def test_side_streets_interrupt_the_pavement():
    layout = StreetLayout(crossings_m=(50.0,))
    x, y = torch.tensor([20.0, 50.0, 50.0]), torch.tensor([7.0, 7.0, 0.0])
    side = pavement_side(STRAIGHT, layout, x, y)
    assert (side > 0).tolist() == [True, False, False]


def moment_of(solids: Solids) -> Snapshot:
    return Snapshot(path=STRAIGHT, layout=StreetLayout(), solids=solids, moving=())


def random_solids(seed: int) -> Solids:
    rng = np.random.default_rng(seed)
    made = []
    for k in range(30):
        shape = list(Shape)[k % 3]
        x, y, z = rng.uniform(0.3, 2.5, 3).tolist()
        made.append(
            solid(
                shape,
                centre=tuple(rng.uniform([-6, -9, 0], [40, 9, 3]).tolist()),
                half=(x, x if shape == Shape.CYLINDER else y, z),
                yaw=float(rng.uniform(0, 6)),
                taper=(0.1, 0.2) if k % 2 else (0.0, 0.0),
                material=Material.PAINTED,
                instance=k + 2,
            )
        )
    return Solids.of(made)


def test_bounded_casting_equals_testing_every_solid_on_every_pixel():
    camera = PinholeCamera(width=97, height=61, fx_px=50, fy_px=52, cx_px=48, cy_px=30)
    pose = LOOK_ALONG_X.copy()
    pose[:3, 3] = (-12.0, 0.3, 1.6)
    solids, cpu = random_solids(1), torch.device('cpu')
    rays, hits = cast(moment_of(solids), camera, pose, TextureStack(0, cpu), cpu)
    nearest = hit_ground(rays, STRAIGHT, StreetLayout())
    for index in range(len(solids)):
        nearest = torch.minimum(nearest, hit_solid(rays, solids, index, None))
    assert (hits.surface >= 0).float().mean() > 0.05
    torch.testing.assert_close(hits.t, nearest, rtol=1e-5, atol=1e-5)


def test_solid_across_the_near_plane_covers_the_picture_it_fills():
    camera = PinholeCamera(width=100, height=50, fx_px=60, fy_px=60, cx_px=49.5, cy_px=24.5)
    wall = Solids.of([solid(Shape.FRUSTUM, centre=(0.0, 3.0, 0.0), half=(30.0, 1.0, 5.0))])
    bounds = screen_bounds(wall, camera, np.linalg.inv(LOOK_ALONG_X), max_depth_m=100.0)
    assert bounds.columns[0].tolist()[0] == 0
    assert bounds.rows[0].tolist() == [0, 50]
    assert bounds.columns[0].tolist()[1] < 52


def test_solids_behind_the_camera_are_left_out():
    camera = PinholeCamera(width=100, height=50, fx_px=60, fy_px=60, cx_px=49.5, cy_px=24.5)
    behind = Solids.of([solid(Shape.FRUSTUM, centre=(-10.0, 0.0, 0.0))])
    bounds = screen_bounds(behind, camera, np.linalg.inv(LOOK_ALONG_X), max_depth_m=100.0)
    assert len(bounds.index) == 0


def test_empty_world_is_ground_below_and_sky_above():
    camera = PinholeCamera(width=40, height=30, fx_px=40, fy_px=40, cx_px=19.5, cy_px=14.5)
    pose = LOOK_ALONG_X.copy()
    pose[2, 3] = 1.65
    none = Solids.of([])
    cpu = torch.device('cpu')
    _, hits = cast(moment_of(none), camera, pose, TextureStack(0, cpu), cpu)
    assert (hits.surface[:15] == SKY).all()
    assert (hits.surface[15:] == GROUND).all()
    assert torch.isinf(hits.t[:15]).all()
