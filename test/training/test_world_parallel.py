# SPDX-License-Identifier: Apache-2.0
"""A drive rendered by several processes is the same drive, and leaves no process behind."""

import multiprocessing
import os
import signal
import struct
from contextlib import closing

import numpy as np
import pytest
import torch
from monodepth2_training.world import parallel
from monodepth2_training.world.drive import Drive, DriveSettings

from monodepth2_ros.errors import DeviceError

CPU = torch.device('cpu')


@pytest.fixture(scope='module')
def drive() -> Drive:
    return Drive(DriveSettings(frames=12, width=64, height=32, baseline_m=0.5), CPU)


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(parallel, 'core_count', lambda: 2)
    monkeypatch.setattr(parallel, '_FRAMES_A_PROCESS', 6)
    yield
    assert not multiprocessing.active_children()


def test_frames_come_in_order_and_are_those_of_one_process(drive: Drive):
    frames = list(parallel.rendered_frames(drive, CPU))
    assert [frame.number for frame in frames] == list(range(12))
    for number in (0, 1, 11):
        np.testing.assert_array_equal(frames[number].rgb, drive.frame(number).rgb)
        np.testing.assert_array_equal(frames[number].depth_m, drive.frame(number).depth_m)


def test_whoever_stops_reading_ends_the_processes(drive: Drive):
    with closing(parallel.rendered_frames(drive, CPU)) as frames:
        next(frames)
        assert len(multiprocessing.active_children()) == 2


def test_a_killed_process_is_said_and_the_others_end(drive: Drive):
    frames = parallel.rendered_frames(drive, CPU)
    next(frames)
    os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
    with pytest.raises(DeviceError, match='has ended: is there enough memory'):
        list(frames)


def test_a_process_killed_in_the_middle_of_a_frame_is_said_too():
    ours, theirs = multiprocessing.Pipe(duplex=False)
    os.write(theirs.fileno(), struct.pack('!i', 1000) + b'a part')
    theirs.close()
    with closing(ours), pytest.raises(DeviceError, match='frame 7 has ended'):
        parallel._received(ours, 7)


def test_a_short_drive_starts_no_process(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(parallel, '_in_turn', lambda *_: pytest.fail('started'))
    short = Drive(DriveSettings(frames=3, width=64, height=32), CPU)
    assert len(list(parallel.rendered_frames(short, CPU))) == 3
