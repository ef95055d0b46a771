# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from monodepth2_ros.errors import ConfigError
from monodepth2_ros.inference.colorize import COLORMAPS, colorize


def _row(*depths: float) -> np.ndarray:
    return np.array([depths], np.float32)


def _gray(depth: np.ndarray, **limits: float) -> list[int]:
    picture = colorize(depth, colormap='gray', **limits)
    assert (picture == picture[..., :1]).all()
    return picture[0, :, 0].tolist()


def test_fixed_limits_map_inverse_depth_linearly() -> None:
    # Inverse depths 1.0, 0.55 and 0.1: bright, half way, dark.
    levels = _gray(_row(1.0, 1.0 / 0.55, 10.0), min_depth_m=1.0, max_depth_m=10.0)
    assert levels[0] == 255
    assert levels[1] in (127, 128)
    assert levels[2] == 0


def test_beyond_the_limits_the_last_colours_hold() -> None:
    assert _gray(_row(0.2, 1000.0), min_depth_m=1.0, max_depth_m=10.0) == [255, 0]


@pytest.mark.filterwarnings('error')
def test_infinite_depth_is_dark_too_close_is_bright_and_unknown_is_black() -> None:
    depth = _row(np.inf, -np.inf, np.nan, 0.0, 2.0)
    picture = colorize(depth, colormap='turbo', min_depth_m=1.0, max_depth_m=10.0)
    ends = colorize(_row(10.0, 1.0), colormap='turbo', min_depth_m=1.0, max_depth_m=10.0)[0]
    assert picture[0, 0].tolist() == ends[0].tolist() != [0, 0, 0]
    assert picture[0, 1].tolist() == ends[1].tolist()
    assert picture[0, 2].tolist() == [0, 0, 0]
    assert picture[0, 3].tolist() == ends[1].tolist()


def test_colours_are_in_the_order_blue_green_red() -> None:
    near, far = colorize(_row(1.0, 10.0), colormap='jet', min_depth_m=1.0, max_depth_m=10.0)[0]
    assert near[2] > 100 > near[0]
    assert far[0] > 100 > far[2]


@pytest.mark.parametrize('colormap', COLORMAPS)
def test_every_colormap_gives_a_picture_that_grows_from_far_to_near(colormap: str) -> None:
    picture = colorize(_row(1.0, 2.0, 10.0), colormap=colormap, min_depth_m=1, max_depth_m=10)
    assert picture.shape == (1, 3, 3)
    assert picture.dtype == np.uint8
    assert len({tuple(colour) for colour in picture[0].tolist()}) == 3


def test_automatic_limits_ignore_a_few_wild_pixels() -> None:
    depth = np.random.default_rng(0).uniform(2.0, 20.0, (100, 200)).astype(np.float32)
    plain = colorize(depth, colormap='gray')
    depth[::40, ::40] = 0.001
    depth[5::40, 5::40] = np.inf
    wild = colorize(depth, colormap='gray')
    assert np.median(np.abs(plain.astype(int) - wild.astype(int))) <= 2
    assert plain.max() == 255
    assert plain.min() == 0


def test_one_limit_may_be_fixed_and_the_other_automatic() -> None:
    depth = np.linspace(1.0, 50.0, 1000, dtype=np.float32)[None]
    levels = _gray(depth, max_depth_m=10.0)
    assert levels[0] == 255
    assert levels[-1] == 0
    assert _gray(_row(2.0, 4.0), min_depth_m=30.0) == [255, 255]
    assert _gray(_row(20.0, 40.0), max_depth_m=10.0) == [0, 0]


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf, 0.0, 5.0])
def test_a_flat_image_is_coloured_without_a_warning(value: float) -> None:
    picture = colorize(np.full((4, 6), value, np.float32))
    assert picture.shape == (4, 6, 3)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 1


def test_an_unknown_colormap_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="'viridsi' is not known: did you mean 'viridis'"):
        colorize(_row(1.0), colormap='viridsi')


@pytest.mark.parametrize('limits', [(5.0, 5.0), (-1.0, 0.0), (0.0, np.nan), (0.0, np.inf)])
def test_unusable_limits_are_refused(limits: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match=r'colour limits .* expected 0 <= min < max'):
        colorize(_row(1.0), min_depth_m=limits[0], max_depth_m=limits[1])
