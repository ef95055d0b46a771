# SPDX-License-Identifier: Apache-2.0
"""Depth errors: hand values, the protocol's range and crop, and the guess to beat."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from monodepth2_training.evaluation.depth_errors import (
    DepthLimits,
    depth_errors,
    garg_crop,
    known_pixels,
    mean_errors,
    median_scaled,
)
from monodepth2_training.evaluation.median_map import median_map

from monodepth2_ros.errors import ConfigError


def test_errors_have_their_hand_values() -> None:
    errors = depth_errors(np.float32([2.0, 10.0]), np.float32([1.0, 10.0]))
    assert errors.abs_rel == pytest.approx(0.5)
    assert errors.sq_rel == pytest.approx(0.5)
    assert errors.rmse == pytest.approx(np.sqrt(0.5))
    assert errors.rmse_log == pytest.approx(np.log(2.0) / np.sqrt(2.0))
    assert errors.log10 == pytest.approx(np.log10(2.0) / 2.0)
    assert errors.silog == pytest.approx(50.0 * np.log(2.0))
    assert (errors.delta_1, errors.delta_2, errors.delta_3) == (0.5, 0.5, 0.5)


def _slow_errors(depth: list[float], true: list[float]) -> dict[str, float]:
    """The formulas as their papers print them, in plain loops."""
    n, sums = len(true), dict.fromkeys('arq1230gl', 0.0)
    logs = [math.log(d) - math.log(t) for d, t in zip(depth, true, strict=True)]
    for d, t, g in zip(depth, true, logs, strict=True):
        worst = max(d / t, t / d)
        sums['a'] += abs(d - t) / t / n
        sums['q'] += (d - t) ** 2 / t / n
        sums['r'] += (d - t) ** 2 / n
        sums['l'] += g**2 / n
        sums['g'] += abs(math.log10(d) - math.log10(t)) / n
        for power in (1, 2, 3):
            sums[str(power)] += (worst < 1.25**power) / n
    # Uhrig et al.: the mean of squares less the squared mean, its root in percent.
    variance = sums['l'] - (sum(logs) / n) ** 2
    return {
        'abs_rel': sums['a'],
        'sq_rel': sums['q'],
        'rmse': math.sqrt(sums['r']),
        'rmse_log': math.sqrt(sums['l']),
        'log10': sums['g'],
        'silog': 100.0 * math.sqrt(variance),
        'delta_1': sums['1'],
        'delta_2': sums['2'],
        'delta_3': sums['3'],
    }


def test_errors_agree_with_plain_loops_over_the_papers_formulas() -> None:
    draw = np.random.default_rng(5)
    true = draw.uniform(0.5, 79.0, 500).astype(np.float32)
    depth = (true * np.exp(draw.normal(0.05, 0.4, 500))).astype(np.float32)
    expected = _slow_errors(depth.astype(float).tolist(), true.astype(float).tolist())
    assert dataclasses.asdict(depth_errors(depth, true)) == pytest.approx(expected, rel=1e-9)


def test_the_scale_invariant_error_does_not_see_a_factor() -> None:
    true = np.float32([1.0, 4.0, 9.0, 30.0])
    depth = np.float32([1.2, 3.0, 11.0, 28.0])
    wanted = depth_errors(depth, true).silog
    assert depth_errors(7.0 * depth, true).silog == pytest.approx(wanted, rel=1e-6)


def test_no_pixel_has_no_error() -> None:
    assert np.isnan(depth_errors(np.float32([]), np.float32([])).rmse)


@pytest.mark.parametrize(('low', 'high'), [(0.0, 80.0), (5.0, 5.0), (1.0, float('inf'))])
def test_limits_that_hold_no_depth_are_refused(low: float, high: float) -> None:
    with pytest.raises(ConfigError, match='cannot be judged'):
        DepthLimits(min_depth_m=low, max_depth_m=high)


def test_the_deltas_count_ratios_in_both_directions() -> None:
    errors = depth_errors(np.float32([1.3, 1.0, 1.6, 1.0]), np.float32([1.0, 1.3, 1.0, 1.9]))
    assert (errors.delta_1, errors.delta_2, errors.delta_3) == (0.0, 0.5, 1.0)


def test_perfect_depth_has_no_error() -> None:
    true = np.linspace(1.0, 79.0, 50, dtype=np.float32)
    errors = depth_errors(true, true)
    assert (errors.abs_rel, errors.rmse, errors.delta_1) == (0.0, 0.0, 1.0)


def test_truth_counts_only_within_its_range() -> None:
    true = np.float32([[np.nan, np.inf, -np.inf, 0.0, 80.0, 79.9, 0.5]])
    assert known_pixels(true).tolist() == [[False] * 5 + [True] * 2]


def test_the_garg_crop_is_that_of_the_kitti_protocol() -> None:
    rows, columns = np.nonzero(garg_crop(375, 1242))
    assert (rows.min(), rows.max()) == (153, 370)
    assert (columns.min(), columns.max()) == (44, 1196)


def test_median_scaling_ignores_the_unit_and_clamps() -> None:
    true = np.float32([1.0, 2.0, 70.0])
    scaled, factor = median_scaled(np.float32([0.5, 0.1, 9.0]), true)
    assert factor == pytest.approx(4.0)
    assert scaled.tolist() == pytest.approx([2.0, 0.4, 36.0])
    clamped, _ = median_scaled(np.float32([0.5, 0.1, 90.0]), true)
    assert clamped[2] == 80.0


def test_means_are_over_pictures_not_over_pixels() -> None:
    one = depth_errors(np.float32([2.0]), np.float32([1.0]))
    other = depth_errors(np.ones(9, np.float32), np.ones(9, np.float32))
    assert mean_errors([one, other]).abs_rel == pytest.approx(0.5)
    assert np.isnan(mean_errors([]).abs_rel)


def test_the_median_map_of_dense_truth_is_the_median_at_each_pixel() -> None:
    truths = [np.full((4, 6), depth, np.float32) for depth in (2.0, 3.0, 50.0)]
    truths[0][0, 0] = truths[1][0, 0] = 7.0
    guess = median_map(truths, cell_px=1)
    assert guess[0, 0] == 7.0
    assert np.all(guess[1:] == 3.0)


def test_the_median_map_takes_the_nearest_cell_where_nothing_is_known() -> None:
    true = np.full((16, 32), np.nan, np.float32)
    true[3, 2] = 5.0
    assert np.all(median_map([true]) == 5.0)


def test_a_median_map_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match='no true depth is known'):
        median_map([np.full((4, 4), np.inf, np.float32)])
