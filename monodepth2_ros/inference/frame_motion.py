# SPDX-License-Identifier: Apache-2.0
"""How far the camera moved between two frames, in units of the depth of the first of them.

Corners of the first frame become points by its depth and are followed into the second; the pose
under which they project to where they were found is that of the camera (perspective-n-point).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.geometry.camera import PinholeCamera

_CORNERS = 200
_QUALITY, _APART_PX = 0.01, 5.0
_WINDOW = (15, 15)
_TRIES, _TOLERANCE_PX = 60, 1.0
_LEAST_POINTS = 25
_LEAST_SHARE = 0.5


@dataclass(frozen=True, kw_only=True)
class FrameMotion:
    """The motion between two frames."""

    distance_units: float
    """Length of the way in units of depth."""
    turn_rad: float
    """Angle of the rotation."""


def frame_motion(
    before: NDArray[np.uint8],
    depth: NDArray[np.float32],
    after: NDArray[np.uint8],
    camera: PinholeCamera,
) -> FrameMotion | None:
    """Find the motion of the camera between two frames.

    Args:
        before: grey uint8 [H, W].
        depth: of ``before``, float32 [H, W] in any unit; not finite where unknown.
        after: grey uint8 [H, W].
        camera: of both.

    Returns:
        None where too few points can be followed or agree on a motion.
    """
    corners = cv2.goodFeaturesToTrack(before, _CORNERS, _QUALITY, _APART_PX)
    if corners is None or len(corners) < _LEAST_POINTS:
        return None
    moved, found, _ = cv2.calcOpticalFlowPyrLK(
        before, after, corners, np.empty_like(corners), winSize=_WINDOW
    )
    first, second = corners[:, 0], moved[:, 0]
    columns, rows = np.rint(first).astype(np.intp).T
    z = depth[rows, columns]
    usable = (found[:, 0] == 1) & np.isfinite(z) & (z > 0.0)
    if int(usable.sum()) < _LEAST_POINTS:
        return None
    return _pose(first[usable], z[usable], second[usable], camera)


def _pose(
    first: NDArray[np.float32],
    z: NDArray[np.float32],
    second: NDArray[np.float32],
    camera: PinholeCamera,
) -> FrameMotion | None:
    """The motion that takes points [N] at pixels ``first`` and depths z to pixels ``second``."""
    centre = np.array([camera.cx_px, camera.cy_px])
    rays = (first - centre) / np.array([camera.fx_px, camera.fy_px])
    # In units of their median depth, so that the solver's own tolerances fit.
    unit = float(np.median(z))
    points = np.column_stack((rays, np.ones(len(z)))) * (z / unit)[:, None]
    cv2.setRNGSeed(0)
    solved, turn, way, inliers = cv2.solvePnPRansac(
        points,
        second.astype(np.float64),
        camera.K,
        None,
        iterationsCount=_TRIES,
        reprojectionError=_TOLERANCE_PX,
    )
    if not solved or inliers is None or len(inliers) < max(_LEAST_POINTS, _LEAST_SHARE * len(z)):
        return None
    return FrameMotion(
        distance_units=unit * float(np.linalg.norm(way)), turn_rad=float(np.linalg.norm(turn))
    )
