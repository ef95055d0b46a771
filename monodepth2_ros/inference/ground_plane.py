# SPDX-License-Identifier: Apache-2.0
"""The ground in a network's depth: how high above it the camera stands, in network units.

A plane n . p = h is linear in inverse depth: for a pixel's ray r = (x/z, y/z, 1) it reads
1 / z = (n / h) . r. It is sought in the lower part of the picture, by a robust fit, and believed
only where enough of that part lies on it, it lies level, and the picture shows any texture there.

One frame tells the plane's tilt badly, and an error of the tilt is one of the height. How a camera
is mounted does not change, though: with the direction that tf tells, or the median of those that
were found so far, only the height is left to be found in a frame.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.geometry.camera import PinholeCamera
from monodepth2_ros.geometry.projection import pixel_rays

Floats = NDArray[np.float64]

DOWN = np.array([0.0, 1.0, 0.0])
"""Where the ground lies from a level camera: down, in optical axes."""

NO_GROUND = 'no ground'
NO_TEXTURE = 'the ground shows no texture'
TILTED = 'what lies below is not level'
UPSIDE_DOWN = 'the ground lies in the upper half: the camera hangs upside down'

_ROWS = (0.58, 0.97)
_COLUMNS = (0.2, 0.8)
_MOST_POINTS = 1500
_TRIES = 80
_TOLERANCE = 0.06
_HEIGHT_TOLERANCE = 0.1
_HEIGHTS = 80
_LEAST_SHARE = 0.5
_LEAST_ROWS = 0.6
_LEAST_GRADIENT = 0.8
_MOST_TILT_DEG = 15.0
_DIRECTIONS = 60
_REFINEMENTS = 3


@dataclass(frozen=True, kw_only=True)
class Ground:
    """The ground as one frame shows it."""

    height_units: float
    """Distance of the camera from it, in network units."""
    pitch_deg: float
    """How far the camera looks down."""
    roll_deg: float
    """How far it is turned clockwise about its viewing direction."""
    share: float
    """Share of the pixels looked at that lie on it."""


@dataclass(frozen=True, kw_only=True)
class NoGround:
    """Why a frame shows no ground that could be relied on."""

    reason: str
    """In words; the same for the same reason."""


class GroundFinder:
    """Finds the ground in the frames of one camera.

    Attributes:
        camera: of the depth that it is given.
    """

    def __init__(self, camera: PinholeCamera, *, normal: Floats | None = None) -> None:
        """Prepare.

        Args:
            camera: of the depth, at its size.
            normal: unit vector [3] from the camera to the ground in its optical frame, where its
                mounting is known; otherwise it is found on the way.
        """
        self.camera = camera
        self._normal = None if normal is None else np.asarray(normal, np.float64)
        self._found: deque[Floats] = deque(maxlen=_DIRECTIONS)
        rays = pixel_rays(camera).astype(np.float64)
        self._rays = np.dstack((rays, np.ones(rays.shape[:2])))
        self._below = _Region.of(camera, *_ROWS)
        self._above = _Region.of(camera, 1.0 - _ROWS[1], 1.0 - _ROWS[0])

    def find(
        self, depth: NDArray[np.float32], grey: NDArray[np.uint8] | None = None
    ) -> Ground | NoGround:
        """Look for the ground in one frame.

        Args:
            depth: float32 [H, W] in network units; not finite where unknown.
            grey: uint8 [H, W], the picture; its texture is not looked at if None.
        """
        if grey is not None and self._below.gradient(grey) < _LEAST_GRADIENT:
            return NoGround(reason=NO_TEXTURE)
        points, rows = self._below.points(depth, self._rays)
        normal, reason = self._normal, NO_GROUND
        if normal is None:
            plane = _plane(points, rows, DOWN)
            if isinstance(plane, str):
                reason = plane
            else:
                self._found.append(plane)
            normal = self._usual()
        found = None if normal is None else _height(points, rows, normal)
        if found is not None:
            return found
        above = _plane(*self._above.points(depth, self._rays), -DOWN)
        if not isinstance(above, str):
            return NoGround(reason=UPSIDE_DOWN)
        return NoGround(reason=reason)

    def _usual(self) -> Floats | None:
        """The median of the directions found so far; None without any."""
        if not self._found:
            return None
        middle = np.median(np.array(self._found), axis=0)
        return np.asarray(middle / np.linalg.norm(middle), np.float64)


@dataclass(frozen=True, kw_only=True)
class _Region:
    """Pixels that are looked at: a grid over a part of the picture."""

    rows: NDArray[np.intp]
    """[R]"""
    columns: NDArray[np.intp]
    """[C]"""

    @classmethod
    def of(cls, camera: PinholeCamera, top: float, bottom: float) -> _Region:
        """The grid over a part of the rows, given as shares of the height."""
        first, last = round(top * camera.height), round(bottom * camera.height)
        left, right = (round(share * camera.width) for share in _COLUMNS)
        step = max(1, round(math.sqrt((last - first) * (right - left) / _MOST_POINTS)))
        return cls(rows=np.arange(first, last, step), columns=np.arange(left, right, step))

    def points(self, depth: NDArray[np.float32], rays: Floats) -> tuple[Floats, NDArray[np.intp]]:
        """Points [N, 3] whose depth is known, and the row of each [N]."""
        grid = np.ix_(self.rows, self.columns)
        z = depth[grid].astype(np.float64)
        known = np.isfinite(z) & (z > 0.0)
        rows = np.broadcast_to(self.rows[:, None], z.shape)
        return (rays[grid] * z[..., None])[known], rows[known]

    def gradient(self, grey: NDArray[np.uint8]) -> float:
        """Mean difference of neighbouring pixels, in levels of 255."""
        part = grey[self.rows[0] : self.rows[-1] + 1, self.columns[0] : self.columns[-1] + 1]
        return float(np.abs(np.diff(part.astype(np.float32), axis=1)).mean())


def _plane(points: Floats, rows: NDArray[np.intp], down: Floats) -> Floats | str:
    """Direction [3] of the plane that points [N, 3] lie on, or why there is no level one."""
    if len(points) < _MOST_POINTS // 4:
        return NO_GROUND
    inverse = _robust_plane(points)
    near = np.abs(points @ inverse - 1.0) < _TOLERANCE
    if float(near.mean()) < _LEAST_SHARE or not _spans(rows, near):
        return NO_GROUND
    n = inverse / np.linalg.norm(inverse)
    level = float(n @ down) >= math.cos(math.radians(_MOST_TILT_DEG))
    return np.asarray(n, np.float64) if level else TILTED


def _height(points: Floats, rows: NDArray[np.intp], normal: Floats) -> Ground | None:
    """The height above a plane of known direction at which most points [N, 3] lie."""
    if len(points) < _MOST_POINTS // 4:
        return None
    heights = points @ normal
    above = heights[heights > 0.0]
    if len(above) < _LEAST_SHARE * len(heights):
        return None
    low, high = np.percentile(above, [5, 95]).tolist()
    tried = np.geomspace(low, high, _HEIGHTS)
    shares = (np.abs(heights / tried[:, None] - 1.0) < _HEIGHT_TOLERANCE).mean(axis=1)
    near = np.abs(heights / tried[int(shares.argmax())] - 1.0) < _HEIGHT_TOLERANCE
    share = float(near.mean())
    if share < _LEAST_SHARE or not _spans(rows, near):
        return None
    return Ground(
        height_units=float(np.median(heights[near])),
        pitch_deg=math.degrees(math.asin(float(np.clip(normal[2], -1.0, 1.0)))),
        roll_deg=math.degrees(math.atan2(float(normal[0]), float(normal[1]))),
        share=share,
    )


def _robust_plane(points: Floats) -> Floats:
    """N / h [3] of the plane that most points [N, 3] lie on; the same for the same points."""
    generator = np.random.default_rng(0)
    triples = points[generator.integers(0, len(points), (_TRIES, 3))]
    regular = np.abs(np.linalg.det(triples)) > 1e-9 * np.abs(triples).max() ** 3
    planes = np.linalg.solve(triples[regular], np.ones((int(regular.sum()), 3, 1)))[..., 0]
    if not len(planes):
        return np.zeros(3)
    near = np.abs(points @ planes.T - 1.0) < _TOLERANCE
    best = planes[int(near.sum(axis=0).argmax())]
    for _ in range(_REFINEMENTS):
        chosen = points[np.abs(points @ best - 1.0) < _TOLERANCE]
        if len(chosen) < 3:
            return np.zeros(3)
        best = np.linalg.lstsq(chosen, np.ones(len(chosen)), rcond=None)[0]
    return np.asarray(best, np.float64)


def _spans(rows: NDArray[np.intp], near: NDArray[np.bool_]) -> bool:
    """Whether most rows of the region have ground, so that it is no foot of a wall."""
    all_rows, which = np.unique(rows, return_inverse=True)
    counts = np.bincount(which, minlength=len(all_rows))
    on_plane = np.bincount(which, weights=near, minlength=len(all_rows))
    return float((on_plane > 0.3 * counts).mean()) >= _LEAST_ROWS
