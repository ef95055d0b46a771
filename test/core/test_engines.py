# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny_model import write_tiny_model

from monodepth2_ros.errors import ConfigError, DeviceError
from monodepth2_ros.inference.engines import compiled, files, openvino
from monodepth2_ros.inference.engines.choice import EngineRequest, build_engine
from monodepth2_ros.inference.engines.cuda_graph import on_device
from monodepth2_ros.inference.engines.files import EngineRecord, find_engine_file
from monodepth2_ros.inference.engines.network import InferenceNet, example_image
from monodepth2_ros.inference.engines.openvino import OpenVinoEngine
from monodepth2_ros.inference.engines.torch import TorchEngine
from monodepth2_ros.model_file import Model, load_model
from monodepth2_ros.networks.depth_net import DepthNet, DepthNetConfig

CPU = torch.device('cpu')
needs_openvino = pytest.mark.skipif(
    bool(openvino.missing_openvino_reason()), reason='openvino is not installed'
)


@pytest.fixture(scope='module')
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp('model') / 'tiny.safetensors')


@pytest.fixture
def model(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.setattr(openvino, '_CONVERTED', {})
    return load_model(shutil.copy(tiny, tmp_path))


@pytest.fixture(scope='module')
def converted(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return openvino.convert(load_model(tiny).depth_net, tmp_path_factory.mktemp('converted'))


@pytest.fixture(scope='module', params=['resnet18', 'efficientnet_lite0'])
def trained_net(request: pytest.FixtureRequest) -> DepthNet:
    """A network whose normalisations are not the identity and whose disparity varies."""
    torch.manual_seed(3)
    net = DepthNet(DepthNetConfig(encoder=request.param, width=96, height=64)).train()
    with torch.no_grad():
        for _ in range(4):
            net(torch.rand(2, 3, 64, 96))
        net.decoder.heads['0'].weight.mul_(20.0)
    return net.eval()


def _depth(disparity: np.ndarray) -> np.ndarray:
    return 1.0 / (0.01 + 9.99 * disparity.astype(np.float64))


def _mean_difference(exact: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(_depth(other) / _depth(exact) - 1.0).mean())


def _record(model: Model, **changes: str) -> EngineRecord:
    record = compiled.package_record(model, 'float32')
    return dataclasses.replace(record, **changes)


def _write(model: Model, record: EngineRecord, tmp_path: Path) -> files.EngineFile:
    source = tmp_path / 'source'
    source.write_bytes(b'a compiled network')
    return files.write_engine_file(model, record, {'.pt2': source})


@needs_openvino
@pytest.mark.parametrize(('precision', 'bound'), [('float32', 1e-5), ('bfloat16', 5e-3)])
def test_openvino_gives_the_depth_of_torch(
    trained_net: DepthNet, precision: str, bound: float, tmp_path: Path
) -> None:
    engine = OpenVinoEngine(
        openvino.convert(trained_net, tmp_path), precision=precision, threads=1
    )
    image = example_image(trained_net)
    exact = TorchEngine(trained_net, CPU).infer(image)
    assert np.ptp(exact) > 0.05
    assert _mean_difference(exact, engine.infer(image)) < bound
    assert (engine.name, engine.device_name) == (f'openvino {precision}', 'cpu (1 thread)')


@needs_openvino
@pytest.mark.parametrize(
    ('threads', 'whole', 'pinned'), [(0, True, 1), (0, False, 0), (3, False, 1), (2, True, 0)]
)
def test_openvino_pins_threads_that_are_one_for_each_core_and_no_caller(
    model: Model,
    converted: Path,
    monkeypatch: pytest.MonkeyPatch,
    threads: int,
    whole: bool,
    pinned: int,
) -> None:
    monkeypatch.setattr(openvino, 'core_count', lambda: 3)
    monkeypatch.setattr(openvino, 'cores_are_whole', lambda: whole)
    before = os.sched_getaffinity(0)
    engine = OpenVinoEngine(converted, precision='float32', threads=threads)
    engine.infer(example_image(model.depth_net))
    compiled_model = engine._request.get_compiled_model()
    assert compiled_model.get_property('ENABLE_CPU_PINNING') == pinned
    assert os.sched_getaffinity(0) == before


@needs_openvino
def test_a_closed_openvino_engine_says_so_and_its_answers_do_not_share_memory(
    trained_net: DepthNet, tmp_path: Path
) -> None:
    engine = OpenVinoEngine(openvino.convert(trained_net, tmp_path), precision='float32')
    image = example_image(trained_net)
    first = engine.infer(image)
    kept = first.copy()
    engine.infer(torch.zeros_like(image))
    np.testing.assert_array_equal(first, kept)
    engine.close()
    with pytest.raises(DeviceError, match='closed: load the model again'):
        engine.infer(image)


@needs_openvino
def test_importing_openvino_sends_no_usage_data() -> None:
    code = (
        'import sys\nfrom monodepth2_ros.inference.engines.openvino import load_openvino\n'
        "load_openvino()\nassert sys.modules['openvino_telemetry'] is None"
    )
    assert subprocess.run([sys.executable, '-c', code]).returncode == 0


_SIGNAL_AFTER_ENGINES = """
import os, signal
from monodepth2_ros.inference.engines.openvino import OpenVinoEngine, load_openvino
openvino = load_openvino()
image = openvino.opset13.parameter([1, 8, 8, 3])
network = openvino.Model([openvino.opset13.relu(image)], [image])
engines = [OpenVinoEngine(network, precision='float32') for _ in range(2)]
while engines:
    engines.pop(0).close()
signal.signal(signal.SIGUSR1, lambda *_: print('heard'))
os.kill(os.getpid(), signal.SIGUSR1)
"""


@needs_openvino
def test_a_signal_after_two_engines_were_freed_does_no_harm() -> None:
    command = [sys.executable, '-c', _SIGNAL_AFTER_ENGINES]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, 'heard\n')


def test_bfloat16_changes_depth_by_less_than_half_a_percent_with_every_encoder(
    trained_net: DepthNet,
) -> None:
    image = example_image(trained_net)
    exact = TorchEngine(trained_net, CPU).infer(image)
    rough = TorchEngine(trained_net, CPU, dtype=torch.bfloat16).infer(image)
    assert 1e-6 < _mean_difference(exact, rough) < 5e-3


def test_an_encoder_that_does_not_bear_rounding_stays_float32(trained_net: DepthNet) -> None:
    net = InferenceNet(trained_net, torch.bfloat16).net
    bears = trained_net.encoder.bears_rounding
    assert next(net.encoder.parameters()).dtype == (torch.bfloat16 if bears else torch.float32)
    assert next(net.decoder.stages.parameters()).dtype == torch.bfloat16
    assert next(net.decoder.heads.parameters()).dtype == torch.float32


@needs_openvino
def test_auto_takes_openvino_on_a_cpu_and_says_so(model: Model) -> None:
    chosen = build_engine(model, EngineRequest(device='cpu', precision='float32', threads=1))
    assert chosen.engine.name == 'openvino float32'
    assert 'openvino is the fastest engine here' in chosen.reason
    assert 'converted now: there is no tiny.openvino-float32.json' in chosen.reason


@needs_openvino
def test_openvino_converts_a_model_once_and_finds_it_at_the_next_start(model: Model) -> None:
    request = EngineRequest(engine='openvino', precision='float32', threads=1)
    first = build_engine(model, request)
    cache = files.engine_folders(model)[1]
    assert f'kept in {cache} for the next start' in first.reason
    second = build_engine(model, request)
    assert 'made ready at an earlier start' in second.reason
    image = example_image(model.depth_net)
    np.testing.assert_array_equal(first.engine.infer(image), second.engine.infer(image))
    weights = cache / 'tiny.openvino-float32.bin'
    weights.unlink()  # the running engine may have it mapped
    weights.write_bytes(b'damaged')
    assert 'is damaged' in build_engine(model, request).reason


@needs_openvino
def test_openvino_runs_where_nothing_can_be_kept(
    model: Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / 'file').touch()
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
    request = EngineRequest(engine='openvino', precision='float32', threads=1)
    for _ in range(2):
        assert 'each start converts it anew' in build_engine(model, request).reason


@needs_openvino
def test_openvino_runs_for_a_user_without_a_home(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_home() -> Path:
        raise RuntimeError('Could not determine home directory.')

    monkeypatch.delenv('XDG_CACHE_HOME')
    monkeypatch.setattr(Path, 'home', no_home)
    request = EngineRequest(engine='openvino', precision='float32', threads=1)
    assert 'as this user has no home: set XDG_CACHE_HOME' in build_engine(model, request).reason


@needs_openvino
def test_a_conversion_without_room_names_the_folder_and_the_way_out(
    model: Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path))
    request = EngineRequest(engine='openvino', precision='float32', threads=1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(DeviceError, match=rf'written to {tmp_path}/.*: make room .* TMPDIR'):
            build_engine(model, request)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path / 'missing'))
    with pytest.raises(DeviceError, match=r'no temporary folder can be made .* TMPDIR'):
        build_engine(model, request)


