# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from monodepth2_ros.errors import ConfigError, ImageError, UnsupportedEncodingError
from monodepth2_ros.geometry.camera import CameraCalibration, Window
from monodepth2_ros.geometry.rectification import Rectifier
from monodepth2_ros.images import CompressedImage, RawImage
from monodepth2_ros.inference import views
from monodepth2_ros.inference.colorize import colorize
from monodepth2_ros.inference.pipeline import FramePipeline, Products, Settings, Wanted
from monodepth2_ros.inference.point_cloud import pack_cloud
from monodepth2_ros.inference.preprocess import full_window, network_input

WIDTH, HEIGHT = 60, 40
K = (50.0, 0.0, 29.5, 0.0, 50.0, 19.5, 0.0, 0.0, 1.0)
PINHOLE = CameraCalibration(width=WIDTH, height=HEIGHT, K=K)
DISTORTED = replace(PINHOLE, D=(-0.3, 0.1, 0.0, 0.0, 0.0))
SHIFTED = replace(  # P looks past the raw image on every side
    DISTORTED, P=(25.0, 0.0, 29.5, 0.0, 0.0, 25.0, 19.5, 0.0, 0.0, 0.0, 1.0, 0.0)
)
ALL = Wanted(depth=True, points=True, color=True)


class RampEstimator:
    """Depth that grows by one metre a column, whatever the image; remembers its calls."""

    def __init__(self) -> None:
        self.images: list[np.ndarray] = []
        self.windows: list[Window | None] = []
        self.scales: list[float | None] = []

    @property
    def size(self) -> tuple[int, int]:
        return 8, 4

    def prepare(self, rgb: np.ndarray, window: Window | None = None) -> torch.Tensor:
        self.images.append(rgb)
        self.windows.append(window)
        return network_input(
            rgb, window=window or full_window(rgb), width=8, height=4, resize='bilinear'
        )

    def run(self, image: torch.Tensor) -> np.ndarray:
        assert image.shape == (1, 3, 4, 8)
        return np.zeros((4, 8), np.float32)

    def depth(
        self,
        disparity: np.ndarray,
        *,
        height: int,
        width: int,
        window: Window | None = None,
        scale: float | None = None,
    ) -> np.ndarray:
        self.scales.append(scale)
        ramp = np.arange(width, dtype=np.float32) + np.float32(0.5)
        return np.repeat(ramp[None], height, axis=0) * np.float32(scale or 1.0)


