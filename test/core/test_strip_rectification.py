# SPDX-License-Identifier: Apache-2.0
"""A window that is rectified strip by strip holds the pixels of the whole picture's."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from monodepth2_ros.geometry.camera import CameraCalibration, Window
from monodepth2_ros.geometry.rectification import Rectifier
from monodepth2_ros.geometry.strip_rectification import StripRectifier

WIDTH, HEIGHT = 160, 300
WHOLE = Window(x=0, y=0, width=WIDTH, height=HEIGHT)
PART = Window(x=40, y=90, width=70, height=131)
K = (150.0, 0.0, 81.0, 0.0, 154.0, 142.0, 0.0, 0.0, 1.0)
TURNED = tuple(cv2.Rodrigues(np.array([0.02, -0.03, 0.2]))[0].ravel().tolist())
LENS = CameraCalibration(width=WIDTH, height=HEIGHT, K=K, D=(-0.28, 0.09, 0.002, -0.003, -0.01))


def seen_lower(rows: float) -> tuple[float, ...]:
    """A P that shows the raw picture so many rows further down, and nothing above it."""
    return (*K[:3], 0.0, *K[3:5], K[5] + rows, 0.0, *K[6:], 0.0)


CALIBRATIONS = {
    'lens': LENS,
    'turned': replace(LENS, R=TURNED),
    'rim': replace(LENS, R=TURNED, P=seen_lower(40)),
    'strips without a source': replace(LENS, P=seen_lower(150)),
    'fisheye': replace(LENS, distortion_model='equidistant', D=(0.05, -0.02, 0.01, -0.003)),
}


def cropped(picture: np.ndarray, window: Window) -> np.ndarray:
    return picture[window.y : window.y + window.height, window.x : window.x + window.width]


@pytest.fixture(params=CALIBRATIONS)
def rectifier(request: pytest.FixtureRequest) -> Rectifier:
    return Rectifier(CALIBRATIONS[request.param])


def windows(rectifier: Rectifier) -> list[Window]:
    return [WHOLE, PART, rectifier.window]


def noise(*channels: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, *channels), np.uint8)


def test_four_grey_pictures_come_out_as_each_alone_would(rectifier):
    pictures = [np.ascontiguousarray(plane) for plane in np.moveaxis(noise(4), 2, 0)]
    for window in windows(rectifier):
        together = StripRectifier(rectifier, window)(pictures)
        assert together.shape == (window.height, window.width, 4)
        for channel, picture in enumerate(pictures):
            whole = rectifier.rectify(np.repeat(picture[..., None], 3, axis=2))
            np.testing.assert_array_equal(together[..., channel], cropped(whole, window)[..., 0])


def test_a_picture_in_colour_comes_out_as_it_does_in_the_node(rectifier):
    rgb = noise(3)
    for window in windows(rectifier):
        part = StripRectifier(rectifier, window)([rgb])
        np.testing.assert_array_equal(part, cropped(rectifier.rectify(rgb), window))


def test_read_only_padded_views_are_rectified():
    rectifier = Rectifier(LENS)
    padded = np.pad(noise(3), ((0, 0), (0, 3), (0, 0)))[:, :WIDTH]
    padded.flags.writeable = False
    np.testing.assert_array_equal(
        StripRectifier(rectifier, WHOLE)([padded]), rectifier.rectify(noise(3))
    )
