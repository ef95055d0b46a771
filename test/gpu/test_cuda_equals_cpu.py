# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny_model import write_tiny_model

from monodepth2_ros.errors import DeviceError
from monodepth2_ros.inference.engines.device import choose_device
from monodepth2_ros.inference.estimator import DepthEstimator

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason='torch finds no usable CUDA device on this machine'
)


@pytest.fixture(scope='module')
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('model') / 'tiny.safetensors'
    return write_tiny_model(path, width=640, height=192)


def _picture() -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (375, 1242, 3), dtype=np.uint8)


def test_float32_depth_is_the_cpus_to_a_ten_thousandth(model_path: Path) -> None:
    on_cpu = DepthEstimator.load(model_path, device='cpu').infer(_picture())
    on_gpu = DepthEstimator.load(model_path, device='cuda').infer(_picture())
    np.testing.assert_allclose(on_gpu, on_cpu, rtol=1e-4)


def test_bfloat16_depth_is_the_cpus_to_half_a_percent_on_average(model_path: Path) -> None:
    on_cpu = DepthEstimator.load(model_path, device='cpu').infer(_picture())
    on_gpu = DepthEstimator.load(model_path, device='cuda', precision='bfloat16')
    assert np.abs(on_gpu.infer(_picture()) / on_cpu - 1.0).mean() < 5e-3


def test_auto_takes_the_gpu_and_says_which(model_path: Path) -> None:
    device, reason = choose_device('auto')
    assert device == torch.device('cuda', 0)
    assert torch.cuda.get_device_name(0) in reason


def test_closing_gives_the_memory_back_twenty_times_over(model_path: Path) -> None:
    before = torch.cuda.memory_allocated()
    for _ in range(20):
        estimator = DepthEstimator.load(model_path, device='cuda')
        estimator.warm_up()
        assert estimator.engine.memory_bytes() > before
        estimator.close()
    assert torch.cuda.memory_allocated() == before


def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(DeviceError, match="device 'cuda:99' does not exist"):
        choose_device('cuda:99')
