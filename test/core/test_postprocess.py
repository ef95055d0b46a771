# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import numpy as np
import pytest

from monodepth2_ros.inference.postprocess import (
    mark_invalid,
    merge_flipped,
    to_millimetres,
    upsample_inverse_depth,
)


def _plane(height: int, width: int, *, zoom_y: float = 1.0, zoom_x: float = 1.0) -> np.ndarray:
    """Inverse depth of one slanted plane, sampled by the half-pixel rule."""
    v = (np.arange(height)[:, None] + 0.5) / zoom_y - 0.5
    u = (np.arange(width)[None, :] + 0.5) / zoom_x - 0.5
    return (0.2 + 0.004 * u + 0.006 * v).astype(np.float32)


def _slow_upsample(source: np.ndarray, height: int, width: int, ratio: float) -> np.ndarray:
    h, w = source.shape
    out = np.empty((height, width))
    for row in range(height):
        for column in range(width):
            y = (row + 0.5) * h / height - 0.5
            x = (column + 0.5) * w / width - 0.5
            rows = [min(max(math.floor(y) + i, 0), h - 1) for i in (0, 1)]
            columns = [min(max(math.floor(x) + i, 0), w - 1) for i in (0, 1)]
            four = source[np.ix_(rows, columns)].astype(np.float64)
            fy, fx = y - math.floor(y), x - math.floor(x)
            if four.max() > ratio * four.min():
                out[row, column] = four[int(fy >= 0.5), int(fx >= 0.5)]
            else:
                out[row, column] = np.array([1 - fy, fy]) @ four @ np.array([1 - fx, fx])
    return out


@pytest.mark.parametrize('size', [(24, 40), (29, 47), (17, 61), (12, 20), (9, 13)])
def test_upsampling_agrees_with_its_slow_twin(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    source = np.exp(rng.normal(0.0, 0.08, (12, 20))).astype(np.float32)
    source[4:9, 6:13] *= 4.0
    fast = upsample_inverse_depth(source, height=size[0], width=size[1], max_ratio=1.15)
    np.testing.assert_allclose(fast, _slow_upsample(source, *size, 1.15), rtol=2e-4)


def test_a_step_edge_keeps_to_its_two_depths() -> None:
    source = np.full((6, 8), 0.1, np.float32)
    source[:, 4:] = 0.5
    fine = upsample_inverse_depth(source, height=18, width=32)
    assert fine.shape == (18, 32)
    np.testing.assert_array_equal(fine[:, :16], np.float32(0.1))
    np.testing.assert_array_equal(fine[:, 16:], np.float32(0.5))


def test_a_thin_pole_keeps_to_its_depth() -> None:
    source = np.full((6, 9), 0.1, np.float32)
    source[:, 4] = 0.5
    fine = upsample_inverse_depth(source, height=12, width=27)
    assert set(np.unique(fine)) == {np.float32(0.1), np.float32(0.5)}
    np.testing.assert_array_equal(fine[0] == np.float32(0.5), np.arange(27) // 3 == 4)


def test_a_slanted_plane_keeps_its_shape_away_from_the_border() -> None:
    fine = upsample_inverse_depth(_plane(12, 20), height=36, width=80)
    expected = _plane(36, 80, zoom_y=3.0, zoom_x=4.0)
    np.testing.assert_allclose(fine[2:-2, 2:-2], expected[2:-2, 2:-2], rtol=1e-6)


def test_equal_sizes_are_the_identity() -> None:
    source = _plane(12, 20)
    assert upsample_inverse_depth(source, height=12, width=20) is source


def test_upsampling_invents_no_values_beyond_its_input() -> None:
    source = np.random.default_rng(1).uniform(0.01, 10.0, (12, 20)).astype(np.float32)
    fine = upsample_inverse_depth(source, height=37, width=83)
    assert source.min() <= fine.min()
    assert fine.max() <= source.max()


def test_merging_a_symmetric_answer_changes_nothing() -> None:
    disparity = np.random.default_rng(0).uniform(0, 1, (4, 100)).astype(np.float32)
    np.testing.assert_allclose(merge_flipped(disparity, disparity[:, ::-1]), disparity, atol=1e-6)


def test_merging_takes_the_mirror_left_the_image_right_and_the_mean_between() -> None:
    merged = merge_flipped(np.full((2, 101), 0.2, np.float32), np.full((2, 101), 0.6, np.float32))
    np.testing.assert_allclose(merged[0, [0, 5]], 0.6, atol=1e-6)
    np.testing.assert_allclose(merged[0, [10, 50, 90]], 0.4, atol=1e-6)
    np.testing.assert_allclose(merged[0, [95, 100]], 0.2, atol=1e-6)
    # x = 0.075 is half way: half the mirror's, half the mean.
    between = merge_flipped(np.full((1, 201), 0.2, np.float32), np.full((1, 201), 0.6, np.float32))
    assert between[0, 15] == pytest.approx(0.5 * 0.6 + 0.5 * 0.4)


def test_marks_follow_rep_117() -> None:
    depth = np.array([[0.05, 0.1, 5.0, 79.9, 80.0, 300.0, 5.0]], np.float32)
    valid = np.array([[True, True, True, True, True, True, False]])
    marked = mark_invalid(depth, min_depth_m=0.1, max_depth_m=80.0, valid=valid)
    assert marked is depth
    expected = [-np.inf, np.float32(0.1), 5.0, np.float32(79.9), np.inf, np.inf, np.nan]
    np.testing.assert_array_equal(marked[0], np.array(expected, np.float32))


def test_unknown_depth_stays_unknown() -> None:
    depth = np.array([[np.nan, np.inf, -np.inf]], np.float32)
    marked = mark_invalid(depth, min_depth_m=0.1, max_depth_m=80.0)
    np.testing.assert_array_equal(marked, [[np.nan, np.inf, -np.inf]])


@pytest.mark.filterwarnings('error')
def test_millimetres_are_rounded_and_zero_says_invalid() -> None:
    depth = [1.2344, 1.2346, 65.535, 65.536, 1e9, 0.0, -1.0, np.nan, np.inf, -np.inf]
    millimetres = to_millimetres(np.array([depth], np.float32))
    assert millimetres.dtype == np.uint16
    assert millimetres[0].tolist() == [1234, 1235, 65535, 0, 0, 0, 0, 0, 0, 0]
