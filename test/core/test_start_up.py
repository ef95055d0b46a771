# SPDX-License-Identifier: Apache-2.0
"""What takes seconds to import and is not needed stays away from a node's start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.tiny_model import write_tiny_model

SLOW = ('torchvision', 'torch._dynamo', 'torch._inductor', 'matplotlib', 'scipy')
PROGRAM = """
import sys
from monodepth2_ros.inference.estimator import DepthEstimator
estimator = DepthEstimator.load(sys.argv[1], engine='torch', device='cpu', precision='float32')
estimator.warm_up()
print(*(name for name in sys.argv[2:] if name in sys.modules))
"""


@pytest.fixture(scope='module')
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp('model') / 'tiny.safetensors')


def test_a_first_depth_needs_neither_torchvision_nor_torchs_compiler(model: Path) -> None:
    command = [sys.executable, '-c', PROGRAM, str(model), *SLOW]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == []
