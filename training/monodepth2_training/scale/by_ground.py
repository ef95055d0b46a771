# SPDX-License-Identifier: Apache-2.0
"""The scale from the ground: the camera's known height over the height that the depth shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from monodepth2_ros.geometry.depth import disparity_to_depth
from monodepth2_ros.inference.ground_plane import GroundFinder, NoGround

if TYPE_CHECKING:
    from monodepth2_ros.geometry.depth import DepthRange
    from monodepth2_ros.networks.depth_net import DepthNet
    from monodepth2_training.data.frame_store import FrameStore

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class GroundHeights:
    """Height of the camera above the ground, frame by frame."""

    height_units: Floats
    """In network units [N]; NaN where no ground was found."""
    pitch_deg: float
    """Median pitch of the camera, downwards; NaN without ground."""
    reasons: Counter[str]
    """Why frames showed no ground, and how many did so."""


def ground_heights(
    depth_net: DepthNet,
    depth_range: DepthRange,
    store: FrameStore,
    frames: Sequence[int],
    *,
    normal: Floats | None = None,
    watch: Callable[[int], None] = lambda count: None,
) -> GroundHeights:
    """Find the ground in some frames of the first camera of a store.

    Args:
        depth_net: in evaluation mode on the CPU.
        depth_range: of its disparity.
        store: with pictures of the network's size.
        frames: indices of the pictures.
        normal: unit vector [3] to the ground in the optical frame, where it is known.
        watch: is told after each frame how many are done.
    """
    finder = GroundFinder(store.cameras[0].camera, normal=normal)
    heights, pitches, reasons = [], [], Counter[str]()
    for number, index in enumerate(frames, start=1):
        picture = torch.from_numpy(np.array(store.image(0, index)))[None]
        with torch.inference_mode():
            disparity = depth_net.finest(picture.float() / 255.0)
        depth = disparity_to_depth(disparity[0, 0], depth_range).numpy()
        found = finder.find(depth, picture[0, 1].numpy())
        if isinstance(found, NoGround):
            reasons[found.reason] += 1
            heights.append(np.nan)
        else:
            heights.append(found.height_units)
            pitches.append(found.pitch_deg)
        watch(number)
    return GroundHeights(
        height_units=np.array(heights),
        pitch_deg=float(np.median(pitches)) if pitches else float('nan'),
        reasons=reasons,
    )
