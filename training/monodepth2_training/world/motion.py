# SPDX-License-Identifier: Apache-2.0
"""Where the recording vehicle and its camera are at any time: lane keeping and vibration.

``base_link`` follows REP 105: on the ground, x forward, y left, z up. The camera's optical frame
follows REP 103: x right, y down, z forward.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monodepth2_training.world.path import StreetPath
from monodepth2_training.world.speed import STEP_S, SpeedProfile

LANE_LATERAL_M = -1.65
"""Middle of the driven lane: traffic keeps to the right."""

CAMERA_IN_BASE_M = (0.8, 0.0, 1.65)
"""Usual camera centre in ``base_link``; the camera looks straight ahead."""

_AMPLITUDES = np.array([0.0022, 0.0030, 0.0010, 0.006])
_PITCH_PER_M_S2 = 0.004
_DIFFERENCE_S = 1e-3
_OPTICAL_TO_BASE = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Twist:
    """Velocity of the vehicle in its own axes."""

    linear_m_s: Floats
    """float64[3]"""
    angular_rad_s: Floats
    """float64[3]"""


@dataclass(frozen=True, kw_only=True)
class Mounting:
    """Where a camera is on the vehicle, in ``base_link``."""

    forward_m: float = CAMERA_IN_BASE_M[0]
    """Ahead of the origin."""
    left_m: float = CAMERA_IN_BASE_M[1]
    """Left of the origin."""
    up_m: float = CAMERA_IN_BASE_M[2]
    """Above the ground."""
    pitch_rad: float = 0.0
    """How far below straight ahead it looks."""

    def T_camera_to_base(self) -> Floats:
        """Pose of the optical frame: float64[4, 4], its points into ``base_link``."""
        pose = np.eye(4)
        pose[:3, :3] = _turn(1, self.pitch_rad) @ _OPTICAL_TO_BASE
        pose[:3, 3] = (self.forward_m, self.left_m, self.up_m)
        return pose


class EgoMotion:
    """The motion of one drive, sampled at ``times_s``; poses are exact functions of time."""

    def __init__(self, path: StreetPath, profile: SpeedProfile, rng: np.random.Generator) -> None:
        """Follow ``path`` from world x = 0 with a speed; ``rng`` draws the vibration."""
        self.profile = profile
        self._path = path
        self._along = _integrated(path, profile.speed_m_s)
        self.times_s: Floats = STEP_S * np.arange(len(self._along), dtype=np.float64)
        self._frequencies_hz = rng.uniform(0.4, 2.6, (4, 3))
        self._phases = rng.uniform(0, 2 * np.pi, (4, 3))
        self._wander = float(rng.uniform(0, 2 * np.pi))
        self._pace = np.minimum(profile.speed_m_s / 4.0, 1.0)
        self._acceleration = np.gradient(profile.speed_m_s, STEP_S)

    def along_m(self, time_s: float | Floats) -> Floats:
        """World x of the vehicle along the centre line."""
        return np.asarray(np.interp(time_s, self.times_s, self._along))

    def T_base_to_world(self, time_s: float) -> Floats:
        """Pose of ``base_link``: float64[4, 4], points of the vehicle into the world."""
        along = float(self.along_m(time_s))
        x, y, yaw = self._lane_pose(along)
        pitch, roll, extra_yaw, heave = self._shaking(time_s)
        pose = np.eye(4)
        pose[:3, :3] = _turn(2, yaw + extra_yaw) @ _turn(1, pitch) @ _turn(0, roll)
        pose[:3, 3] = (x, y, heave)
        return pose

    def T_camera_to_world(self, time_s: float, mounting: Mounting) -> Floats:
        """Pose of the optical frame of a mounted camera: float64[4, 4]."""
        T_camera_to_base = mounting.T_camera_to_base()
        return np.asarray(self.T_base_to_world(time_s) @ T_camera_to_base, np.float64)

    def twist(self, time_s: float) -> Twist:
        """Velocity at a time, by a central difference of the pose over 2 ms."""
        # The vehicle does not move before time 0.
        time_s = max(time_s, _DIFFERENCE_S)
        before = self.T_base_to_world(time_s - _DIFFERENCE_S)
        after = self.T_base_to_world(time_s + _DIFFERENCE_S)
        rotation = self.T_base_to_world(time_s)[:3, :3]
        linear = rotation.T @ (after[:3, 3] - before[:3, 3]) / (2 * _DIFFERENCE_S)
        turned = before[:3, :3].T @ after[:3, :3]
        axis = [
            turned[2, 1] - turned[1, 2],
            turned[0, 2] - turned[2, 0],
            turned[1, 0] - turned[0, 1],
        ]
        return Twist(linear_m_s=linear, angular_rad_s=np.array(axis) / (4 * _DIFFERENCE_S))

    def _lane_pose(self, along: float) -> tuple[float, float, float]:
        """World x, y and heading in the lane; the lane is kept within some centimetres."""
        ends = np.array([along - 0.05, along, along + 0.05])
        lateral = LANE_LATERAL_M + 0.08 * np.sin(2 * np.pi * ends / 47.0 + self._wander)
        x, y = self._path.point(ends, lateral)
        return float(x[1]), float(y[1]), float(np.arctan2(y[2] - y[0], x[2] - x[0]))

    def _shaking(self, time_s: float) -> tuple[float, float, float, float]:
        """Pitch, roll, yaw in radians and heave in metres; a standing car does not shake."""
        pace = float(np.interp(time_s, self.times_s, self._pace))
        acceleration = float(np.interp(time_s, self.times_s, self._acceleration))
        waves = np.sin(2 * np.pi * self._frequencies_hz * time_s + self._phases).sum(axis=1)
        pitch, roll, yaw, heave = (pace * _AMPLITUDES * waves / 3).tolist()
        return pitch - _PITCH_PER_M_S2 * acceleration, roll, yaw, heave


def T_camera_to_base() -> Floats:
    """The usual mounting: float64[4, 4], points of the optical frame into ``base_link``."""
    return Mounting().T_camera_to_base()


def quaternion_xyzw(rotation: Floats) -> tuple[float, float, float, float]:
    """Unit quaternion (x, y, z, w), w >= 0, of a rotation matrix float64[3, 3]."""
    # Eigenvector form: no case distinction, exact for every angle.
    m = rotation
    matrix = np.array(
        [
            [m[0, 0] - m[1, 1] - m[2, 2], 0.0, 0.0, 0.0],
            [m[1, 0] + m[0, 1], m[1, 1] - m[0, 0] - m[2, 2], 0.0, 0.0],
            [m[2, 0] + m[0, 2], m[2, 1] + m[1, 2], m[2, 2] - m[0, 0] - m[1, 1], 0.0],
            [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], m.trace()],
        ]
    )
    x, y, z, w = np.linalg.eigh(matrix / 3.0)[1][:, -1].tolist()
    sign = 1.0 if w >= 0 else -1.0
    return sign * x, sign * y, sign * z, sign * w


def _integrated(path: StreetPath, speed_m_s: Floats) -> Floats:
    """World x over time for a speed along the curve."""
    along = np.zeros(len(speed_m_s))
    for k in range(1, len(along)):
        cos = np.cos(np.arctan(path.slope(along[k - 1])))
        along[k] = along[k - 1] + speed_m_s[k - 1] * STEP_S * float(cos)
    return along


def _turn(axis: int, angle: float) -> Floats:
    """Rotation about x (0), y (1) or z (2)."""
    cos, sin = np.cos(angle), np.sin(angle)
    a, b = (axis + 1) % 3, (axis + 2) % 3
    rotation = np.eye(3)
    rotation[a, a], rotation[a, b], rotation[b, a], rotation[b, b] = cos, -sin, sin, cos
    return rotation
