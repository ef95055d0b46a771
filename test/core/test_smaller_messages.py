# SPDX-License-Identifier: Apache-2.0
"""Depth at the network's size and JPEGs decoded smaller say the same as their full-size twins."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import simplejpeg
import torch
from support.tiny_model import write_tiny_model

from monodepth2_ros.geometry.camera import CameraCalibration
from monodepth2_ros.geometry.rectification import Rectifier
from monodepth2_ros.images import (
    CompressedImage,
    RawImage,
    decode_compressed,
    exact_reduction,
    reducible_size,
)
from monodepth2_ros.inference.estimator import DepthEstimator
from monodepth2_ros.inference.pipeline import FramePipeline, Products, Settings, Wanted

# Three times the network's 96 x 64, so that each of its pixels lies on one of the image's.
WIDTH, HEIGHT = 288, 192
CALIBRATION = CameraCalibration(
    width=WIDTH, height=HEIGHT, K=(200.0, 0.0, 140.2, 0.0, 210.0, 97.3, 0.0, 0.0, 1.0)
)
BENT = replace(CALIBRATION, D=(0.25, 0.05, 0.0, 0.0, 0.0))
ALL = Wanted(depth=True, points=True, color=True)


@pytest.fixture(scope='module')
def estimator(tmp_path_factory: pytest.TempPathFactory) -> DepthEstimator:
    torch.set_num_threads(1)
    path = write_tiny_model(tmp_path_factory.mktemp('model') / 'tiny.safetensors')
    return DepthEstimator.load(path, device='cpu', precision='float32')


def _picture(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    coarse = np.random.default_rng(3).integers(0, 256, (height // 16, width // 16, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def _raw(rgb: np.ndarray) -> RawImage:
    height, width = rgb.shape[:2]
    return RawImage(
        height=height, width=width, encoding='rgb8', step=3 * width, data=rgb.tobytes()
    )


def _jpeg(rgb: np.ndarray) -> CompressedImage:
    return CompressedImage(format='jpeg', data=simplejpeg.encode_jpeg(rgb, quality=95))


def _process(
    estimator: DepthEstimator,
    image: RawImage | CompressedImage,
    calibration: CameraCalibration = CALIBRATION,
    wanted: Wanted = ALL,
    **settings: object,
) -> Products:
    chosen = Settings(min_depth_m=0.0, max_depth_m=1e6, **settings)
    return FramePipeline(estimator, chosen).process(image, calibration, wanted)


def _xyz(products: Products) -> np.ndarray:
    points = products.points
    floats = points.data.view('<f4').reshape(points.data.shape[0], -1, points.layout.step // 4)
    return floats[..., :3]


def test_points_at_network_size_are_those_of_the_full_depth(estimator: DepthEstimator) -> None:
    image = _raw(_picture())
    full = _process(estimator, image)
    small = _process(estimator, image, depth_size='network')
    assert small.depth.shape == (64, 96)
    np.testing.assert_allclose(small.depth, full.depth[1::3, 1::3], rtol=1e-5)
    np.testing.assert_allclose(_xyz(small), _xyz(full)[1::3, 1::3], rtol=1e-4, atol=1e-6)


def test_the_camera_at_network_size_follows_the_half_pixel_rule(estimator: DepthEstimator) -> None:
    camera = _process(estimator, _raw(_picture()), depth_size='network').camera
    assert (camera.width, camera.height) == (96, 64)
    assert camera.fx_px == pytest.approx(200.0 / 3)
    assert camera.fy_px == pytest.approx(70.0)
    assert camera.cx_px == pytest.approx((140.2 + 0.5) / 3 - 0.5)
    assert camera.cy_px == pytest.approx((97.3 + 0.5) / 3 - 0.5)


def test_at_network_size_a_rectified_image_shows_its_window_alone(
    estimator: DepthEstimator,
) -> None:
    products = _process(estimator, _raw(_picture()), BENT, depth_size='network')
    rectifier = Rectifier(BENT)
    assert rectifier.window.width < WIDTH
    assert products.camera == rectifier.camera.cropped(rectifier.window).resized(96, 64)
    assert np.isfinite(products.depth).all()
    assert products.color.shape == (64, 96, 3)


def test_a_jpeg_of_one_spot_keeps_the_place_of_the_spot_when_decoded_smaller() -> None:
    """Half-pixel rule: the spot's middle lies within 0.02 pixels of where the rule maps it."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    spot = 255 * np.exp(-((x - 101.3) ** 2 + (y - 60.8) ** 2) / (2 * 12.0**2))
    image = _jpeg(np.repeat(spot[..., None], 3, axis=2).astype(np.uint8))
    for reduction in (1, 2, 4):
        grey = decode_compressed(image, reduction=reduction)[..., 1].astype(float)
        grey[grey < 20] = 0.0
        rows, columns = np.mgrid[: grey.shape[0], : grey.shape[1]]
        middle = (grey * columns).sum() / grey.sum(), (grey * rows).sum() / grey.sum()
        expected = [(c + 0.5) / reduction - 0.5 for c in (101.3, 60.8)]
        np.testing.assert_allclose(middle, expected, atol=0.02)


