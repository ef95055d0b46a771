# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny_model import write_tiny_model

from monodepth2_ros.errors import ConfigError, DeviceError, ModelFileError
from monodepth2_ros.geometry.camera import Window
from monodepth2_ros.inference.engines import device as device_module
from monodepth2_ros.inference.engines.device import choose_device, choose_precision
from monodepth2_ros.inference.engines.folding import fold_batch_norms
from monodepth2_ros.inference.engines.torch import TorchEngine
from monodepth2_ros.inference.estimator import DepthEstimator
from monodepth2_ros.inference.postprocess import merge_flipped
from monodepth2_ros.model_description import ModelDescription, Scale
from monodepth2_ros.model_file import load_model
from monodepth2_ros.networks.depth_net import DepthNet, DepthNetConfig

WIDTH, HEIGHT = 96, 64


@pytest.fixture(scope='module')
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp('model') / 'tiny.safetensors')


@pytest.fixture(scope='module')
def estimator(model_path: Path) -> DepthEstimator:
    return DepthEstimator.load(model_path, device='cpu')


@pytest.fixture(scope='module')
def flipping(model_path: Path) -> DepthEstimator:
    return DepthEstimator.load(model_path, device='cpu', flip=True)


@pytest.fixture(scope='module')
def trained_net() -> DepthNet:
    """A network whose normalisations are not the identity and whose disparity varies."""
    torch.manual_seed(3)
    net = DepthNet(DepthNetConfig(width=WIDTH, height=HEIGHT)).train()
    with torch.no_grad():
        for _ in range(4):
            net(torch.rand(2, 3, HEIGHT, WIDTH))
        net.decoder.heads['0'].weight.mul_(20.0)
    return net.eval()


def _picture(height: int = 75, width: int = 124) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (height, width, 3), dtype=np.uint8)


class FixedEngine:
    """Answers every image with the same disparity."""

    name = device_name = 'fixed'

    def __init__(self, disparity: np.ndarray) -> None:
        self.disparity = disparity
        self.seen: list[torch.Tensor] = []

    def infer(self, image: torch.Tensor) -> np.ndarray:
        self.seen.append(image)
        return self.disparity

    def memory_bytes(self) -> int:
        return 0

    def close(self) -> None:
        self.disparity = np.zeros((0, 0), np.float32)


def _fixed(disparity: np.ndarray, *, scale: Scale | None = None) -> DepthEstimator:
    config = DepthNetConfig(width=WIDTH, height=HEIGHT)
    description = ModelDescription(network=config, scale=scale)
    return DepthEstimator(description, FixedEngine(disparity))


def test_disparity_is_what_the_plain_network_computes(
    estimator: DepthEstimator, model_path: Path
) -> None:
    rgb = _picture(HEIGHT, WIDTH)
    with torch.inference_mode():
        image = torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255.0
        expected = load_model(model_path).depth_net(image)[0][0, 0].numpy()
    disparity = estimator.disparity(rgb)
    assert disparity.shape == (HEIGHT, WIDTH)
    assert disparity.dtype == np.float32
    np.testing.assert_allclose(disparity, expected, atol=2e-6)


def test_folding_keeps_the_function(trained_net: DepthNet) -> None:
    engine = TorchEngine(trained_net, torch.device('cpu'))
    image = torch.randint(0, 256, (1, 3, HEIGHT, WIDTH), dtype=torch.uint8)
    with torch.inference_mode():
        expected = trained_net.finest(image.float() / 255.0)[0, 0].numpy()
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(engine.infer(image), expected, atol=5e-6)


def test_folding_leaves_no_normalisation_and_the_engine_leaves_its_network_alone() -> None:
    net = DepthNet(DepthNetConfig(encoder='resnet50', width=64, height=64)).eval()
    before = len(net.state_dict())
    TorchEngine(net, torch.device('cpu'))
    assert len(net.state_dict()) == before
    fold_batch_norms(net)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in net.modules())


