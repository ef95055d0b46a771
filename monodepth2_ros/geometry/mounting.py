# SPDX-License-Identifier: Apache-2.0
"""How high a camera is mounted and where the ground lies from it, out of static transforms."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

GROUND_FRAMES = ('base_footprint', 'base_link')
"""Frames that are taken to lie on the ground, the better one first (REP 105, REP 120)."""

_LEAST_HEIGHT_M = 0.02

Transform = NDArray[np.float64]


class StaticFrames:
    """The frames of ``/tf_static`` and how they lie to each other."""

    def __init__(self) -> None:
        """Start without any."""
        self._links: dict[str, dict[str, Transform]] = {}

    def add(
        self,
        parent: str,
        child: str,
        translation_m: tuple[float, float, float],
        quaternion: tuple[float, float, float, float],
    ) -> None:
        """Add the pose of a child in its parent, or replace it; unusable numbers are left out."""
        T = _matrix(translation_m, quaternion)
        if T is not None:
            self._links.setdefault(child, {})[parent] = T
            self._links.setdefault(parent, {})[child] = np.asarray(np.linalg.inv(T), np.float64)

    def between(self, source: str, target: str) -> Transform | None:
        """The transform [4, 4] that maps points of one frame into another; None without a way."""
        reached: dict[str, Transform] = {source: np.eye(4)}
        waiting = deque([source])
        while waiting:
            frame = waiting.popleft()
            if frame == target:
                return reached[frame]
            for neighbour, T in self._links.get(frame, {}).items():
                if neighbour not in reached:
                    reached[neighbour] = T @ reached[frame]
                    waiting.append(neighbour)
        return None

    def mounting(self, optical: str) -> tuple[float, NDArray[np.float64]] | None:
        """Height of a camera above the ground in metres, and the ground's direction [3] from it.

        Returns:
            None where no ground frame is linked, or the camera is not above it.
        """
        for ground in GROUND_FRAMES:
            T_optical_to_ground = self.between(optical, ground)
            if T_optical_to_ground is not None:
                height_m = float(T_optical_to_ground[2, 3])
                if height_m >= _LEAST_HEIGHT_M:
                    return height_m, -T_optical_to_ground[2, :3]
        return None


def _matrix(
    translation_m: tuple[float, float, float], quaternion: tuple[float, float, float, float]
) -> Transform | None:
    """A pose [4, 4]; None where it is not finite or no rotation."""
    x, y, z, w = quaternion
    length = float(np.linalg.norm(quaternion))
    if not np.isfinite([*translation_m, *quaternion]).all() or not 0.5 < length < 2.0:
        return None
    x, y, z, w = x / length, y / length, z / length, w / length
    T = np.eye(4)
    T[:3, 3] = translation_m
    T[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return T
