# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
import struct

import numpy as np
import pytest

from monodepth2_ros.errors import ConfigError, ImageError
from monodepth2_ros.geometry.camera import PinholeCamera
from monodepth2_ros.geometry.projection import project
from monodepth2_ros.inference.point_cloud import PointCloudPacker, cloud_size, pack_cloud

CAMERA = PinholeCamera(width=7, height=5, fx_px=10.0, fy_px=12.0, cx_px=3.2, cy_px=1.9)


def _scene() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    depth = rng.uniform(1.0, 50.0, (5, 7)).astype(np.float32)
    depth[0, 1], depth[2, 4], depth[4, 6] = np.nan, np.inf, -np.inf
    return depth, rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)


def _slow_pack(depth: np.ndarray, rgb: np.ndarray, stride: int) -> bytes:
    """One struct.pack a point, as the layout is written down in PCL's PointXYZRGB."""
    points = []
    for v in range(0, CAMERA.height, stride):
        for u in range(0, CAMERA.width, stride):
            z = float(depth[v, u]) if math.isfinite(depth[v, u]) else math.nan
            x = z * np.float32((u - CAMERA.cx_px) / CAMERA.fx_px)
            y = z * np.float32((v - CAMERA.cy_px) / CAMERA.fy_px)
            red, green, blue = (int(c) for c in rgb[v, u])
            packed = red << 16 | green << 8 | blue
            points.append(struct.pack('<fff4xI12x', x, y, z, packed))
    return b''.join(points)


def _same(left: bytes, right: bytes) -> bool:
    """Equal bytes, but for the payloads of NaN."""
    floats = [np.frombuffer(b, '<f4').reshape(-1, 8)[:, :3] for b in (left, right)]
    words = [np.frombuffer(b, '<u4').reshape(-1, 8)[:, 3:] for b in (left, right)]
    return np.array_equal(*floats, equal_nan=True) and np.array_equal(*words)


@pytest.mark.parametrize('stride', [1, 2, 3, 9])
def test_packing_agrees_with_its_slow_twin(stride: int) -> None:
    depth, rgb = _scene()
    cloud = pack_cloud(depth, CAMERA, rgb, stride=stride).data
    rows, columns = cloud_size(7, 5, stride)
    assert cloud.shape == (rows, columns * 32)
    assert cloud.dtype == np.uint8
    assert _same(cloud.tobytes(), _slow_pack(depth, rgb, stride))


def test_one_point_has_the_bytes_that_pcl_expects() -> None:
    camera = PinholeCamera(width=1, height=1, fx_px=2.0, fy_px=4.0, cx_px=1.0, cy_px=-2.0)
    cloud = pack_cloud(
        np.array([[8.0]], np.float32), camera, np.array([[[1, 2, 3]]], np.uint8), stride=1
    ).data
    assert cloud.tobytes() == struct.pack('<3f', -4.0, 4.0, 8.0) + bytes(4) + bytes(
        [3, 2, 1, 0]
    ) + bytes(12)


def test_points_project_back_onto_their_pixels() -> None:
    depth, rgb = _scene()
    depth[~np.isfinite(depth)] = 2.0
    cloud = pack_cloud(depth, CAMERA, rgb, stride=2).data.view('<f4').reshape(-1, 8)
    uv, z = project(cloud[:, :3], CAMERA)
    np.testing.assert_allclose(z, depth[::2, ::2].ravel())
    np.testing.assert_allclose(uv[:, 0].reshape(3, 4), np.tile([0, 2, 4, 6], (3, 1)), atol=1e-5)
    np.testing.assert_allclose(uv[:, 1].reshape(3, 4)[:, 0], [0, 2, 4], atol=1e-5)


def test_a_packer_forgets_the_frame_before() -> None:
    depth, rgb = _scene()
    packer = PointCloudPacker(CAMERA, stride=2)
    packer.pack(np.full_like(depth, np.nan), np.full_like(rgb, 255))
    assert _same(packer.pack(depth, rgb).data.tobytes(), _slow_pack(depth, rgb, 2))


def test_a_packer_changes_nothing_it_is_given() -> None:
    depth, rgb = _scene()
    depth_before, rgb_before = depth.copy(), rgb.copy()
    PointCloudPacker(CAMERA).pack(depth, rgb)
    np.testing.assert_array_equal(depth, depth_before)
    np.testing.assert_array_equal(rgb, rgb_before)


def test_read_only_colours_are_packed() -> None:
    depth, rgb = _scene()
    rgb.flags.writeable = False
    assert _same(pack_cloud(depth, CAMERA, rgb).data.tobytes(), _slow_pack(depth, rgb, 1))


def test_a_stride_of_zero_is_refused() -> None:
    with pytest.raises(ConfigError, match='cloud stride 0 is not usable: expected 1 or more'):
        PointCloudPacker(CAMERA, stride=0)


def test_a_depth_of_another_size_is_refused_with_both_sizes() -> None:
    _, rgb = _scene()
    with pytest.raises(ImageError, match=r'depth \[5, 8\] .* expected \[5, 7\] and \[5, 7, 3\]'):
        PointCloudPacker(CAMERA).pack(np.zeros((5, 8), np.float32), rgb)


@pytest.mark.parametrize(('fields', 'step'), [('xyz', 12), ('xyzrgb_compact', 16)])
def test_smaller_layouts_hold_the_same_values_in_fewer_bytes(fields: str, step: int) -> None:
    depth, rgb = _scene()
    full = pack_cloud(depth, CAMERA, rgb, stride=2).data.view('<f4').reshape(-1, 8)
    small = pack_cloud(depth, CAMERA, rgb, stride=2, fields=fields)
    assert small.layout.step == step
    assert small.data.shape == (3, 4 * step)
    values = small.data.view('<f4').reshape(-1, step // 4)
    np.testing.assert_array_equal(values[:, :3], full[:, :3])
    if step == 16:
        np.testing.assert_array_equal(values.view('<u4')[:, 3], full.view('<u4')[:, 4])


def test_a_cloud_without_colour_needs_no_picture() -> None:
    depth, rgb = _scene()
    with_picture = pack_cloud(depth, CAMERA, rgb, fields='xyz').data
    np.testing.assert_array_equal(with_picture, pack_cloud(depth, CAMERA, None, fields='xyz').data)
    with pytest.raises(ImageError, match='colours None do not fit the camera'):
        pack_cloud(depth, CAMERA, None)


def test_unknown_fields_are_refused_with_the_choices() -> None:
    with pytest.raises(ConfigError, match="'xyzi' are not known: expected one of xyzrgb, "):
        PointCloudPacker(CAMERA, fields='xyzi')