def test_bfloat16_changes_depth_by_less_than_half_a_percent_on_average(
    trained_net: DepthNet,
) -> None:
    cpu = torch.device('cpu')
    image = torch.randint(0, 256, (1, 3, HEIGHT, WIDTH), dtype=torch.uint8)
    exact = 0.01 + 9.99 * TorchEngine(trained_net, cpu).infer(image)
    engine = TorchEngine(trained_net, cpu, dtype=torch.bfloat16)
    rough = 0.01 + 9.99 * engine.infer(image)
    error = np.abs(exact / rough - 1.0).mean()
    assert engine.name == 'torch bfloat16'
    assert 1e-6 < error < 5e-3


def test_depth_has_the_images_size_and_the_formulas_value() -> None:
    depth = _fixed(np.full((HEIGHT, WIDTH), 0.5, np.float32)).infer(_picture())
    assert depth.shape == (75, 124)
    assert depth.dtype == np.float32
    np.testing.assert_allclose(depth, 1.0 / (0.01 + 9.99 * 0.5), rtol=1e-6)


def test_scale_comes_from_the_model_unless_the_caller_gives_one() -> None:
    disparity = np.full((HEIGHT, WIDTH), 0.5, np.float32)
    unit = 1.0 / (0.01 + 9.99 * 0.5)
    scale = Scale(value=5.4, spread=0.0, frames=0, method='stereo baseline')
    scaled = _fixed(disparity, scale=scale)
    np.testing.assert_allclose(scaled.infer(_picture()), 5.4 * unit, rtol=1e-6)
    np.testing.assert_allclose(scaled.infer(_picture(), scale=2.0), 2.0 * unit, rtol=1e-6)


def test_outside_the_window_depth_is_unknown_and_inside_it_is_the_windows_own() -> None:
    disparity = np.linspace(0.1, 0.9, WIDTH, dtype=np.float32)[None].repeat(HEIGHT, 0)
    window = Window(x=20, y=5, width=80, height=60)
    rgb = _picture()
    depth = _fixed(disparity).infer(rgb, window=window)
    part = _fixed(disparity).infer(np.ascontiguousarray(rgb[5:65, 20:100]))
    np.testing.assert_array_equal(depth[5:65, 20:100], part)
    assert np.isnan(depth).sum() == depth.size - 80 * 60


def test_two_answers_do_not_share_memory() -> None:
    disparity = np.full((HEIGHT, WIDTH), 0.5, np.float32)
    estimator = _fixed(disparity)
    first = estimator.infer(_picture(HEIGHT, WIDTH))
    first[:] = 0.0
    np.testing.assert_array_equal(disparity, 0.5)
    assert estimator.infer(_picture(HEIGHT, WIDTH)).min() > 0.1


def test_flip_merges_the_answers_to_the_image_and_to_its_mirror(
    estimator: DepthEstimator, flipping: DepthEstimator
) -> None:
    rgb = _picture(HEIGHT, WIDTH)
    expected = merge_flipped(
        estimator.disparity(rgb), estimator.disparity(np.ascontiguousarray(rgb[:, ::-1]))
    )
    np.testing.assert_allclose(flipping.disparity(rgb), expected, atol=1e-6)


