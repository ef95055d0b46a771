# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import pytest

from monodepth2_ros.geometry.camera import PinholeCamera
from monodepth2_ros.inference.camera_match import (
    CameraMatch,
    CameraMismatchError,
    match_cameras,
)
from monodepth2_ros.model_description import TrainingCamera

KITTI = PinholeCamera(width=1242, height=375, fx_px=721.5, fy_px=721.5, cx_px=609.6, cy_px=172.9)


def _match(live: PinholeCamera | None, distortion: str = '') -> CameraMatch:
    trained = TrainingCamera(camera=KITTI, distortion_model=distortion)
    return match_cameras(trained, live, width=640, height=192)


def test_the_training_camera_matches_itself_at_any_resolution() -> None:
    assert _match(KITTI) == CameraMatch(factor=1.0)
    assert _match(KITTI.resized(621, 188)).differences == ()


def test_a_longer_lens_multiplies_depth_by_the_ratio_of_focal_lengths() -> None:
    longer = replace(KITTI, fx_px=1082.25, fy_px=1082.25)
    match = _match(longer)
    assert match.factor == pytest.approx(1.5)
    assert match.applied('rescale') == pytest.approx(1.5)
    assert match.applied('ignore') == 1.0
    assert match.differences[0].startswith("the focal length is 556 px at the network's size")


def test_a_crop_is_a_longer_lens_though_its_focal_length_in_pixels_is_the_same() -> None:
    half = replace(KITTI, width=621, height=188, cx_px=310.0, cy_px=93.0)
    assert _match(half).factor == pytest.approx(2.0, rel=0.01)


def test_another_focal_length_is_refused_on_request_with_a_remedy() -> None:
    longer = replace(KITTI, fx_px=1082.25, fy_px=1082.25)
    with pytest.raises(CameraMismatchError, match='camera_mismatch is refuse; use the model'):
        _match(longer).applied('refuse')
    assert _match(KITTI).applied('refuse') == 1.0


def test_another_shape_and_distortion_are_told() -> None:
    square = replace(KITTI, width=640, height=480, cx_px=320.0, cy_px=240.0)
    assert 'the picture of 640x480 is squeezed otherwise' in ' '.join(_match(square).differences)
    assert 'with plumb_bob distortion' in _match(KITTI, 'plumb_bob').differences[0]


def test_an_unknown_camera_is_taken_as_it_is() -> None:
    assert _match(None) == CameraMatch()
    assert match_cameras(None, KITTI, width=640, height=192) == CameraMatch()