def test_auto_without_openvino_takes_torch_and_says_why(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino, 'missing_openvino_reason', lambda: 'there is none')
    request = EngineRequest(device='cpu', precision='float32')
    chosen = build_engine(model, request)
    assert chosen.engine.name == 'torch float32'
    assert 'not openvino: there is none; torch is the fastest engine left' in chosen.reason
    with pytest.raises(DeviceError, match='engine openvino cannot be used: there is none'):
        build_engine(model, dataclasses.replace(request, engine='openvino'))


def test_auto_passes_over_an_openvino_that_does_not_load_and_a_wish_for_it_is_refused(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'openvino.py').write_text("raise ImportError('libopenvino.so is not there')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, 'openvino', raising=False)
    request = EngineRequest(device='cpu', precision='float32')
    chosen = build_engine(model, request)
    assert chosen.engine.name == 'torch float32'
    assert re.search(r'not openvino: .* libopenvino\.so is not there; torch is', chosen.reason)
    with pytest.raises(DeviceError, match='openvino cannot be used: libopenvino'):
        build_engine(model, dataclasses.replace(request, engine='openvino'))


def test_where_nothing_loads_auto_says_why_of_each(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_engine(*_: object, **__: object) -> None:
        raise DeviceError('cpu ran out of memory')

    monkeypatch.setattr(openvino, 'missing_openvino_reason', lambda: 'there is none')
    monkeypatch.setattr('monodepth2_ros.inference.engines.choice.TorchEngine', no_engine)
    words = 'no engine works here: not openvino: there is none; not torch: cpu ran out of memory'
    with pytest.raises(DeviceError, match=words):
        build_engine(model, EngineRequest(device='cpu'))


@pytest.mark.parametrize(
    ('request_', 'words'),
    [
        (
            {'engine': 'openvino', 'precision': 'int8'},
            'monodepth2 export --format openvino --int8',
        ),
        ({'engine': 'tensorrt', 'device': 'cpu'}, 'it runs on a GPU, not on the cpu'),
        ({'engine': 'auto', 'device': 'cpu', 'precision': 'int8'}, 'no engine has int8 here'),
    ],
)
def test_an_engine_that_cannot_serve_is_refused_and_never_replaced(
    model: Model, request_: dict[str, str], words: str
) -> None:
    with pytest.raises(DeviceError, match=words):
        build_engine(model, EngineRequest(**request_))


@pytest.mark.parametrize(
    ('request_', 'words'),
    [
        ({'engine': 'onnx'}, "engine 'onnx' is not known: expected one of auto, torch"),
        ({'precision': 'half'}, "precision 'half' is not known"),
        ({'engine': 'torch', 'precision': 'int8'}, 'engine torch has no int8'),
        ({'engine': 'openvino', 'precision': 'float16'}, 'engine openvino has no float16'),
    ],
)
def test_unknown_names_and_combinations_are_refused(request_: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        EngineRequest(**request_)


def test_an_engine_file_beside_the_model_is_found(model: Model, tmp_path: Path) -> None:
    written = _write(model, _record(model), tmp_path)
    found, why_not = find_engine_file(model, _record(model))
    assert found == written
    assert why_not == ''
    assert written.path('.pt2') == model.path.parent / 'tiny.torch-float32.pt2'


def test_a_link_shares_the_engine_files_of_the_model_that_it_names(
    model: Model, tmp_path: Path
) -> None:
    links = []
    for folder in ('front', 'rear'):
        link = tmp_path / folder / 'current.safetensors'
        link.parent.mkdir()
        link.symlink_to(model.path)
        links.append(dataclasses.replace(model, path=link))
    written = _write(links[0], _record(model), tmp_path)
    assert written.path('.pt2') == model.path.parent / 'tiny.torch-float32.pt2'
    for each in (model, *links):
        assert find_engine_file(each, _record(model))[0] == written


def test_where_the_models_folder_cannot_be_written_engine_files_lie_in_the_cache(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = model.path.resolve().parent
    monkeypatch.setattr(files, '_writable', lambda folder: folder != beside)
    (tmp_path / 'cache' / 'monodepth2_ros' / model.sha256[:16]).mkdir(parents=True)
    written = _write(model, _record(model), tmp_path)
    assert written.stem.is_relative_to(tmp_path / 'cache')
    assert find_engine_file(model, _record(model))[0] == written


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'model_sha256': '0' * 64}, 'is of another model'),
        ({'library': 'torch 1.0'}, r'is of another version \(torch 1\.0, not torch'),
        ({'machine': 'a 6502'}, 'is of another processor'),
    ],
)
def test_a_foreign_engine_file_is_not_run_and_the_reason_is_said(
    model: Model, tmp_path: Path, changes: dict[str, str], words: str
) -> None:
    _write(model, _record(model, **changes), tmp_path)
    chosen = build_engine(model, EngineRequest(engine='torch', device='cpu', precision='float32'))
    assert chosen.engine.name == 'torch float32'
    assert re.search(words, chosen.reason)