def test_flip_answers_a_mirrored_image_with_the_mirrored_disparity(
    flipping: DepthEstimator,
) -> None:
    rgb = _picture(HEIGHT, WIDTH)
    mirrored = flipping.disparity(np.ascontiguousarray(rgb[:, ::-1]))
    middle = slice(WIDTH // 8, -WIDTH // 8)
    np.testing.assert_allclose(
        flipping.disparity(rgb)[:, middle], mirrored[:, ::-1][:, middle], atol=1e-6
    )


def test_warming_up_runs_the_network_at_its_own_size() -> None:
    estimator = _fixed(np.full((HEIGHT, WIDTH), 0.5, np.float32))
    estimator.warm_up()
    assert [tuple(image.shape) for image in estimator.engine.seen] == [(1, 3, HEIGHT, WIDTH)]


def test_a_closed_estimator_says_so(model_path: Path) -> None:
    estimator = DepthEstimator.load(model_path, device='cpu')
    estimator.close()
    estimator.close()
    with pytest.raises(DeviceError, match='closed: load the model again'):
        estimator.disparity(_picture())


def test_a_wrong_model_file_is_refused_as_such(tmp_path: Path) -> None:
    path = tmp_path / 'page.safetensors'
    path.write_text('<html>not found</html>')
    with pytest.raises(ModelFileError, match=r'page\.safetensors'):
        DepthEstimator.load(path, device='cpu')


def test_the_device_and_the_reason_for_it_are_told(estimator: DepthEstimator) -> None:
    assert estimator.device == 'cpu'
    asked = 'the CPU was asked for; torch was asked for; float32 was asked for; '
    assert estimator.device_reason.startswith(f'{asked}not compiled: there is no tiny.torch-')
    assert estimator.engine.name == 'torch float32'
    assert estimator.engine.device_name.startswith('cpu (')


@pytest.mark.parametrize('size', [(1, 1), (2, 3), (1, 500), (500, 2)])
def test_tiny_and_thin_images_get_depth_of_their_own_size(size: tuple[int, int]) -> None:
    estimator = _fixed(np.full((HEIGHT, WIDTH), 0.5, np.float32))
    depth = estimator.infer(np.zeros((*size, 3), np.uint8))
    assert depth.shape == size
    assert np.isfinite(depth).all()


@pytest.mark.skipif(sys.platform != 'linux', reason='memory is read from /proc')
def test_memory_is_that_of_the_process(estimator: DepthEstimator) -> None:
    assert 50e6 < estimator.engine.memory_bytes() < 100e9


@pytest.mark.skipif(torch.cuda.is_available(), reason='needs a machine without a usable GPU')
def test_without_a_gpu_auto_takes_the_cpu_with_the_reason_and_cuda_is_refused_with_it() -> None:
    device, reason = choose_device('auto')
    assert device == torch.device('cpu')
    assert reason.startswith('no GPU can be used: ')
    cause = reason.removeprefix('no GPU can be used: ')
    assert cause
    with pytest.raises(DeviceError, match="'cuda:0' cannot be used") as refusal:
        choose_device('cuda:0')
    assert cause in str(refusal.value)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_module, 'missing_cuda_reason', lambda index=0: '')
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    monkeypatch.setattr(torch.cuda, 'get_device_name', lambda index: f'GPU {index}')
    monkeypatch.setattr(
        torch.cuda, 'get_device_capability', lambda device: (8 + (device.index or 0), 0)
    )


@pytest.mark.usefixtures('two_gpus')
def test_with_gpus_auto_takes_the_first_and_a_number_takes_that_one() -> None:
    assert choose_device('auto') == (torch.device('cuda', 0), 'a GPU was found: GPU 0')
    assert choose_device('cuda')[0] == torch.device('cuda', 0)
    assert choose_device('cuda:1') == (torch.device('cuda', 1), "'cuda:1' was asked for")
    assert choose_device('cpu')[0] == torch.device('cpu')
    with pytest.raises(DeviceError, match=r"'cuda:2' does not exist: .* cuda:0 to cuda:1"):
        choose_device('cuda:2')


@pytest.mark.usefixtures('two_gpus')
def test_precision_auto_takes_bfloat16_on_gpus_that_multiply_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu = torch.device('cuda', 0)
    assert choose_precision('auto', gpu) == (
        torch.bfloat16,
        'bfloat16, which the GPU multiplies fast',
    )
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda device: (7, 5))
    assert choose_precision('auto', gpu)[0] == torch.float32
    assert choose_precision('bfloat16', gpu)[0] == torch.bfloat16


