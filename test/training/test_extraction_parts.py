# SPDX-License-Identifier: Apache-2.0
"""The parts of an extraction by themselves: order of work, selection of frames, motion."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
import torch
from monodepth2_training.data.frame_selection import FrameSelection
from monodepth2_training.data.ordered_work import in_order
from monodepth2_training.data.picture_motion import motion, small_picture
from support import moving_bag

from monodepth2_ros.errors import ConfigError


def test_results_come_in_the_order_of_the_items_whichever_is_ready_first() -> None:
    second_is_done = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert second_is_done.wait(30)
        if number == 1:
            second_is_done.set()
        return number * number

    results = list(in_order(range(20), work, workers=2))
    assert results == [(number, number * number) for number in range(20)]


def test_items_are_taken_only_as_fast_as_they_are_worked_on() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    results = in_order(items(), lambda number: number, workers=3)
    for number in range(1, 101):
        assert next(results) == (number, number)
        assert taken <= number + 2 * 3
    results.close()


def test_every_worker_computes_on_one_core_and_afterwards_all_is_as_before() -> None:
    before = cv2.getNumThreads(), torch.get_num_threads()

    def threads(_: int) -> tuple[int, int]:
        return cv2.getNumThreads(), torch.get_num_threads()

    assert {count for _, count in in_order(range(8), threads, workers=2)} == {(1, 1)}
    assert threads(0) == before


def test_an_error_in_a_worker_reaches_the_caller() -> None:
    def work(number: int) -> float:
        return 1 / (3 - number)

    with pytest.raises(ZeroDivisionError):
        list(in_order(range(10), work, workers=2))


def _outcomes(selection: FrameSelection, *frames: tuple[int, float]) -> list[str]:
    choices = [selection.choose(camera, round(time_s * 1e9)) for camera, time_s in frames]
    return [choice.outcome + ' cut' * choice.cut for choice in choices]


def test_a_cut_before_a_frame_that_is_left_out_is_one_before_the_next_taken() -> None:
    frames = [(0, 0.0), (0, 0.1), (0, 0.2), (0, 5.0), (0, 5.1), (0, 5.2)]
    assert _outcomes(FrameSelection(1, keep_every=2), *frames) == [
        'taken cut',
        'thinned out',
        'taken',
        'thinned out',
        'taken cut',
        'thinned out',
    ]


def test_one_camera_is_thinned_at_any_rate() -> None:
    frames = [(0, 0.001 * number) for number in range(9)]
    taken = _outcomes(FrameSelection(1, keep_every=3), *frames)
    assert [number for number, outcome in enumerate(taken) if 'taken' in outcome] == [0, 3, 6]


def test_two_cameras_are_thinned_together_though_their_stamps_differ_a_little() -> None:
    frames = [(1, 0.0), (0, 0.002), (0, 0.1), (1, 0.101), (0, 0.2), (1, 0.199)]
    taken = _outcomes(FrameSelection(2, keep_every=2), *frames)
    assert ['taken' in outcome for outcome in taken] == [True, True, False, False, True, True]


@pytest.mark.parametrize('rate_hz', [5.0, 10.0, 30.0])
@pytest.mark.parametrize('share', [-0.45, -0.15, 0.1, 0.3, 0.45])
@pytest.mark.parametrize('missing', [(), (4, 15, 30, 31, 51)], ids=['whole', 'frames missing'])
def test_two_cameras_are_thinned_together_up_to_half_a_period_apart(
    rate_hz: float, share: float, missing: tuple[int, ...]
) -> None:
    moments = [
        ((number + share * camera) / rate_hz, camera, number)
        for number in range(40)
        for camera in (0, 1)
        if 2 * number + camera not in missing
    ]
    frames = [(camera, time_s) for time_s, camera, _ in sorted(moments)]
    taken = _outcomes(FrameSelection(2, keep_every=2), *frames)
    numbers = [number for _, _, number in sorted(moments)]
    pairs = zip(numbers, taken, strict=True)
    # Of number 15 nothing is left, so that it does not count.
    late = 15 if missing else 40
    expected = [number % 2 == (number > late) for number in numbers]
    assert ['taken' in outcome for _, outcome in pairs] == expected


def test_frames_of_a_faster_camera_are_not_taken_for_those_of_a_slower_one() -> None:
    frames = [(c, n / 30.0) for n in range(60) for c in (1, 0) if c == 0 or n % 3 == 0]
    taken = _outcomes(FrameSelection(2, keep_every=2), *frames)
    slow = [outcome for (camera, _), outcome in zip(frames, taken, strict=True) if camera == 1]
    assert ['taken' in outcome for outcome in slow] == [True, False] * 10


def test_a_repeated_stamp_is_not_taken_twice() -> None:
    frames = [(0, 0.0), (0, 0.0), (0, 0.1)]
    assert _outcomes(FrameSelection(1), *frames) == ['taken cut', 'repeated stamp', 'taken']


def test_a_frame_that_was_overtaken_is_left_out_and_no_leap_back_in_time() -> None:
    times_s = [0.0, 0.1, 0.3, 0.2, 0.4, 0.5, 0.1, 0.2]
    expected = ['taken cut', 'taken', 'taken', 'out of order', 'taken', 'taken', 'taken cut']
    assert _outcomes(FrameSelection(1), *((0, time_s) for time_s in times_s))[:7] == expected


def test_of_two_drivers_on_one_topic_the_one_ahead_is_taken() -> None:
    times_s = [0.1 * number - 0.03 * late for number in range(9) for late in (0, 1)]
    outcomes = _outcomes(FrameSelection(1), *((0, time_s) for time_s in times_s))
    assert outcomes[2:] == ['taken', 'out of order'] * 8


def test_keeping_every_zeroth_frame_is_refused() -> None:
    with pytest.raises(ConfigError, match='keep_every 0 is not usable'):
        FrameSelection(1, keep_every=0)


@pytest.mark.parametrize('size', [(64, 32), (640, 192), (96, 160), (512, 32)])
def test_motion_is_a_share_of_the_width_at_any_size(size: tuple[int, int]) -> None:
    step_px = 0.02 * size[0]
    before, after = (
        small_picture(moving_bag.picture(index, speed_px=step_px, size=size).transpose(2, 0, 1))
        for index in range(2)
    )
    assert motion(before, before) < 1e-3
    assert motion(before, after) == pytest.approx(0.02, rel=0.3)


def test_a_grey_picture_moves_as_its_three_equal_channels_do() -> None:
    grey = moving_bag.picture(0)[None, ..., 1]
    np.testing.assert_array_equal(small_picture(grey), small_picture(np.repeat(grey, 3, axis=0)))
