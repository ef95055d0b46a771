# SPDX-License-Identifier: Apache-2.0
"""Which drive, camera and moment each picture of a generated store is, and what is known of it.

The cameras of a fleet drive side by side: each takes one drive after another, all at the same
times, so that validation's blocks of time hold pictures of all of them. A camera with one or two
others beside it is a row, from left to right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.geometry.camera import PinholeCamera
from monodepth2_ros.model_description import TrainingCamera
from monodepth2_training.data.generated_settings import GeneratedSettings
from monodepth2_training.data.store_document import RECORD, StoredCamera
from monodepth2_training.world.drive import START_NS, DriveSettings, T_world_to_odom
from monodepth2_training.world.motion import quaternion_xyzw
from monodepth2_training.world.plain_street import picture_motion
from monodepth2_training.world.planning import plan_motion
from monodepth2_training.world.rig import FLEET, Rig

_PAUSE_NS = 10_000_000_000
_USUAL_BRIGHTNESS = 0.45
_LARGER = 2

_NAMES = {1: ('left',), 2: ('left', 'right'), 3: ('left', 'middle', 'right')}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a picture of the store comes from."""

    drive: int
    """Number of the drive, from 0 on."""
    frame: int
    """Number of its frame."""
    side: int
    """Which camera of its row took it, from the left, from 0 on."""
    right_m: float
    """How far to the right of the drive's own camera that one sits."""


@dataclass(frozen=True, kw_only=True)
class GeneratedDrives:
    """All drives of a store; its pictures are without distortion.

    They are rendered larger than the store's and shrunk as recorded ones are, so that an outline
    is as sharp as in those.
    """

    settings: GeneratedSettings
    """Which drives."""
    width: int
    """Columns of the pictures."""
    height: int
    """Rows of the pictures."""

    @property
    def sides(self) -> int:
        """Cameras on one vehicle: 1, or 2 or 3 in a row."""
        return self.settings.cameras if self.settings.baseline_m else 1

    @property
    def vehicles(self) -> int:
        """How many drive side by side; each has a camera, or pair, of its own."""
        return min(self.settings.drives, FLEET if self.settings.variety else 1)

    def drive_settings(self, drive: int) -> DriveSettings:
        """How a drive is rendered, at ``_LARGER`` times the size of the store."""
        settings = self.settings
        return DriveSettings(
            frames=settings.frames,
            width=_LARGER * self.width,
            height=_LARGER * self.height,
            seed=settings.first_seed + drive,
            rate_hz=settings.rate_hz,
            speed_m_s=settings.speed_m_s,
            baseline_m=settings.baseline_m,
            variety=settings.variety,
        )

    def drives_of(self, camera: int) -> range:
        """Numbers of the drives that a camera of the store takes, one after another."""
        return range(camera // self.sides, self.settings.drives, self.vehicles)

    def place(self, camera: int, index: int) -> Place:
        """Where a camera's picture comes from."""
        lap, frame = divmod(index, self.settings.frames)
        side, own = camera % self.sides, (self.sides - 1) // 2
        return Place(
            drive=self.drives_of(camera)[lap],
            frame=frame,
            side=side,
            right_m=(side - own) * self.settings.baseline_m,
        )

    def cameras(self) -> tuple[StoredCamera, ...]:
        """The cameras of the store."""
        return tuple(
            self._camera(vehicle, side)
            for vehicle in range(self.vehicles)
            for side in range(self.sides)
        )

    def records(self, camera: int) -> NDArray[np.void]:
        """What a store's index says of the pictures of a camera, ``RECORD`` [N].

        Motion is that in a plain street, brightness a usual one: nothing is rendered for it.
        """
        laps = [self._lap(lap, drive) for lap, drive in enumerate(self.drives_of(camera))]
        return np.concatenate(laps)

    def _camera(self, vehicle: int, side: int) -> StoredCamera:
        rendered = self.drive_settings(vehicle).rig().lens.camera
        name = f'/generated/{_NAMES[self.sides][side]}_{vehicle}'
        return StoredCamera(
            name=name,
            image_topic=f'{name}/image_rect',
            camera=rendered.resized(self.width, self.height),
            source=TrainingCamera(camera=rendered),
            position_m=side * self.settings.baseline_m,
        )

    def _lap(self, lap: int, drive: int) -> NDArray[np.void]:
        """The records of one drive."""
        settings = self.drive_settings(drive)
        times_s = np.arange(settings.frames) / settings.rate_hz
        duration_ns = round(settings.duration_s * 1e9)
        records = np.zeros(settings.frames, RECORD)
        begin_ns = START_NS + lap * (duration_ns + _PAUSE_NS)
        records['stamp_ns'] = begin_ns + np.round(times_s * 1e9).astype(np.int64)
        records['part'], records['brightness'] = lap, _USUAL_BRIGHTNESS
        poses, records['odometry'] = _odometry(settings, times_s)
        records['motion'] = _motion(settings.rig(), poses)
        return records


def _odometry(
    settings: DriveSettings, times_s: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Poses ``T_base_to_odom`` [N, 4, 4] at some times, and the same as odometry [N, 8]."""
    ego = plan_motion(
        seed=settings.seed,
        duration_s=settings.duration_s,
        speed_m_s=settings.speed_m_s,
        standstill=settings.standstill,
    ).ego
    T = T_world_to_odom(ego)
    poses = np.stack([T @ ego.T_base_to_world(time_s) for time_s in times_s.tolist()])
    rows = [
        (*pose[:3, 3], *quaternion_xyzw(pose[:3, :3]), ego.twist(time_s).linear_m_s[0])
        for pose, time_s in zip(poses, times_s.tolist(), strict=True)
    ]
    return poses, np.array(rows, np.float64)


def _motion(rig: Rig, poses: NDArray[np.float64]) -> NDArray[np.float32]:
    """Motion [N] of each picture against the one before, as a share of the width; NaN first."""
    T_camera_to_base = rig.mounting.T_camera_to_base()
    camera: PinholeCamera = rig.lens.camera
    motion = np.full(len(poses), np.nan, np.float32)
    motion[1:] = picture_motion(camera, T_camera_to_base, poses) / camera.width
    return motion
