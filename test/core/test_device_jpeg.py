# SPDX-License-Identifier: Apache-2.0
"""JPEGs decoded where depth is computed; here that is the CPU, through the same calls."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import simplejpeg
import torch
from numpy.typing import NDArray
from support.tiny_model import write_tiny_model

from monodepth2_ros.errors import ConfigError, DeviceError, ImageError
from monodepth2_ros.images import CompressedImage
from monodepth2_ros.inference import device_jpeg
from monodepth2_ros.inference.device_frames import DeviceFrames, device_frames
from monodepth2_ros.inference.device_jpeg import DeviceJpegDecoder
from monodepth2_ros.inference.engines.program import ProgramEngine
from monodepth2_ros.inference.estimator import DepthEstimator
from monodepth2_ros.inference.pipeline import FramePipeline, Settings, Wanted

pytestmark = pytest.mark.filterwarnings('ignore:The image decoding:DeprecationWarning')

CPU = torch.device('cpu')
WIDTH, HEIGHT = 150, 90


@pytest.fixture(scope='module')
def decoder() -> DeviceJpegDecoder:
    return DeviceJpegDecoder(CPU)


@pytest.fixture(scope='module')
def estimator(tmp_path_factory: pytest.TempPathFactory) -> DepthEstimator:
    path = write_tiny_model(tmp_path_factory.mktemp('model') / 'tiny.safetensors')
    return DepthEstimator.load(path, device='cpu', engine='torch')


def _picture() -> NDArray[np.uint8]:
    x, y = np.meshgrid(np.linspace(0, 6, WIDTH), np.linspace(0, 4, HEIGHT))
    waves = [np.sin(x + shift) * np.cos(y) for shift in range(3)]
    return (120.0 + 90.0 * np.dstack(waves)).astype(np.uint8)


def _message(data: bytes, form: str = 'jpeg') -> CompressedImage:
    return CompressedImage(format=form, data=data)


def _jpeg(colorspace: str = 'RGB') -> bytes:
    picture = _picture() if colorspace == 'RGB' else _picture()[:, :, :1].copy()
    return bytes(simplejpeg.encode_jpeg(picture, quality=95, colorspace=colorspace))


def _frames(estimator: DepthEstimator, decoder: DeviceJpegDecoder | None) -> DeviceFrames:
    assert isinstance(estimator.engine, ProgramEngine)
    return DeviceFrames(estimator, estimator.engine, decoder)


def _failing(words: str) -> Callable[..., torch.Tensor]:
    """A decoder that fails with these words."""

    def fail(*_: object, **__: object) -> torch.Tensor:
        raise RuntimeError(words)

    return fail


def test_rows_are_the_pictures(decoder: DeviceJpegDecoder) -> None:
    rows = decoder.rows(_message(_jpeg()), max_pixels=10**6)
    assert rows is not None and rows.shape == (HEIGHT, 3 * WIDTH) and rows.dtype == torch.uint8
    difference = rows.view(HEIGHT, WIDTH, 3).int().numpy() - _picture()
    assert np.abs(difference).mean() < 2.0


def test_a_grey_picture_has_three_equal_channels(decoder: DeviceJpegDecoder) -> None:
    rows = decoder.rows(_message(_jpeg('GRAY')), max_pixels=10**6)
    assert rows is not None
    red, green, blue = rows.view(HEIGHT, WIDTH, 3).unbind(2)
    assert torch.equal(red, green) and torch.equal(red, blue)


@pytest.mark.parametrize(
    ('message', 'max_pixels'),
    [
        (_message(b'\x89PNG\r\n\x1a\n'), 10**6),
        (_message(_jpeg('GRAY'), 'bayer_rggb8; jpeg compressed bgr8'), 10**6),
        (_message(_jpeg()[:-200]), 10**6),
        (_message(b'\xff\xd8\xff' + bytes(60)), 10**6),
        (_message(_jpeg()), WIDTH * HEIGHT - 1),
    ],
    ids=['png', 'mosaic', 'cut off', 'damaged header', 'too large'],
)
def test_all_but_whole_pictures_are_left_to_the_cpu(
    decoder: DeviceJpegDecoder, message: CompressedImage, max_pixels: int
) -> None:
    assert decoder.rows(message, max_pixels=max_pixels) is None


def test_depth_is_that_of_a_picture_decoded_on_the_cpu(
    estimator: DepthEstimator, decoder: DeviceJpegDecoder
) -> None:
    depths = []
    for chosen in (decoder, None):
        pipeline = FramePipeline(estimator, Settings(), device_frames=_frames(estimator, chosen))
        depths.append(pipeline.process(_message(_jpeg()), None, Wanted(depth=True)).depth)
    ours, expected = depths
    assert ours is not None and expected is not None
    assert np.abs(ours / expected - 1.0).mean() < 1e-2


def test_a_cut_off_picture_is_refused_by_the_cpus_decoder(
    estimator: DepthEstimator, decoder: DeviceJpegDecoder
) -> None:
    pipeline = FramePipeline(estimator, Settings(), device_frames=_frames(estimator, decoder))
    with pytest.raises(ImageError, match='cut short or damaged'):
        pipeline.process(_message(_jpeg()[:-200]), None, Wanted(depth=True))


def test_a_picture_that_the_device_cannot_decode_is_refused(
    decoder: DeviceJpegDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder, '_decode', _failing('nvjpegDecode failed: 6\nat line 3'))
    with pytest.raises(ImageError, match=r'cannot be decoded on cpu: nvjpegDecode failed: 6$'):
        decoder.rows(_message(_jpeg()), max_pixels=10**6)


def test_an_error_of_the_device_is_not_taken_for_one_of_the_picture(
    decoder: DeviceJpegDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        decoder, '_decode', _failing('CUDA error: an illegal memory access was encountered')
    )
    with pytest.raises(RuntimeError, match='illegal memory access'):
        decoder.rows(_message(_jpeg()), max_pixels=10**6)


def test_without_nvjpeg_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        'torchvision.io.decode_jpeg',
        _failing('decode_jpegs_cuda: torchvision not compiled with nvJPEG support'),
    )
    with pytest.raises(DeviceError, match='install its CUDA build, or set jpeg_decoder to cpu'):
        DeviceJpegDecoder(CPU)


def test_a_torchvision_without_decoders_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr('torchvision.io.decode_jpeg')
    with pytest.raises(DeviceError, match=r'cannot decode JPEGs on cpu \(.*decode_jpeg'):
        DeviceJpegDecoder(CPU)


def test_without_torchvision_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str, *, cannot: str, error: type[DeviceError]) -> None:
        raise error(f'{cannot}: Python has no {name}')

    monkeypatch.setattr(device_jpeg, 'load_package', load)
    with pytest.raises(DeviceError, match=r'JPEGs cannot be decoded: Python has no torchvision'):
        DeviceJpegDecoder(CPU)


def test_a_network_on_the_cpu_refuses_the_gpus_decoder(estimator: DepthEstimator) -> None:
    with pytest.raises(ConfigError, match=r'jpeg_decoder is gpu, and torch .* runs on cpu'):
        device_frames(estimator, jpeg_decoder='gpu')
    assert device_frames(estimator) is None