def test_a_full_first_gpu_does_not_keep_the_second_from_being_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def zeros(size: int, device: torch.device) -> torch.Tensor:
        if not device.index:
            raise torch.cuda.OutOfMemoryError('CUDA out of memory.')
        return torch.ones(size)

    monkeypatch.setattr(torch, 'zeros', zeros)
    monkeypatch.setattr(torch.version, 'cuda', '13.0')
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    assert choose_device('cuda:1')[0] == torch.device('cuda', 1)
    with pytest.raises(DeviceError, match="'cuda:0' cannot be used: CUDA out of memory"):
        choose_device('cuda:0')


def test_a_torch_without_cuda_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, 'cuda', None)
    assert 'is built without CUDA' in choose_device('auto')[1]


def test_the_number_of_threads_is_obeyed(trained_net: DepthNet) -> None:
    before = torch.get_num_threads()
    try:
        engine = TorchEngine(trained_net, torch.device('cpu'), threads=1)
        assert engine.device_name == 'cpu (1 thread)'
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize('request_', ['gpu', 'cuda:', 'cuda:-1', '', 'CPU'])
def test_an_unknown_device_is_refused(request_: str) -> None:
    with pytest.raises(ConfigError, match='is not known: expected auto, cpu, cuda or cuda:N'):
        choose_device(request_)


@pytest.mark.parametrize('feature', ['amx_tile', 'avx512_bf16'])
def test_precision_auto_asks_the_hardware(feature: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ('amx_tile', 'avx512_bf16'):
        monkeypatch.setattr(torch.cpu, f'_is_{name}_supported', lambda: False, raising=False)
    assert choose_precision('auto', torch.device('cpu'))[0] == torch.float32
    monkeypatch.setattr(torch.cpu, f'_is_{feature}_supported', lambda: True, raising=False)
    chosen, reason = choose_precision('auto', torch.device('cpu'))
    assert chosen == torch.bfloat16
    assert 'the CPU' in reason


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ConfigError, match="'half' is not known: expected one of auto, float32"):
        choose_precision('half', torch.device('cpu'))


@pytest.mark.parametrize('threads', [-1, 257, 100_000])
def test_a_number_of_threads_that_cannot_be_meant_is_refused(
    model_path: Path, threads: int
) -> None:
    with pytest.raises(ConfigError, match=f'threads {threads} is not usable'):
        DepthEstimator.load(model_path, device='cpu', threads=threads)


def _out_of_memory(image: torch.Tensor) -> tuple[torch.Tensor, ...]:
    raise torch.cuda.OutOfMemoryError('CUDA out of memory.')


def test_a_full_gpu_is_named_with_the_inputs_size_and_the_free_memory(
    trained_net: DepthNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = TorchEngine(trained_net, torch.device('cpu'))
    monkeypatch.setattr(engine, '_run', _out_of_memory)
    monkeypatch.setattr(torch.cuda, 'mem_get_info', lambda device: (3 * 2**20, 8 * 2**20))
    with pytest.raises(DeviceError, match='inference at 96x64: 3 of 8 MiB are free'):
        engine.infer(torch.zeros((1, 3, HEIGHT, WIDTH), dtype=torch.uint8))


def _lost(image: torch.Tensor) -> tuple[torch.Tensor, ...]:
    raise RuntimeError('CUDA error: unspecified launch failure\nmore')


def test_a_lost_gpu_is_named_with_its_reason_and_a_cpu_error_passes_unchanged(
    trained_net: DepthNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = TorchEngine(trained_net, torch.device('cpu'))
    image = torch.zeros((1, 3, HEIGHT, WIDTH), dtype=torch.uint8)
    monkeypatch.setattr(engine, '_run', _lost)
    with pytest.raises(RuntimeError, match=r'^CUDA error'):
        engine.infer(image)
    monkeypatch.setattr(engine, 'device', torch.device('cuda', 0))
    with pytest.raises(DeviceError, match=r'cuda:0 failed while .*: CUDA error: .* failure; rest'):
        engine.infer(image)