@pytest.mark.parametrize('damaged', ['.pt2', '.json'])
def test_a_damaged_engine_file_is_not_run_and_is_replaced_by_the_next_export(
    model: Model, tmp_path: Path, damaged: str
) -> None:
    written = _write(model, _record(model), tmp_path)
    written.path(damaged).write_bytes(b'half a')
    chosen = build_engine(model, EngineRequest(engine='torch', device='cpu', precision='float32'))
    assert chosen.engine.name == 'torch float32'
    assert 'is damaged' in chosen.reason
    again = _write(model, _record(model), tmp_path)
    assert find_engine_file(model, _record(model))[0] == again


def test_a_damaged_export_is_named_though_the_cache_holds_another(
    model: Model, tmp_path: Path
) -> None:
    beside = _write(model, _record(model), tmp_path)
    cache = files.cache_folder(model)
    assert cache is not None
    source = {'.pt2': tmp_path / 'source'}
    kept = files.write_engine_file(model, _record(model), source, folder=cache)
    beside.path('.pt2').write_bytes(b'half a')
    found, passed_over = find_engine_file(model, _record(model))
    assert found == kept
    assert passed_over == 'tiny.torch-float32.pt2 is damaged'


@needs_openvino
def test_the_engines_reason_names_the_export_that_was_passed_over(model: Model) -> None:
    request = EngineRequest(engine='openvino', precision='float32')
    build_engine(model, request)
    beside = model.path.parent / 'tiny.openvino-float32.json'
    beside.write_text('half a')
    reason = build_engine(model, request).reason
    assert (
        'made ready at an earlier start; passed over: tiny.openvino-float32 is damaged' in reason
    )


