# SPDX-License-Identifier: Apache-2.0
"""What a scale is made of, and what is said about odometry that cannot be right."""

from __future__ import annotations

import numpy as np
import pytest
from monodepth2_training.data.frame_store import FrameTable
from monodepth2_training.scale.estimate import ScaleEstimate, estimate_scale
from monodepth2_training.scale.plausibility import disagreements, odometry_doubts


def _table(x_m: np.ndarray, speed_m_s: float) -> FrameTable:
    count = len(x_m)
    rows = np.zeros((count, 8))
    rows[:, 0], rows[:, 6], rows[:, 7] = x_m, 1.0, speed_m_s
    return FrameTable(
        stamps_ns=(np.arange(count) * 10**8).astype(np.int64),
        motion=np.full(count, 0.01, np.float32),
        brightness=np.full(count, 0.5, np.float32),
        clipped=np.zeros(count, np.float32),
        odometry=rows,
        part=np.zeros(count, np.int32),
    )


def _estimate(value: float, spread: float = 0.05, method: str = 'odometry') -> ScaleEstimate:
    return ScaleEstimate(method=method, value=value, spread=spread, frames=100)


def test_a_scale_is_the_median_with_the_spread_of_the_middle() -> None:
    values = np.array([9.0, 10.0, 11.0, 10.0, np.nan, 9.5, 10.5, 1000.0, np.inf])
    found = estimate_scale(values, 'test')
    assert found is not None
    assert (found.value, found.frames) == (10.0, 7)
    assert found.spread == pytest.approx(1.4826 * 0.5 / 10.0)


def test_the_spread_of_normal_values_is_their_standard_deviation() -> None:
    values = np.random.default_rng(0).normal(5.0, 0.5, 20000)
    found = estimate_scale(values, 'test')
    assert found is not None
    assert found.spread == pytest.approx(0.1, rel=0.03)


@pytest.mark.parametrize('values', [[1.0] * 4, [np.nan] * 9, [-1.0] * 9, [0.0] * 9])
def test_too_few_or_impossible_values_give_no_scale(values: list[float]) -> None:
    assert estimate_scale(np.array(values), 'test') is None


def test_millimetres_in_the_positions_are_doubted() -> None:
    doubts = odometry_doubts(_table(800.0 * np.arange(50), speed_m_s=8.0))
    assert len(doubts) == 2
    assert 'move at 8e+03 m/s in the median, which no vehicle does' in doubts[0]
    assert 'one of the two is not in metres' in doubts[1]


def test_kilometres_an_hour_in_the_speed_are_doubted() -> None:
    doubts = odometry_doubts(_table(0.8 * np.arange(50), speed_m_s=28.8))
    assert doubts == (
        'positions move at 8 m/s, the odometry states 28.8 m/s: one of the two is not in metres',
    )


def test_a_proper_odometry_is_not_doubted() -> None:
    assert odometry_doubts(_table(0.8 * np.arange(50), speed_m_s=8.0)) == ()


def test_a_camera_height_ten_times_off_disagrees_with_odometry_by_a_factor_of_ten() -> None:
    found = disagreements([_estimate(5.4), _estimate(53.0, method='ground')])
    assert len(found) == 1
    assert 'differ by a factor of 9.81' in found[0]


def test_scales_within_their_spreads_agree() -> None:
    assert disagreements([_estimate(5.4), _estimate(5.6), _estimate(5.3)]) == ()
    assert disagreements([_estimate(5.40, 0.0), _estimate(5.45, 0.0)]) == ()
