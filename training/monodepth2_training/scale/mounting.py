# SPDX-License-Identifier: Apache-2.0
"""How a camera is mounted above the ground, from ``/tf_static``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from monodepth2_training.data.bags import choose_one_camera
from monodepth2_training.evaluation.transforms import read_frames
from monodepth2_training.evaluation.truth import frame_of, rectifying

if TYPE_CHECKING:
    from monodepth2_ros.recordings import Recording


@dataclass(frozen=True, kw_only=True)
class Mounting:
    """A camera above the ground."""

    height_m: float
    """Distance of the optical centre from the ground."""
    normal: NDArray[np.float64] | None
    """Unit vector [3] to the ground in the rectified optical frame; None if unknown."""
    origin: str
    """Where the height comes from, in words."""


def find_mounting(recording: Recording, camera: str = '') -> Mounting | None:
    """The mounting of a camera; None where /tf_static does not tell it."""
    image = choose_one_camera(recording, camera).image
    mounted = read_frames(recording).mounted(frame_of(recording, image))
    if mounted is None:
        return None
    return Mounting(
        height_m=mounted.height_m,
        normal=rectifying(recording, image)[:3, :3] @ mounted.down,
        origin=f'tf from {mounted.ground}',
    )
