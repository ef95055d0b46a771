# SPDX-License-Identifier: Apache-2.0
"""Scores: which pixels count, what each scaling allows, and errors by range and region."""

from __future__ import annotations

import numpy as np
import pytest
from monodepth2_training.evaluation.depth_errors import DepthLimits, depth_errors
from monodepth2_training.evaluation.judgement import judge
from monodepth2_training.evaluation.scoring import FramePairs, pair, score

TRUE = np.linspace(2.0, 60.0, 20 * 30, dtype=np.float32).reshape(20, 30)


def _frame(depth: np.ndarray, name: str = 'frame') -> FramePairs:
    found = pair(name, depth, TRUE)
    assert found is not None
    return found


def test_only_pixels_that_both_know_are_paired() -> None:
    depth, true = TRUE.copy(), TRUE.copy()
    depth[0, :3] = [np.nan, np.inf, -1.0]
    true[1, :4] = [np.nan, np.inf, 0.0, 90.0]
    inside = np.ones(TRUE.shape, np.bool_)
    inside[5] = False
    found = pair('f', depth, true, inside=inside)
    assert found is not None
    assert len(found.depth) == TRUE.size - 3 - 4 - 30
    assert np.array_equal(found.depth, found.true_m)
    assert np.array_equal(TRUE.reshape(-1)[found.pixels], found.true_m)


def test_a_frame_with_little_truth_or_of_another_size_is_not_judged() -> None:
    true = np.full(TRUE.shape, np.nan, np.float32)
    true[0, :30] = 5.0
    assert pair('f', TRUE, true) is None
    assert pair('f', TRUE[:10], TRUE) is None


def test_a_score_multiplies_then_clamps() -> None:
    frame = _frame(TRUE / 2.0)
    limits = DepthLimits(max_depth_m=80.0)
    expected = depth_errors(np.minimum(TRUE.reshape(-1) * 2.0, 80.0), TRUE.reshape(-1))
    assert score(frame, 4.0, limits).rmse == pytest.approx(expected.rmse, rel=1e-6)
    assert score(frame, 2.0).abs_rel == pytest.approx(0.0, abs=1e-7)


def test_each_scaling_forgives_what_it_may() -> None:
    # Three frames whose unit is 2 m, 2 m and 4 m, judged by a model that believes in 2.2 m.
    frames = [_frame(TRUE / unit) for unit in (2.0, 2.0, 4.0)]
    found = judge(frames, scale=2.2)
    assert [round(found.scores[name].mean.abs_rel, 4) for name in found.scores] == [
        round((0.1 + 0.1 + 0.45) / 3, 4),
        round(0.5 / 3, 4),
        0.0,
    ]
    assert found.ratio == pytest.approx(2.0)
    assert found.ratio_spread == pytest.approx(np.std([1.0, 1.0, 2.0]))


def test_wide_outlines_move_the_ratio_of_medians_but_not_that_of_the_median_pixel() -> None:
    truth = np.where(np.arange(1000) < 490, 8.0, 40.0).astype(np.float32).reshape(20, 50)
    depth = truth / 2.0
    depth.reshape(-1)[490:510] = 4.0
    frame = pair('wide', depth, truth)
    assert frame is not None
    assert frame.ratio == pytest.approx(10.0)
    found = judge([frame, frame], scale=None)
    assert found.pixel_ratio == pytest.approx(2.0)
    assert found.pixel_ratio_spread == 0.0


def test_without_a_scale_there_is_no_metric_score() -> None:
    assert list(judge([_frame(TRUE)], scale=None).scores) == ['recording', 'frame']


def test_parts_divide_the_pixels_and_hold_their_own_errors() -> None:
    depth = TRUE.copy()
    depth[TRUE > 40.0] *= 1.1
    found = judge([_frame(depth)], scale=1.0)
    ranges = {part.name: part for part in found.ranges['metric']}
    assert list(ranges) == ['0 to 5 m', '5 to 10 m', '10 to 20 m', '20 to 40 m', '40 to 80 m']
    assert sum(part.share for part in ranges.values()) == pytest.approx(1.0)
    assert ranges['40 to 80 m'].errors.abs_rel == pytest.approx(0.1, rel=1e-5)
    assert ranges['20 to 40 m'].errors.abs_rel == pytest.approx(0.0, abs=1e-6)
    assert ranges['0 to 5 m'].frames == 0
    assert np.isnan(ranges['0 to 5 m'].errors.abs_rel)


def test_regions_are_ninths_of_the_picture() -> None:
    true = np.full((30, 60), 10.0, np.float32)
    depth = true.copy()
    depth[20:, :20] = 12.0
    frame = pair('f', depth, true)
    assert frame is not None
    parts = judge([frame], scale=1.0).regions['metric']
    wrong = {part.name: round(part.errors.abs_rel, 3) for part in parts if part.errors.abs_rel}
    assert wrong == {'bottom left': 0.2}
    assert {round(part.share, 4) for part in parts} == {round(1 / 9, 4)}
