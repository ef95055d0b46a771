# SPDX-License-Identifier: Apache-2.0
"""Which distances of the odometry are believed, and how its clock is found."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from monodepth2_training.data.clock_offset import estimate_clock_offset
from monodepth2_training.data.frame_store import FrameTable
from monodepth2_training.data.travel import Travel, travelled_m

PERIOD_S = 0.1
METRES_PER_MOTION = 60.0


def _turn(yaw_rad: Any) -> Any:
    half = 0.5 * np.asarray(yaw_rad)
    return np.stack([0 * half, 0 * half, np.sin(half), np.cos(half)], axis=1)


def _table(x_m: Any, yaw_rad: Any = None, motion: Any = None) -> FrameTable:
    """A camera that goes along x; the picture moves as the true way says by default."""
    count = len(x_m)
    yaw_rad = np.zeros(count) if yaw_rad is None else yaw_rad
    if motion is None:
        motion = np.abs(np.diff(x_m, prepend=x_m[0])) / METRES_PER_MOTION
    rows = np.zeros((count, 8))
    rows[:, 0], rows[:, 3:7] = x_m, _turn(yaw_rad)
    return FrameTable(
        stamps_ns=(np.arange(count) * PERIOD_S * 1e9).astype(np.int64),
        motion=np.asarray(motion, np.float32),
        brightness=np.full(count, 0.5, np.float32),
        clipped=np.zeros(count, np.float32),
        odometry=rows,
        part=np.zeros(count, np.int32),
    )


class _Store(SimpleNamespace):
    """What is asked of a store; every one its own key."""

    is_generated = False
    __hash__ = object.__hash__  # type: ignore[assignment]

    def frames(self, camera: int) -> FrameTable:
        return self.table

    def image(self, camera: int, index: int) -> Any:
        return self.pictures[index]


def _store(table: FrameTable, pictures: Any = None) -> Any:
    flat = np.zeros((len(table), 3, 32, 64), np.uint8)
    return _Store(
        table=table,
        cameras=(0,),
        width=64,
        height=32,
        pictures=flat if pictures is None else pictures,
    )


def _travel(table: FrameTable) -> Travel:
    """Steps from each frame to the one before and the one after it."""
    middle = np.arange(1, len(table) - 1)
    frames = np.stack([middle, middle - 1, middle + 1], axis=1)
    items = np.stack([np.zeros_like(frames), frames], axis=2).astype(np.int32)
    return travelled_m(_store(table), items)


def test_a_steady_drive_is_measured_step_by_step() -> None:
    travel = _travel(_table(0.8 * np.arange(40)))
    assert travel.distances_m == pytest.approx(np.full((38, 2), 0.8))
    assert travel.text() == 'odometry gives the distance of 76 of 76 steps'


def test_gaps_are_unknown() -> None:
    table = _table(0.8 * np.arange(40))
    table.odometry[10:15] = np.nan
    travel = _travel(table)
    assert np.isnan(travel.distances_m[8:15]).any(axis=1).all()
    assert travel.unknown == 12


def test_wheels_that_spin_while_the_picture_stands_are_not_believed() -> None:
    x_m = 0.8 * np.arange(40)
    motion = np.abs(np.diff(x_m, prepend=0.0)) / METRES_PER_MOTION
    motion[20:30] = 0.0
    travel = _travel(_table(x_m, motion=motion))
    assert np.isnan(travel.distances_m[20:28]).all()
    assert travel.contradicting == 20


def test_an_odometry_that_stands_while_the_picture_moves_is_not_believed_at_all() -> None:
    travel = _travel(_table(np.zeros(40), motion=np.full(40, 0.013)))
    assert travel.known == 0
    assert '76 contradict the pictures' in travel.text()


def test_positions_that_never_change_contradict_the_pictures_though_the_vehicle_turns() -> None:
    yaw_rad = 0.002 * np.arange(40)
    travel = _travel(_table(np.zeros(40), yaw_rad, np.full(40, 0.013)))
    assert travel.known == 0
    assert '76 contradict the pictures' in travel.text()


def test_a_turn_on_the_spot_is_left_out() -> None:
    yaw_rad = np.zeros(40)
    yaw_rad[20:] = 0.5
    travel = _travel(_table(0.8 * np.arange(40), yaw_rad))
    assert travel.turning == 2


def _swaying(late_s: float) -> Any:
    """A store whose pictures turn left and right, with odometry that comes later."""
    count = 400
    times_s = PERIOD_S * np.arange(count)

    def yaw_rad(at_s: Any) -> Any:
        return 0.3 * np.sin(0.9 * at_s) + 0.2 * np.sin(0.37 * np.abs(at_s) ** 1.1)

    noise = np.random.default_rng(3).integers(0, 255, (32, 400), np.uint8)
    wall = cv2.resize(noise, (1600, 32), interpolation=cv2.INTER_CUBIC)
    pictures = np.empty((count, 3, 32, 64), np.uint8)
    for index, yaw in enumerate(yaw_rad(times_s)):
        shift = np.float32([[1, 0, 50.0 * yaw - 400], [0, 1, 0]])
        pictures[index] = cv2.warpAffine(wall, shift, (64, 32), flags=cv2.INTER_LINEAR)
    motion = np.full(count, 0.8 / METRES_PER_MOTION)
    table = _table(0.8 * np.arange(count), yaw_rad(times_s - late_s), motion)
    return _store(table, pictures)


@pytest.mark.parametrize('late_s', [0.5, 0.0, -0.3])
def test_the_clocks_offset_is_found_from_turns(late_s: float) -> None:
    clock = estimate_clock_offset(_swaying(late_s), 0)
    assert clock is not None
    assert clock.is_sure
    assert clock.offset_s == pytest.approx(late_s, abs=0.03)
    assert clock.correction_s == pytest.approx(late_s, abs=0.03)


def test_half_a_second_late_is_said_and_corrected() -> None:
    clock = estimate_clock_offset(_swaying(0.5), 0)
    assert clock is not None
    assert re.match(r'odometry is 0\.[45]\d s late against .*; corrected', clock.text())


def test_without_turns_the_clock_stays_as_it_is_and_that_is_said() -> None:
    clock = estimate_clock_offset(_store(_table(0.8 * np.arange(200))), 0)
    assert clock is not None
    assert clock.correction_s == 0.0
    assert 'cannot be told' in clock.text()
