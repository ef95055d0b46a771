# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from monodepth2_ros.inference.running_scale import (
    FASTEST_PER_S,
    LEAST_FRAMES,
    RunningScale,
    ScaleReading,
)


def _told(values: list[float], *, period_s: float = 0.1, begin_s: float = 0.0) -> RunningScale:
    scale = RunningScale('ground_plane')
    for number, value in enumerate(values):
        scale.add(value, begin_s + period_s * number)
    return scale


def test_too_few_frames_give_no_scale_and_say_so() -> None:
    reading = _told([5.0] * (LEAST_FRAMES - 1)).reading(2.0)
    assert not reading.is_known
    assert (
        reading.text() == 'none yet by ground_plane; frozen: waiting for 10 frames with evidence'
    )


def test_the_scale_is_the_median_with_its_spread() -> None:
    values = np.random.default_rng(0).normal(5.0, 0.25, 60).tolist()
    reading = _told(values).reading(6.0)
    assert reading.value == pytest.approx(5.0, rel=0.03)
    assert reading.spread == pytest.approx(0.05, rel=0.5)
    assert reading.frozen == ''


def test_single_outliers_change_nothing() -> None:
    scale = _told([5.0] * 30)
    scale.add(500.0, 3.0)
    scale.add(0.01, 3.1)
    assert scale.reading(3.1).value == pytest.approx(5.0)


def test_a_lasting_change_is_followed_slowly() -> None:
    scale = _told([5.0] * 60)
    before = 5.0
    for number in range(600):
        now_s = 6.0 + 0.1 * number
        scale.add(5.5, now_s)
        after = scale.reading(now_s).value
        assert after / before <= 1.0 + 1.01 * FASTEST_PER_S * 0.1
        before = after
    assert before == pytest.approx(5.5, rel=1e-3)


def test_a_scene_without_evidence_keeps_the_value_tells_why_and_ages() -> None:
    scale = _told([5.0] * 30)
    scale.hold('turning')
    reading = scale.reading(12.9)
    assert (reading.value, reading.frozen) == (5.0, 'turning')
    assert reading.age_s == pytest.approx(10.0)


def test_frames_that_contradict_each_other_give_no_scale() -> None:
    values = np.exp(np.random.default_rng(0).normal(0.0, 1.5, 40)).tolist()
    reading = _told(values).reading(4.0)
    assert not reading.is_known
    assert reading.frozen == 'the frames contradict each other'


@pytest.mark.parametrize('bad', [0.0, -1.0, float('nan'), float('inf')])
def test_impossible_values_are_left_out(bad: float) -> None:
    scale = _told([5.0] * 30)
    scale.add(bad, 3.0)
    assert scale.reading(3.0).value == 5.0
    assert scale.reading(3.0).frozen == 'a frame gave no usable scale'


def test_a_given_scale_has_no_age() -> None:
    assert ScaleReading(value=2.0, source='parameter').text() == '2 by parameter'
