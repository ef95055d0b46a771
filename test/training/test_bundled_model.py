# SPDX-License-Identifier: Apache-2.0
"""The model that comes with the demo knows depth in metres in streets that it has never seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monodepth2_training.evaluation.judgement import judge
from monodepth2_training.evaluation.scoring import FramePairs, pair
from monodepth2_training.shared_files import bundled_model
from monodepth2_training.world.drive import Drive, DriveSettings

from monodepth2_ros.inference.estimator import DepthEstimator

SEEDS = (101, 106)
"""Streets that it was not trained on; each drive has traffic and a stop."""


@pytest.fixture(scope='module')
def pairs() -> list[FramePairs]:
    estimator = DepthEstimator.load(bundled_model())
    judged = []
    for seed in SEEDS:
        settings = DriveSettings(frames=20, width=640, height=192, seed=seed, rate_hz=1.25)
        drive = Drive(settings, torch.device('cpu'))
        for number in range(0, 20, 4):
            frame = drive.frame(number)
            judged.append(pair(f'{seed}, {number}', estimator.infer(frame.rgb), frame.depth_m))
    return judged


def test_depth_is_right_in_unseen_streets_scaled_or_not(pairs: list[FramePairs]) -> None:
    assert len(pairs) == 10
    judgement = judge(pairs, scale=1.0)
    assert judgement.scores['frame'].mean.abs_rel < 0.12
    assert judgement.scores['metric'].mean.abs_rel < 0.10
    assert judgement.pixel_ratio == pytest.approx(1.0, abs=0.05)
    one_depth = judge([p.guessing(np.ones((192, 640), np.float32)) for p in pairs], scale=None)
    assert judgement.scores['frame'].mean.abs_rel < 0.25 * one_depth.scores['frame'].mean.abs_rel
