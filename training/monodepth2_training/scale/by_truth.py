# SPDX-License-Identifier: Apache-2.0
"""The scale from measured depth: that of a lidar or a depth camera over the predicted one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from monodepth2_training.evaluation.scoring import pair

if TYPE_CHECKING:
    from monodepth2_ros.inference.estimator import DepthEstimator
    from monodepth2_training.evaluation.true_frames import TrueFrames


def metres_per_unit(
    estimator: DepthEstimator,
    frames: TrueFrames,
    *,
    watch: Callable[[int], None] = lambda count: None,
) -> NDArray[np.float64]:
    """Metres of measured depth per unit of predicted depth, by the median pixel of each frame.

    Args:
        estimator: predicts depth.
        frames: pictures with true depth.
        watch: is told after each frame how many are done.

    Returns:
        float64 [N]; NaN for frames with too little measured depth.
    """
    ratios: list[float] = []
    for frame in frames:
        depth = estimator.infer(frame.rgb, window=frame.view.window, scale=1.0)
        found = pair(f'{frame.stamp_s:.3f} s', depth, frame.true_m)
        ratios.append(float('nan') if found is None else found.pixel_ratio)
        watch(len(ratios))
    return np.array(ratios)