def test_depth_from_a_smaller_decoded_jpeg_differs_by_less_than_half_a_percent(
    estimator: DepthEstimator,
) -> None:
    image, wanted = _jpeg(_picture(384, 256)), Wanted(depth=True)
    calibration = replace(CALIBRATION, width=384, height=256)
    full = _process(estimator, image, calibration, wanted)
    small = _process(estimator, image, calibration, wanted, reduced_decode=True)
    assert (full.rgb.shape, small.rgb) == ((256, 384, 3), None)
    assert small.camera == full.camera
    assert np.mean(np.abs(small.depth / full.depth - 1.0)) < 5e-3


@pytest.mark.parametrize(
    ('reason', 'settings', 'calibration'),
    [
        ('points take the colours of all pixels', {}, CALIBRATION),
        ('rectification needs all pixels', {'cloud_fields': 'xyz'}, BENT),
        ('three does not halve', {'cloud_fields': 'xyz'}, replace(CALIBRATION, width=287)),
    ],
)
def test_a_jpeg_is_decoded_in_full_where_all_its_pixels_count(
    estimator: DepthEstimator, reason: str, settings: dict[str, str], calibration: object
) -> None:
    image = _jpeg(_picture(384, 256)[: calibration.height, : calibration.width])
    products = _process(estimator, image, calibration, reduced_decode=True, **settings)
    assert products.rgb.shape == (calibration.height, calibration.width, 3), reason


def test_points_without_colours_need_no_full_decode(estimator: DepthEstimator) -> None:
    image = _jpeg(_picture(384, 256))
    calibration = replace(CALIBRATION, width=384, height=256)
    products = _process(
        estimator, image, calibration, reduced_decode=True, cloud_fields='xyz', cloud_stride=2
    )
    assert products.rgb is None
    assert products.points.data.shape == (128, 192 * 12)


@pytest.mark.parametrize(
    ('size', 'expected'),
    [
        ((1280, 720), 2),
        ((1920, 1080), 2),
        ((5120, 1536), 8),
        ((1242, 375), 1),
        ((640, 480), 1),
        ((1278, 720), 1),
    ],
)
def test_a_reduction_divides_both_sides_and_leaves_the_network_enough(
    size: tuple[int, int], expected: int
) -> None:
    assert exact_reduction(size, least=(640, 192)) == expected


def test_mosaics_and_other_formats_are_never_decoded_smaller() -> None:
    jpeg = _jpeg(_picture())
    assert reducible_size(jpeg) == (WIDTH, HEIGHT)
    assert reducible_size(replace(jpeg, format='bayer_rggb8; jpeg compressed')) is None
    png = cv2.imencode('.png', _picture())[1].tobytes()
    assert reducible_size(CompressedImage(format='png', data=png)) is None
    assert reducible_size(CompressedImage(format='jpeg', data=b'\xff\xd8\xff')) is None
