# SPDX-License-Identifier: Apache-2.0
"""The live scale by odometry, on a generated drive with its true depth and motion."""

from __future__ import annotations

import functools

import cv2
import numpy as np
import pytest
import torch
from monodepth2_training.world.drive import Drive, DriveSettings

from monodepth2_ros.geometry.camera import Window
from monodepth2_ros.geometry.depth import DepthRange
from monodepth2_ros.inference.frame_motion import frame_motion
from monodepth2_ros.inference.scale_keeper import ScaleKeeper, ScaleSettings
from monodepth2_ros.inference.views import View
from monodepth2_ros.model_description import ModelDescription
from monodepth2_ros.networks.depth_net import DepthNetConfig

UNIT_M = 90.0
FRAMES = 14
RANGE = DepthRange(min_depth_m=0.01, max_depth_m=10.0)


@functools.lru_cache
def _drive():
    settings = DriveSettings(
        frames=FRAMES, width=320, height=96, seed=3, standstill=False, exposure_changes=False
    )
    drive = Drive(settings, torch.device('cpu'))
    return drive.camera, tuple(drive)


def _units(frame) -> np.ndarray:
    """True depth as a network with a unit of ``UNIT_M`` would say it."""
    depth = np.where(np.isfinite(frame.depth_m), frame.depth_m, 500.0) / UNIT_M
    return np.clip(depth, RANGE.min_depth_m, RANGE.max_depth_m).astype(np.float32)


def test_the_motion_between_two_frames_is_found_in_units_of_depth() -> None:
    camera, frames = _drive()
    grey = [cv2.cvtColor(np.array(frame.rgb), cv2.COLOR_RGB2GRAY) for frame in frames[:2]]
    motion = frame_motion(grey[0], _units(frames[0]), grey[1], camera)
    T = np.linalg.inv(frames[1].T_camera_to_odom) @ frames[0].T_camera_to_odom
    assert motion is not None
    assert motion.distance_units == pytest.approx(np.linalg.norm(T[:3, 3]) / UNIT_M, rel=0.05)


def _kept(odometry_unit: float, late_ns: int = 0, behind: int = 0) -> ScaleKeeper:
    """A keeper after the drive; positions are in metres times a factor.

    Their clock is off by ``late_ns``, or they come ``behind`` frames later than their pictures.
    """
    camera, frames = _drive()
    description = ModelDescription(network=DepthNetConfig(width=320, height=96), depth_range=RANGE)
    keeper = ScaleKeeper(description, ScaleSettings(source='odometry'), clock_s=lambda: 0.0)
    window = Window(x=0, y=0, width=320, height=96)
    view = View(width=320, height=96, window=window, camera=camera)
    low, high = 1.0 / RANGE.max_depth_m, 1.0 / RANGE.min_depth_m
    for number, frame in enumerate(frames, start=1):
        keeper.stamp_ns = number * 10**8
        told = number - behind
        if told > 0:
            place = odometry_unit * frames[told - 1].T_camera_to_odom[:3, 3]
            keeper.way.add(told * 10**8 + late_ns, tuple(map(float, place)))
        keeper.begin(view)
        disparity = (1.0 / _units(frame) - low) / (high - low)
        keeper.watch(np.array(frame.rgb), disparity.astype(np.float32), view)
    return keeper


def test_odometry_gives_the_scale() -> None:
    reading = _kept(1.0).reading
    assert reading.value == pytest.approx(UNIT_M, rel=0.03)
    assert reading.spread < 0.1


@pytest.mark.parametrize('behind', [1, 2])
def test_odometry_that_comes_late_costs_no_steps(behind: int) -> None:
    keeper = _kept(1.0, behind=behind)
    assert keeper.measured.frames >= FRAMES - 2 - behind
    assert keeper.scale == pytest.approx(UNIT_M, rel=0.03)


def test_odometry_in_millimetres_gives_a_scale_in_millimetres() -> None:
    assert _kept(1000.0).scale == pytest.approx(1000.0 * UNIT_M, rel=0.03)


def test_odometry_in_a_clock_of_its_own_is_no_odometry_for_these_frames() -> None:
    reading = _kept(1.0, late_ns=10**12).reading
    assert not reading.is_known
    assert reading.frozen == 'no odometry for these frames'
