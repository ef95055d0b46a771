# SPDX-License-Identifier: Apache-2.0
"""How the frames of a vehicle lie to each other, and where the ground lies from a camera.

``T_a_to_b`` maps points of frame a into frame b. A ``TransformStamped`` is the pose of its child
in its parent: it maps points of the child into the parent.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.geometry.poses import inverse_pose

GROUND_FRAMES = ('base_footprint', 'base_link')
"""Frames that are taken to lie on the ground, the better one first (REP 105, REP 120)."""

_LEAST_HEIGHT_M = 0.02

Transform = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class MountedCamera:
    """A camera above the ground."""

    height_m: float
    """Of the optical centre."""
    down: NDArray[np.float64]
    """Unit vector [3] to the ground in the optical frame of tf, before rectification."""
    ground: str
    """The frame that was taken for the ground."""


class StaticFrames:
    """Frames and the links between them."""

    def __init__(self) -> None:
        """Begin without any link."""
        self._links: dict[str, dict[str, Transform]] = {}

    def add(self, child: str, parent: str, T_child_to_parent: Transform) -> None:
        """Add the pose of a child in its parent, or replace it."""
        child, parent = child.lstrip('/'), parent.lstrip('/')
        self._links.setdefault(child, {})[parent] = T_child_to_parent
        self._links.setdefault(parent, {})[child] = inverse_pose(T_child_to_parent)

    def reachable(self, source: str) -> dict[str, Transform]:
        """Transforms [4, 4] from a frame to all that are linked with it, itself included."""
        source = source.lstrip('/')
        reached, waiting = {source: np.eye(4)}, deque([source])
        while waiting:
            frame = waiting.popleft()
            for neighbour, T in self._links.get(frame, {}).items():
                if neighbour not in reached:
                    reached[neighbour] = T @ reached[frame]
                    waiting.append(neighbour)
        return reached

    def mounted(self, optical: str) -> MountedCamera | None:
        """Where the ground lies from a camera's optical frame.

        Returns:
            None where no ground frame is linked, or the camera is not above it.
        """
        reached = self.reachable(optical)
        for ground in GROUND_FRAMES:
            if ground in reached and reached[ground][2, 3] >= _LEAST_HEIGHT_M:
                height_m, down = float(reached[ground][2, 3]), -reached[ground][2, :3]
                return MountedCamera(height_m=height_m, down=down, ground=ground)
        return None
