# SPDX-License-Identifier: Apache-2.0
"""The same code on a GPU shows the same world."""

import numpy as np
import pytest
import torch
from monodepth2_training.world.drive import Drive, DriveSettings


@pytest.mark.skipif(not torch.cuda.is_available(), reason='this machine has no CUDA device')
@pytest.mark.parametrize('variety', [False, True])
def test_gpu_and_cpu_show_the_same_world(variety: bool):
    settings = DriveSettings(frames=100, width=320, height=96, seed=3, variety=variety)
    cpu = Drive(settings, torch.device('cpu')).frame(40)
    gpu = Drive(settings, torch.device('cuda')).frame(40)
    same = cpu.instance == gpu.instance
    assert same.mean() > 0.995
    finite = same & np.isfinite(cpu.depth_m)
    np.testing.assert_allclose(cpu.depth_m[finite], gpu.depth_m[finite], rtol=1e-3)
    difference = np.abs(cpu.rgb.astype(float) - gpu.rgb)[same]
    assert difference.mean() < (1.0 if variety else 0.5)
