# SPDX-License-Identifier: Apache-2.0
"""A whole frame as one program is what the stages compute one by one; here without graphs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from monodepth2_ros.geometry.camera import CameraCalibration
from monodepth2_ros.images import RawImage
from monodepth2_ros.inference.device_frames import DeviceFrames, device_frames
from monodepth2_ros.inference.engines.torch import TorchEngine
from monodepth2_ros.inference.estimator import DepthEstimator
from monodepth2_ros.inference.pipeline import FramePipeline, Products, Settings, Wanted
from monodepth2_ros.model_description import ModelDescription
from monodepth2_ros.networks.depth_net import DepthNet, DepthNetConfig

WIDTH, HEIGHT = 150, 90
K = (120.0, 0.0, 74.0, 0.0, 120.0, 44.0, 0.0, 0.0, 1.0)
PINHOLE = CameraCalibration(width=WIDTH, height=HEIGHT, K=K)
DISTORTED = replace(PINHOLE, D=(-0.3, 0.1, 0.0, 0.0, 0.0))
ALL = Wanted(depth=True, points=True, color=True)
BYTES = {'rgb8': 3, 'bgr8': 3, 'bgra8': 4, 'mono8': 1, 'yuv422': 2}


@pytest.fixture(scope='module')
def estimator() -> DepthEstimator:
    torch.manual_seed(3)
    config = DepthNetConfig(width=96, height=64)
    net = DepthNet(config).train()
    with torch.no_grad():
        for _ in range(4):
            net(torch.rand(2, 3, 64, 96))
        net.decoder.heads['0'].weight.mul_(20.0)
    engine = TorchEngine(net.eval(), torch.device('cpu'))
    return DepthEstimator(ModelDescription(network=config), engine)


def _frames(estimator: DepthEstimator) -> DeviceFrames:
    assert isinstance(estimator.engine, TorchEngine)
    return DeviceFrames(estimator, estimator.engine)


def _image(encoding: str = 'rgb8', *, width: int = WIDTH, padding: int = 0) -> RawImage:
    """A smooth picture with noise, whose rows may be padded."""
    samples = width * BYTES[encoding]
    rng = np.random.default_rng(4)
    x, y = np.meshgrid(np.linspace(0, 6, samples), np.linspace(0, 4, HEIGHT))
    rows = 120.0 + 90.0 * np.sin(x) * np.cos(y) + rng.normal(0.0, 8.0, x.shape)
    data = np.zeros((HEIGHT, samples + padding), np.uint8)
    data[:, :samples] = rows.clip(0, 255)
    return RawImage(
        height=HEIGHT, width=width, encoding=encoding, step=samples + padding, data=data.tobytes()
    )


def _both(
    estimator: DepthEstimator,
    image: RawImage,
    calibration: CameraCalibration | None,
    settings: Settings,
) -> tuple[Products, Products]:
    """The products of the stages, and those of the program."""
    staged = FramePipeline(estimator, settings)
    whole = FramePipeline(estimator, settings, device_frames=_frames(estimator))
    return (
        staged.process(image, calibration, ALL),
        whole.process(image, calibration, ALL),
    )


def _assert_same(staged: Products, whole: Products) -> None:
    """Same marks; depth to 1 % everywhere that no edge moved, and to 0.1 % on average."""
    assert staged.depth is not None and whole.depth is not None
    assert staged.camera == whole.camera
    np.testing.assert_array_equal(np.isnan(staged.depth), np.isnan(whole.depth))
    finite = np.isfinite(staged.depth) & np.isfinite(whole.depth)
    assert finite.sum() > 0.2 * finite.size
    differing = np.isinf(staged.depth) != np.isinf(whole.depth)
    assert differing.mean() < 1e-3
    ratio = np.abs(whole.depth[finite] / staged.depth[finite] - 1.0)
    assert ratio.mean() < 1e-3
    assert np.mean(ratio > 1e-2) < 2e-3


@pytest.mark.parametrize('encoding', BYTES)
@pytest.mark.parametrize('padding', [0, 6])
def test_depth_is_that_of_the_stages(
    estimator: DepthEstimator, encoding: str, padding: int
) -> None:
    image = _image(encoding, padding=padding)
    _assert_same(*_both(estimator, image, PINHOLE, Settings(min_depth_m=0.1)))


def test_at_the_networks_size_depth_and_cloud_are_the_stages_to_a_millionth(
    estimator: DepthEstimator,
) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    image = RawImage(height=64, width=96, encoding='bgr8', step=288, data=picture.tobytes())
    camera = CameraCalibration(width=96, height=64, K=K)
    staged, whole = _both(estimator, image, camera, Settings(min_depth_m=0.3, max_depth_m=0.7))
    assert staged.depth is not None and whole.depth is not None
    assert {-np.inf, np.inf} & set(staged.depth.ravel().tolist())
    np.testing.assert_allclose(whole.depth, staged.depth, rtol=1e-6)
    assert staged.points is not None and whole.points is not None
    ours, theirs = (
        each.points.data.view('<f4').reshape(64, 96, 8)  # type: ignore[union-attr]
        for each in (whole, staged)
    )
    np.testing.assert_allclose(ours[..., :3], theirs[..., :3], rtol=1e-6)
    np.testing.assert_array_equal(ours[..., 3:].view(np.uint32), theirs[..., 3:].view(np.uint32))


@pytest.mark.parametrize('fields', ['xyzrgb', 'xyzrgb_compact', 'xyz'])
def test_a_rectified_frame_has_the_stages_window_marks_and_points(
    estimator: DepthEstimator, fields: str
) -> None:
    settings = Settings(cloud_stride=3, cloud_fields=fields)
    staged, whole = _both(estimator, _image('bgr8'), DISTORTED, settings)
    _assert_same(staged, whole)
    assert np.isnan(whole.depth).any() or staged.camera is not None
    assert staged.points is not None and whole.points is not None
    assert whole.points.layout == staged.points.layout
    assert whole.points.data.shape == staged.points.data.shape
    if fields != 'xyz':
        offset = dict(whole.points.layout.offsets)['rgb']
        step = whole.points.layout.step
        colours = [
            each.data.reshape(-1, step)[:, offset : offset + 4].astype(int)
            for each in (staged.points, whole.points)
        ]
        assert np.abs(colours[0] - colours[1]).max() <= 1


def test_depth_jumps_stay_sharp(estimator: DepthEstimator) -> None:
    disparity = np.full((64, 96), 0.05, np.float32)
    disparity[:, 40:] = 0.6
    engine = estimator.engine
    step = torch.from_numpy(disparity)[None, None]
    frames = _frames(estimator)
    patched = pytest.MonkeyPatch()
    with patched.context() as patch:
        patch.setattr(engine, 'network', lambda image: step)
        whole = FramePipeline(estimator, Settings(), device_frames=frames)
        depth = whole.process(_image(), None, Wanted(depth=True)).depth
    assert depth is not None
    expected = estimator.depth(disparity, height=HEIGHT, width=WIDTH)
    np.testing.assert_allclose(depth, expected, rtol=1e-5)
    assert len(np.unique(depth.round(4))) == 2


def test_a_new_size_makes_a_new_program_and_the_oldest_go(estimator: DepthEstimator) -> None:
    frames = _frames(estimator)
    pipeline = FramePipeline(estimator, Settings(), device_frames=frames)
    for width in (100, 102, 104, 106, 108, 100, 100):
        products = pipeline.process(_image(width=width), None, Wanted(depth=True))
        assert products.depth is not None
        assert products.depth.shape == (HEIGHT, width)
    assert len(frames) == 4


def test_a_closed_pipeline_keeps_no_program(estimator: DepthEstimator) -> None:
    frames = _frames(estimator)
    pipeline = FramePipeline(estimator, Settings(), device_frames=frames)
    pipeline.process(_image(), None, Wanted(depth=True))
    assert len(frames) == 1
    pipeline.close()
    assert len(frames) == 0
    FramePipeline(estimator, Settings()).close()


def test_what_a_program_cannot_do_is_left_to_the_stages(estimator: DepthEstimator) -> None:
    frames = _frames(estimator)
    assert frames.serve(Settings())
    assert not frames.serve(Settings(depth_size='network'))
    flipping = DepthEstimator(estimator.description, estimator.engine, flip=True)
    assert not _frames(flipping).serve(Settings())


def test_a_cpu_works_stage_by_stage(estimator: DepthEstimator) -> None:
    assert device_frames(estimator) is None
