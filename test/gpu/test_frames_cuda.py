# SPDX-License-Identifier: Apache-2.0
"""Captured frames and networks give what a CPU gives, and come back after a change of size."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg
import torch
from support.tiny_model import write_tiny_model

from monodepth2_ros.geometry.camera import CameraCalibration
from monodepth2_ros.images import CompressedImage, RawImage
from monodepth2_ros.inference.device_frames import device_frames
from monodepth2_ros.inference.estimator import DepthEstimator
from monodepth2_ros.inference.pipeline import FramePipeline, Products, Settings, Wanted

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason='torch finds no usable CUDA device on this machine'
)

K = (720.0, 0.0, 609.0, 0.0, 720.0, 172.0, 0.0, 0.0, 1.0)
CAMERA = CameraCalibration(width=1242, height=375, K=K, D=(-0.3, 0.1, 0.0, 0.0, 0.0))


@pytest.fixture(scope='module')
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('model') / 'tiny.safetensors'
    return write_tiny_model(path, width=640, height=192)


def _image(width: int, seed: int) -> RawImage:
    data = np.random.default_rng(seed).integers(0, 256, (375, width, 3), dtype=np.uint8)
    return RawImage(height=375, width=width, encoding='bgr8', step=3 * width, data=data.tobytes())


def test_captured_frames_are_the_cpus_and_survive_changes_of_size(model: Path) -> None:
    estimator = DepthEstimator.load(model, device='cuda')
    frames = device_frames(estimator)
    assert frames is not None
    whole = FramePipeline(estimator, Settings(), device_frames=frames)
    staged = FramePipeline(DepthEstimator.load(model, device='cpu'), Settings())
    for seed, width in enumerate((1242, 1242, 640, 1242)):
        wanted, image = Wanted(depth=True), _image(width, seed)
        depth = whole.process(image, None, wanted).depth
        expected = staged.process(image, None, wanted).depth
        assert depth is not None and expected is not None
        assert np.abs(depth / expected - 1.0).mean() < 1e-3
    assert len(frames) == 2
    estimator.close()


def test_jpegs_decoded_on_the_gpu_are_the_cpus(model: Path) -> None:
    estimator = DepthEstimator.load(model, device='cuda')
    by_gpu, by_cpu = (
        FramePipeline(
            estimator, Settings(), device_frames=device_frames(estimator, jpeg_decoder=name)
        )
        for name in ('gpu', 'cpu')
    )
    for seed in range(4):
        coarse = np.random.default_rng(seed).integers(0, 256, (30, 100, 3), dtype=np.uint8)
        picture = cv2.resize(coarse, (1242, 375), interpolation=cv2.INTER_CUBIC)
        image = CompressedImage(format='jpeg', data=simplejpeg.encode_jpeg(picture, quality=95))
        depth, expected = (
            each.process(image, None, Wanted(depth=True)).depth for each in (by_gpu, by_cpu)
        )
        assert depth is not None and expected is not None
        assert np.abs(depth / expected - 1.0).mean() < 5e-3
    estimator.close()


def _points(products: Products) -> np.ndarray:
    """Float32 [N, 3]."""
    assert products.points is not None
    return products.points.data.view('<f4').reshape(-1, products.points.layout.step // 4)[:, :3]


def test_captured_frames_keep_their_camera_while_a_cloud_comes_and_goes(model: Path) -> None:
    estimator = DepthEstimator.load(model, device='cuda')
    whole = FramePipeline(estimator, Settings(), device_frames=device_frames(estimator))
    staged = FramePipeline(DepthEstimator.load(model, device='cpu'), Settings())
    for seed, cloud in enumerate((True, True, False, True, False, True)):
        wanted, image = Wanted(depth=True, points=cloud), _image(1242, seed)
        ours, expected = (each.process(image, CAMERA, wanted) for each in (whole, staged))
        assert ours.depth is not None and expected.depth is not None
        np.testing.assert_array_equal(np.isnan(ours.depth), np.isnan(expected.depth))
        assert np.nanmean(np.abs(ours.depth / expected.depth - 1.0)) < 3e-3
        if cloud:
            rays, expected_rays = (each / each[:, 2:] for each in map(_points, (ours, expected)))
            np.testing.assert_allclose(rays, expected_rays, atol=1e-5)
    estimator.close()


def test_a_captured_network_answers_each_image_by_itself(model: Path) -> None:
    captured = DepthEstimator.load(model, device='cuda')
    plain = DepthEstimator.load(model, device='cpu')
    for seed in range(3):
        rgb = np.random.default_rng(seed).integers(0, 256, (192, 640, 3), dtype=np.uint8)
        np.testing.assert_allclose(captured.disparity(rgb), plain.disparity(rgb), atol=1e-4)
    captured.close()
