# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from monodepth2_ros.errors import ConfigError, ImageError
from monodepth2_ros.geometry.camera import Window
from monodepth2_ros.inference.preprocess import full_window, network_input, resized


def _noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _pixels(tensor: torch.Tensor) -> np.ndarray:
    return tensor[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize('resize', ['bilinear', 'lanczos'])
def test_the_input_is_uint8_channels_last_of_the_networks_size(resize: str) -> None:
    rgb = _noise(30, 50)
    image = network_input(rgb, window=full_window(rgb), width=64, height=32, resize=resize)
    assert image.shape == (1, 3, 32, 64)
    assert image.dtype == torch.uint8
    assert image.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize('resize', ['bilinear', 'lanczos'])
def test_an_image_of_the_networks_size_passes_unchanged(resize: str) -> None:
    rgb = _noise(32, 64)
    image = network_input(rgb, window=full_window(rgb), width=64, height=32, resize=resize)
    np.testing.assert_array_equal(_pixels(image), rgb)


def test_the_window_is_cut_out_exactly() -> None:
    rgb = _noise(50, 90)
    window = Window(x=11, y=7, width=64, height=32)
    image = network_input(rgb, window=window, width=64, height=32, resize='bilinear')
    np.testing.assert_array_equal(_pixels(image), rgb[7:39, 11:75])


def test_pixels_outside_the_window_have_no_influence() -> None:
    rgb = _noise(50, 90)
    window = Window(x=11, y=7, width=60, height=30)
    inside = network_input(rgb, window=window, width=32, height=16, resize='bilinear')
    rgb[:7], rgb[37:], rgb[:, :11], rgb[:, 71:] = 0, 255, 0, 255
    again = network_input(rgb, window=window, width=32, height=16, resize='bilinear')
    assert torch.equal(inside, again)


def test_bilinear_halving_weighs_four_pixels_as_a_triangle() -> None:
    row = np.array([0, 0, 80, 160, 0, 0, 0, 0], np.uint8)
    rgb = np.repeat(np.repeat(row[None, :, None], 8, axis=0), 3, axis=2)
    image = network_input(rgb, window=full_window(rgb), width=4, height=4, resize='bilinear')
    # Output 1 sits between inputs 2 and 3: weights 1/8, 3/8, 3/8, 1/8 over inputs 1 to 4.
    assert _pixels(image)[1, 1].tolist() == [90, 90, 90]


def test_bilinear_agrees_with_pils_antialiased_bilinear_to_one_level() -> None:
    rgb = _noise(75, 124)
    image = network_input(rgb, window=full_window(rgb), width=64, height=32, resize='bilinear')
    twin = np.asarray(Image.fromarray(rgb).resize((64, 32), Image.Resampling.BILINEAR))
    assert np.abs(_pixels(image).astype(int) - twin.astype(int)).max() <= 1


def test_lanczos_is_pils() -> None:
    rgb = _noise(75, 124)
    image = network_input(rgb, window=full_window(rgb), width=64, height=32, resize='lanczos')
    twin = np.asarray(Image.fromarray(rgb).resize((64, 32), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(_pixels(image), twin)


@pytest.mark.parametrize('resize', ['bilinear', 'lanczos'])
@pytest.mark.parametrize('channels', [1, 2, 3, 4])
@pytest.mark.parametrize('size', [(64, 32), (33, 21), (100, 90)])
def test_any_number_of_channels_is_resized_each_as_in_a_picture(
    size: tuple[int, int], channels: int, resize: str
) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (75, 124, channels), np.uint8)
    width, height = size
    image = resized(noise, width=width, height=height, resize=resize)
    assert image.shape == (1, channels, height, width)
    for channel in range(channels):
        rgb = np.repeat(noise[..., channel, None], 3, axis=2)
        window = full_window(rgb)
        whole = network_input(rgb, window=window, width=width, height=height, resize=resize)
        assert torch.equal(image[:, channel], whole[:, 0])


@pytest.mark.parametrize('resize', ['bilinear', 'lanczos'])
@pytest.mark.filterwarnings('error')
def test_a_read_only_image_is_taken_without_a_warning(resize: str) -> None:
    rgb = np.frombuffer(_noise(32, 64).tobytes(), np.uint8).reshape(32, 64, 3)
    image = network_input(rgb, window=full_window(rgb), width=64, height=32, resize=resize)
    np.testing.assert_array_equal(_pixels(image), rgb)


@pytest.mark.parametrize('resize', ['bilinear', 'lanczos'])
def test_padded_rows_and_mirrored_views_are_read_as_what_they_show(resize: str) -> None:
    wide = _noise(40, 80)
    for view in (wide[3:35, 7:71], wide[:, ::-1][3:35, 7:71], wide[3:35, 7:71, ::-1]):
        image = network_input(view, window=full_window(view), width=64, height=32, resize=resize)
        np.testing.assert_array_equal(_pixels(image), view)


@pytest.mark.parametrize('size', [(1, 1), (2, 3), (1, 500), (700, 1)])
def test_tiny_and_thin_images_are_resized_too(size: tuple[int, int]) -> None:
    rgb = np.full((*size, 3), 77, np.uint8)
    for resize in ('bilinear', 'lanczos'):
        image = network_input(rgb, window=full_window(rgb), width=64, height=32, resize=resize)
        assert image.unique().tolist() == [77]


def test_a_window_outside_the_image_is_refused_with_both_sizes() -> None:
    with pytest.raises(ImageError, match=r'window 64x32 at \(1, 0\) .* image of 64x32'):
        network_input(
            _noise(32, 64),
            window=Window(x=1, y=0, width=64, height=32),
            width=64,
            height=32,
            resize='bilinear',
        )


def test_an_array_that_is_no_image_is_refused_with_its_shape() -> None:
    with pytest.raises(ImageError, match=r'float32\[4, 4\] is no image: expected uint8'):
        network_input(
            np.zeros((4, 4), np.float32),
            window=Window(x=0, y=0, width=4, height=4),
            width=64,
            height=32,
            resize='bilinear',
        )


def test_an_unknown_resize_is_refused_with_the_known_ones() -> None:
    rgb = _noise(8, 8)
    with pytest.raises(ConfigError, match="'cubic' is not known: expected one of bilinear, lanc"):
        network_input(rgb, window=full_window(rgb), width=64, height=32, resize='cubic')