def test_a_compiled_network_is_run_and_named(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(model, dataclasses.replace(_record(model), mean_difference=0.0012), tmp_path)
    answer = torch.full((1, 1, 64, 96), 0.5)
    monkeypatch.setattr(
        'monodepth2_ros.inference.engines.torch.load_package', lambda path: lambda image: answer
    )
    chosen = build_engine(model, EngineRequest(engine='torch', device='cpu', precision='float32'))
    assert chosen.engine.name == 'torch float32, compiled'
    assert 'exported, 0.12 % from float32 on average' in chosen.reason
    np.testing.assert_array_equal(chosen.engine.infer(example_image(model.depth_net)), 0.5)


def test_a_network_whose_compiled_form_does_not_load_runs_without_it(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> None:
        raise DeviceError(f'{path.name} does not load: no room')

    _write(model, _record(model), tmp_path)
    monkeypatch.setattr('monodepth2_ros.inference.engines.torch.load_package', fail)
    chosen = build_engine(model, EngineRequest(engine='torch', device='cpu', precision='float32'))
    assert chosen.engine.name == 'torch float32'
    assert 'does not load: no room' in chosen.reason


class _Half(torch.nn.Module):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image.float().mean(1, keepdim=True) / 2.0


def test_what_is_compiled_ahead_of_time_loads_and_computes_the_same(tmp_path: Path) -> None:
    image = torch.randint(0, 256, (1, 3, 8, 8), dtype=torch.uint8)
    try:
        compiled.compile_package(_Half(), image, tmp_path / 'half.pt2')
    except ConfigError as err:
        pytest.skip(str(err))
    network = compiled.load_package(tmp_path / 'half.pt2')
    torch.testing.assert_close(network(image), _Half()(image))


def test_without_a_compiler_compiling_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv('CXX', raising=False)
    monkeypatch.setattr(compiled.shutil, 'which', lambda name: None)
    with pytest.raises(ConfigError, match=r'needs a C\+\+ compiler: install g\+\+'):
        compiled.compile_package(_Half(), torch.zeros(1, 3, 8, 8), tmp_path / 'half.pt2')


def test_a_package_that_does_not_load_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / 'drive.pt2'
    path.write_bytes(b'no package')
    with pytest.raises(DeviceError, match=r'drive\.pt2 does not load'):
        compiled.load_package(path)


def test_on_a_cpu_a_program_runs_as_it_is() -> None:
    def program(image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (image + 1,)

    assert on_device(program, (torch.zeros(2),), CPU) is program
