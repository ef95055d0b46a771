# SPDX-License-Identifier: Apache-2.0
"""A generated drive: a street, a vehicle that drives along it, and its frames with all truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from monodepth2_ros.errors import ConfigError
from monodepth2_ros.geometry.camera import PinholeCamera
from monodepth2_training.world.motion import EgoMotion, Twist
from monodepth2_training.world.planning import plan_world
from monodepth2_training.world.rendering import Renderer
from monodepth2_training.world.sensor import Sensor

START_NS = 1_700_000_000_000_000_000
"""Stamp of the first frame: fixed, so that a drive is the same bytes every time."""

_FX_PER_WIDTH, _FY_PER_HEIGHT = 0.58, 1.92


@dataclass(frozen=True, kw_only=True)
class DriveSettings:
    """What to generate."""

    frames: int = 200
    """Number of frames."""
    width: int = 640
    """Columns of the images."""
    height: int = 192
    """Rows of the images."""
    seed: int = 0
    """Decides street, traffic, motion and noise."""
    rate_hz: float = 10.0
    """Frames per second."""
    speed_m_s: float = 8.0
    """Usual speed of the vehicle."""
    moving_cars: bool = True
    """Whether there is traffic besides parked cars."""
    standstill: bool = True
    """Whether the vehicle stops once, at a crossing, in a drive of 8 s or more."""
    exposure_changes: bool = True
    """Whether the camera's exposure varies."""
    noise: bool = True
    """Whether the camera adds noise."""
    baseline_m: float = 0.0
    """How far to its right a second camera sits that looks the same way; 0 for none."""

    def __post_init__(self) -> None:
        """Refuse what cannot be rendered."""
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f'{name} {value} is out of range: expected {low} to {high}')

    @property
    def duration_s(self) -> float:
        """Time from the first frame to the last."""
        return (self.frames - 1) / self.rate_hz

    def camera(self) -> PinholeCamera:
        """The camera: KITTI's field of view at 640x192, square pixels at other shapes."""
        fx = _FX_PER_WIDTH * self.width
        fy = _FY_PER_HEIGHT * self.height if self.width * 3 == self.height * 10 else fx
        return PinholeCamera(
            width=self.width,
            height=self.height,
            fx_px=fx,
            fy_px=fy,
            cx_px=0.5 * self.width - 0.5,
            cy_px=0.5 * self.height - 0.5,
        )


_MOST_FRAMES = 20_000
_RANGES = (
    ('frames', 1, _MOST_FRAMES),
    ('width', 32, 4096),
    ('height', 32, 4096),
    ('seed', 0, 2**32 - 1),
    ('rate_hz', 0.5, 200.0),
    ('speed_m_s', 0.5, 30.0),
    ('baseline_m', 0.0, 5.0),
)


@dataclass(frozen=True, kw_only=True)
class DriveFrame:
    """One frame with its truth."""

    number: int
    """From 0 on."""
    stamp_ns: int
    """Time of exposure."""
    rgb: NDArray[np.uint8]
    """[H, W, 3]"""
    right_rgb: NDArray[np.uint8] | None
    """[H, W, 3] of the second camera; None without one."""
    depth_m: NDArray[np.float32]
    """[H, W] camera z at the pixel centres; +Inf in the sky (REP 117)."""
    instance: NDArray[np.int64]
    """[H, W]: 0 sky, 1 ground, then one number an object."""
    T_base_to_odom: NDArray[np.float64]
    """[4, 4] pose of ``base_link`` in the frame ``odom``."""
    T_camera_to_odom: NDArray[np.float64]
    """[4, 4] pose of the camera's optical frame in ``odom``."""
    twist: Twist
    """Velocity in ``base_link``."""


class Drive:
    """A drive that can be rendered frame by frame, in any order."""

    def __init__(self, settings: DriveSettings, device: torch.device) -> None:
        """Plan the world and prepare the renderer on ``device``."""
        self.settings = settings
        self.camera = settings.camera()
        plan = plan_world(
            seed=settings.seed,
            duration_s=settings.duration_s,
            speed_m_s=settings.speed_m_s,
            moving_cars=settings.moving_cars,
            standstill=settings.standstill,
        )
        self.scene, self.ego = plan.scene, plan.ego
        self.moving_instances = plan.moving_instances
        self._renderer = Renderer(self.scene, device)
        self._sensor = Sensor(
            exposure_changes=settings.exposure_changes,
            noise=0.006 if settings.noise else 0.0,
            seed=settings.seed,
        )
        self._T_world_to_odom = np.linalg.inv(_level(self.ego, 0.0))

    def __len__(self) -> int:
        return self.settings.frames

    def __iter__(self) -> Iterator[DriveFrame]:
        """All frames in order."""
        return (self.frame(number) for number in range(len(self)))

    def frame(self, number: int) -> DriveFrame:
        """Render one frame."""
        time_s = number / self.settings.rate_hz
        pose = self.ego.T_camera_to_world(time_s)
        rendering = self._renderer.render(self.camera, pose, time_s)
        gain = self._sensor.gain(time_s, self.settings.duration_s)
        rgb = self._sensor.capture(rendering.radiance, number, gain)
        return DriveFrame(
            number=number,
            stamp_ns=START_NS + round(time_s * 1e9),
            rgb=rgb.cpu().numpy(),
            right_rgb=self._right(number, pose, time_s, gain)
            if self.settings.baseline_m
            else None,
            depth_m=rendering.depth_m.cpu().numpy(),
            instance=rendering.instance.cpu().numpy(),
            T_base_to_odom=self._T_world_to_odom @ self.ego.T_base_to_world(time_s),
            T_camera_to_odom=self._T_world_to_odom @ pose,
            twist=self.ego.twist(time_s),
        )

    def _right(
        self, number: int, T_left_to_world: NDArray[np.float64], time_s: float, gain: float
    ) -> NDArray[np.uint8]:
        """Picture of the second camera, [H, W, 3], with noise of its own."""
        T_right_to_left = np.eye(4)
        T_right_to_left[0, 3] = self.settings.baseline_m
        pose = T_left_to_world @ T_right_to_left
        radiance = self._renderer.render(self.camera, pose, time_s).radiance
        picture = self._sensor.capture(radiance, _MOST_FRAMES + number, gain)
        return picture.cpu().numpy()


def _level(ego: EgoMotion, time_s: float) -> NDArray[np.float64]:
    """The vehicle's place and heading at a time, without pitch, roll and heave."""
    pose = ego.T_base_to_world(time_s)
    yaw = np.arctan2(pose[1, 0], pose[0, 0])
    level = np.eye(4)
    level[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    level[:2, 3] = pose[:2, 3]
    return level