def _pixels(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    return np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _raw(rgb: np.ndarray, encoding: str = 'rgb8') -> RawImage:
    height, width = rgb.shape[:2]
    return RawImage(
        height=height, width=width, encoding=encoding, step=3 * width, data=rgb.tobytes()
    )


def _process(
    calibration: CameraCalibration | None = PINHOLE, wanted: Wanted = ALL, **settings: object
) -> Products:
    pipeline = FramePipeline(RampEstimator(), Settings(**settings))
    return pipeline.process(_raw(_pixels()), calibration, wanted)


def test_one_frame_gives_depth_cloud_and_picture_of_the_same_image() -> None:
    products = _process(max_depth_m=30.0)
    expected = np.arange(WIDTH, dtype=np.float32) + np.float32(0.5)
    expected[30:] = np.inf
    np.testing.assert_array_equal(products.depth, np.repeat(expected[None], HEIGHT, axis=0))
    assert products.camera == PINHOLE.raw_camera()
    np.testing.assert_array_equal(products.rgb, _pixels())
    cloud = pack_cloud(products.depth, products.camera, products.rgb)
    assert products.points.data.tobytes() == cloud.data.tobytes()
    np.testing.assert_array_equal(products.color, colorize(products.depth))
    assert products.notes == ()


def test_only_what_is_wanted_is_computed() -> None:
    for name in ('depth', 'points', 'color'):
        one = Wanted(**{n: n == name for n in ('depth', 'points', 'color')})
        products = _process(wanted=one)
        made = [n for n in ('depth', 'points', 'color') if getattr(products, n) is not None]
        assert made == [name]


def test_if_nothing_is_wanted_nothing_is_even_decoded() -> None:
    estimator = RampEstimator()
    broken = RawImage(height=0, width=0, encoding='', step=0, data=b'')
    products = FramePipeline(estimator).process(
        broken, None, Wanted(depth=False, points=False, color=False)
    )
    assert products == Products()
    assert estimator.images == []


def test_without_a_calibration_there_is_depth_but_no_camera_and_no_cloud() -> None:
    products = _process(None)
    assert products.depth is not None
    assert products.camera is None
    assert products.points is None
    assert products.notes == ('no calibration: depth, but no camera and no points',)


@pytest.mark.parametrize(
    ('calibration', 'reason'),
    [
        (replace(PINHOLE, width=80, height=60), r'images of 80x60 pixels, .* image has 60x40'),
        (replace(PINHOLE, K=(float('nan'), *K[1:])), 'cannot be used'),
        (replace(PINHOLE, K=(0.0,) * 9), 'cannot be used'),
        (replace(PINHOLE, D=(0.1, 0.2)), 'cannot be used'),
        (replace(PINHOLE, distortion_model='fov', D=(0.1,)), 'cannot be used'),
    ],
)
def test_a_calibration_that_cannot_be_used_counts_as_none_and_is_reported(
    calibration: CameraCalibration, reason: str
) -> None:
    products = _process(calibration)
    assert products.depth is not None
    assert products.camera is None
    assert products.points is None
    (note,) = products.notes
    assert re.search(reason, note)


def test_auto_rectifies_what_is_distorted_and_looks_only_at_its_window() -> None:
    estimator = RampEstimator()
    products = FramePipeline(estimator).process(_raw(_pixels()), SHIFTED, ALL)
    rectifier = Rectifier(SHIFTED)
    assert not rectifier.valid.all()
    np.testing.assert_array_equal(estimator.images[0], rectifier.rectify(_pixels()))
    assert estimator.windows == [rectifier.window]
    assert products.camera == rectifier.camera
    np.testing.assert_array_equal(np.isnan(products.depth), ~rectifier.valid)


def test_auto_takes_an_undistorted_image_as_it_is() -> None:
    estimator = RampEstimator()
    FramePipeline(estimator).process(_raw(_pixels()), PINHOLE, ALL)
    np.testing.assert_array_equal(estimator.images[0], _pixels())
    assert estimator.windows == [Window(x=0, y=0, width=WIDTH, height=HEIGHT)]


def test_never_takes_an_already_rectified_topic_with_the_camera_of_its_P() -> None:
    estimator = RampEstimator()
    pipeline = FramePipeline(estimator, Settings(rectify='never'))
    products = pipeline.process(_raw(_pixels()), DISTORTED, ALL)
    np.testing.assert_array_equal(estimator.images[0], _pixels())
    assert products.camera == DISTORTED.rectified_camera()
    assert products.notes == ()


def test_always_rectifies_even_without_distortion() -> None:
    estimator = RampEstimator()
    pipeline = FramePipeline(estimator, Settings(rectify='always'))
    products = pipeline.process(_raw(_pixels()), PINHOLE, ALL)
    np.testing.assert_array_equal(products.rgb, Rectifier(PINHOLE).rectify(_pixels()))
    assert products.camera == PINHOLE.rectified_camera()


def test_the_stereo_offset_of_a_rectified_pair_survives() -> None:
    right = replace(PINHOLE, P=(50.0, 0.0, 29.5, -27.0, 0.0, 50.0, 19.5, 0.0, 0.0, 0.0, 1.0, 0.0))
    assert _process(right).camera == replace(PINHOLE.raw_camera(), tx_px_m=-27.0)


def test_a_calibration_may_arrive_change_and_go() -> None:
    pipeline = FramePipeline(RampEstimator())
    image = _raw(_pixels())
    cameras = [
        pipeline.process(image, calibration, ALL).camera
        for calibration in (None, PINHOLE, replace(PINHOLE, K=(60.0, *K[1:])), None)
    ]
    assert [camera and camera.fx_px for camera in cameras] == [None, 50.0, 60.0, None]


def test_maps_are_computed_once_and_only_the_latest_four_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[float] = []

    def counting(calibration: CameraCalibration) -> Rectifier:
        made.append(calibration.K[0])
        return Rectifier(calibration)

    monkeypatch.setattr(views, 'Rectifier', counting)
    cache = views.Views()
    cameras = [replace(DISTORTED, K=(50.0 + i, *K[1:])) for i in range(5)]
    for calibration in (*cameras[:4], *cameras[:4], cameras[4], cameras[4], cameras[0]):
        cache.view(calibration, width=WIDTH, height=HEIGHT, rectify='auto')
    assert made == [50.0, 51.0, 52.0, 53.0, 54.0, 50.0]
    assert len(cache) == 4


def test_the_size_may_change_with_every_frame() -> None:
    pipeline = FramePipeline(RampEstimator())
    for width, height in [(60, 40), (80, 30)] * 3:
        calibration = replace(PINHOLE, width=width, height=height)
        products = pipeline.process(_raw(_pixels(width, height)), calibration, ALL)
        assert products.depth.shape == (height, width)
        assert products.points.data.shape == (height, width * 32)
        assert products.color.shape == (height, width, 3)


def test_settings_can_be_replaced_between_frames() -> None:
    estimator = RampEstimator()
    pipeline = FramePipeline(estimator)
    image = _raw(_pixels())
    assert pipeline.process(image, PINHOLE, ALL).points.data.shape == (40, 60 * 32)
    pipeline.settings = Settings(cloud_stride=3, scale=2.0, colormap='gray', max_depth_m=50.0)
    products = pipeline.process(image, PINHOLE, ALL)
    assert products.points.data.shape == (14, 20 * 32)
    assert products.depth[0, 3] == 7.0
    assert np.isposinf(products.depth[0, 25])
    assert (products.color == products.color[..., :1]).all()
    assert estimator.scales == [None, 2.0]


def test_compressed_images_are_processed_too() -> None:
    rgb = _pixels()
    data = cv2.imencode('.png', rgb[..., ::-1])[1].tobytes()
    products = FramePipeline(RampEstimator()).process(
        CompressedImage(format='bgr8; png compressed bgr8', data=data), PINHOLE, ALL
    )
    np.testing.assert_array_equal(products.rgb, rgb)


def test_an_unknown_encoding_goes_to_the_decoder_if_there_is_one() -> None:
    image = _raw(_pixels(), 'rgb10_of_mars')
    with pytest.raises(UnsupportedEncodingError, match='rgb10_of_mars'):
        FramePipeline(RampEstimator()).process(image, PINHOLE, ALL)
    asked: list[str] = []

    def decoder(raw: RawImage) -> np.ndarray:
        asked.append(raw.encoding)
        return _pixels()

    pipeline = FramePipeline(RampEstimator(), decoder=decoder)
    np.testing.assert_array_equal(pipeline.process(image, PINHOLE, ALL).rgb, _pixels())
    assert asked == ['rgb10_of_mars']


def test_a_bad_frame_is_refused_and_the_next_one_answered() -> None:
    pipeline = FramePipeline(RampEstimator(), Settings(max_pixels=WIDTH * HEIGHT))
    with pytest.raises(ImageError, match='61x40'):
        pipeline.process(_raw(_pixels(61, 40)), PINHOLE, ALL)
    assert pipeline.process(_raw(_pixels()), PINHOLE, ALL).depth is not None


def test_the_stages_are_timed() -> None:
    timings = _process().timings_s
    for seconds in vars(timings).values():
        assert 0.0 < seconds < 60.0


@pytest.mark.parametrize(
    ('bad', 'message'),
    [
        ({'rectify': 'maybe'}, "rectify 'maybe' is not known: expected one of auto"),
        ({'min_depth_m': 5.0, 'max_depth_m': 5.0}, 'depth limits 5.0 to 5.0 m'),
        ({'min_depth_m': -1.0}, 'depth limits -1.0'),
        ({'max_depth_m': float('nan')}, 'depth limits 0.1 to nan'),
        ({'max_depth_m': float('inf')}, 'depth limits 0.1 to inf'),
        ({'scale': -1.0}, r'scale -1\.0 is not usable'),
        ({'scale': float('nan')}, 'scale nan is not usable'),
        ({'colormap': 'magmaa'}, "did you mean 'magma'"),
        ({'color_min_depth_m': 9.0, 'color_max_depth_m': 3.0}, 'colour limits 9.0 to 3.0'),
        ({'depth_size': 'half'}, "depth_size 'half' is not known: expected one of image, netw"),
        ({'cloud_fields': 'xyzi'}, "cloud_fields 'xyzi' is not known"),
        ({'cloud_stride': 0}, 'cloud_stride 0 is not usable: expected 1 or more'),
        ({'max_pixels': 0}, 'max_pixels 0 is not usable'),
    ],
)
def test_unusable_settings_are_refused(bad: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Settings(**bad)
