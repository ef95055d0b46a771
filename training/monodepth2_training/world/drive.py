# SPDX-License-Identifier: Apache-2.0
"""A generated drive: a street, a vehicle that drives along it, and its frames with all truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from monodepth2_ros.errors import ConfigError
from monodepth2_training.world.lens import Lens
from monodepth2_training.world.motion import EgoMotion, Twist
from monodepth2_training.world.planning import plan_world
from monodepth2_training.world.rendering import Exposure, Renderer
from monodepth2_training.world.rig import Rig, fleet_rig, standard_rig
from monodepth2_training.world.sensor import Sensor
from monodepth2_training.world.weather import exposure_gain

START_NS = 1_700_000_000_000_000_000
"""Stamp of the first frame: fixed, so that a drive is the same bytes every time."""


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
    variety: bool = False
    """Whether the seed also draws weather, light, camera, people, signs, blur and compression."""

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

    def rig(self) -> Rig:
        """The camera that records."""
        if self.variety:
            return fleet_rig(self.seed, self.width, self.height)
        return standard_rig(self.width, self.height)


_MOST_FRAMES = 20_000
_RANGES = (
    ('frames', 1, _MOST_FRAMES),
    ('width', 32, 8192),
    ('height', 32, 8192),
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
    """A drive that can be rendered frame by frame, in any order.

    Attributes:
        settings: what it was made of.
        rig: its camera; ``camera`` is that without distortion.
        scene: the world.
        ego: the motion of its vehicle.
        moving_instances: numbers of the cars and people that move.
    """

    def __init__(self, settings: DriveSettings, device: torch.device) -> None:
        """Plan the world and prepare the renderer on ``device``."""
        self.settings = settings
        self.rig = settings.rig()
        self.camera = self.rig.lens.camera
        plan = plan_world(
            seed=settings.seed,
            duration_s=settings.duration_s,
            speed_m_s=settings.speed_m_s,
            moving_cars=settings.moving_cars,
            standstill=settings.standstill,
            variety=settings.variety,
        )
        self.scene, self.ego = plan.scene, plan.ego
        self.moving_instances = plan.moving_instances
        self._renderer = Renderer(self.scene, device)
        self._sensor = self._adjusted(self.rig.sensor)
        self._T_world_to_odom = T_world_to_odom(self.ego)

    def __len__(self) -> int:
        return self.settings.frames

    def __iter__(self) -> Iterator[DriveFrame]:
        """All frames in order."""
        return (self.frame(number) for number in range(len(self)))

    def frame(self, number: int) -> DriveFrame:
        """Render one frame."""
        time_s = number / self.settings.rate_hz
        rendering = self._renderer.render(self.rig.lens, self._exposure(time_s))
        return DriveFrame(
            number=number,
            stamp_ns=START_NS + round(time_s * 1e9),
            rgb=self._developed(rendering.radiance, number),
            right_rgb=self._right_rgb(number),
            depth_m=rendering.depth_m.cpu().numpy(),
            instance=rendering.instance.cpu().numpy(),
            T_base_to_odom=self._T_world_to_odom @ self.ego.T_base_to_world(time_s),
            T_camera_to_odom=self._T_world_to_odom
            @ self.ego.T_camera_to_world(time_s, self.rig.mounting),
            twist=self.ego.twist(time_s),
        )

    def picture(
        self, number: int, *, right_m: float = 0.0, straight: bool = False
    ) -> NDArray[np.uint8]:
        """The picture of a frame alone, uint8 [H, W, 3].

        Args:
            number: of the frame.
            right_m: how far to the right of the first the camera sits that takes it; left is
                negative. Each side has noise of its own.
            straight: whether to leave out the lens's distortion.
        """
        exposure = self._exposure(number / self.settings.rate_hz, right_m=right_m)
        lens = Lens(camera=self.camera) if straight else self.rig.lens
        radiance = self._renderer.render(lens, exposure).radiance
        side = 1 if right_m > 0.0 else 2 if right_m < 0.0 else 0
        return self._developed(radiance, number, noise=side * _MOST_FRAMES + number)

    def _right_rgb(self, number: int) -> NDArray[np.uint8] | None:
        baseline_m = self.settings.baseline_m
        return self.picture(number, right_m=baseline_m) if baseline_m else None

    def _exposure(self, time_s: float, *, right_m: float = 0.0) -> Exposure:
        """When and where a camera ``right_m`` to the right of the first takes a picture."""
        shutter_s = self.rig.shutter_s

        def pose(at_s: float) -> NDArray[np.float64]:
            return self.ego.T_camera_to_world(at_s, self.rig.mounting) @ _T_right(right_m)

        return Exposure(
            time_s=time_s,
            T_camera_to_world=pose(time_s),
            shutter_s=shutter_s,
            T_end_to_world=pose(time_s + 0.5 * shutter_s) if shutter_s else None,
        )

    def _developed(
        self, radiance: torch.Tensor, number: int, *, noise: int | None = None
    ) -> NDArray[np.uint8]:
        time_s = number / self.settings.rate_hz
        gain = self._sensor.gain(time_s, self.settings.duration_s)
        picture = self._sensor.capture(radiance, number if noise is None else noise, gain)
        return picture.cpu().numpy()

    def _adjusted(self, sensor: Sensor) -> Sensor:
        """The rig's electronics, set up for this drive and its light."""
        return replace(
            sensor,
            exposure_changes=self.settings.exposure_changes,
            noise=sensor.noise if self.settings.noise else 0.0,
            seed=self.settings.seed,
            base_gain=exposure_gain(self.scene.light) if self.settings.variety else 1.0,
        )


def T_world_to_odom(ego: EgoMotion) -> NDArray[np.float64]:
    """The frame ``odom`` begins where the vehicle does, level: float64 [4, 4]."""
    return np.asarray(np.linalg.inv(_level(ego, 0.0)), np.float64)


def _T_right(right_m: float) -> NDArray[np.float64]:
    """From a camera ``right_m`` to the right of another to that one, [4, 4]."""
    T_right_to_left = np.eye(4)
    T_right_to_left[0, 3] = right_m
    return T_right_to_left


def _level(ego: EgoMotion, time_s: float) -> NDArray[np.float64]:
    """The vehicle's place and heading at a time, without pitch, roll and heave."""
    pose = ego.T_base_to_world(time_s)
    yaw = np.arctan2(pose[1, 0], pose[0, 0])
    level = np.eye(4)
    level[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    level[:2, 3] = pose[:2, 3]
    return level
