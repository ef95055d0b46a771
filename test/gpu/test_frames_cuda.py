# SPDX-License-Identifier: Apache-2.0
"""Captured frames and networks give what a CPU gives, and come back after a change of size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny_model import write_tiny_model

from monodepth2_ros.images import RawImage
from monodepth2_ros.inference.device_frames import device_frames
from monodepth2_ros.inference.estimator import DepthEstimator
from monodepth2_ros.inference.pipeline import FramePipeline, Settings, Wanted

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason='torch finds no usable CUDA device on this machine'
)


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


def test_a_captured_network_answers_each_image_by_itself(model: Path) -> None:
    captured = DepthEstimator.load(model, device='cuda')
    plain = DepthEstimator.load(model, device='cpu')
    for seed in range(3):
        rgb = np.random.default_rng(seed).integers(0, 256, (192, 640, 3), dtype=np.uint8)
        np.testing.assert_allclose(captured.disparity(rgb), plain.disparity(rgb), atol=1e-4)
    captured.close()
