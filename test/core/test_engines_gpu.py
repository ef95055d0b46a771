# SPDX-License-Identifier: Apache-2.0
"""The engines of a GPU with stand-ins for CUDA's own calls and for TensorRT."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import DEFAULT, MagicMock

import pytest
import torch
from support.tiny_model import write_tiny_model

from monodepth2_ros.errors import DeviceError
from monodepth2_ros.inference.engines import choice
from monodepth2_ros.inference.engines.choice import EngineRequest, build_engine
from monodepth2_ros.inference.engines.cuda_graph import CapturedProgram
from monodepth2_ros.inference.engines.files import write_engine_file
from monodepth2_ros.inference.engines.tensorrt import TensorRtEngine, build_plan, plan_record
from monodepth2_ros.model_file import Model, load_model

CPU = torch.device('cpu')
GPU = torch.device('cuda', 1)


@pytest.fixture(autouse=True)
def current(monkeypatch: pytest.MonkeyPatch) -> list[torch.device]:
    """The GPU in use, if one was chosen; streams and graphs that do nothing."""
    devices: list[torch.device] = []

    @contextmanager
    def use(device: torch.device) -> Iterator[None]:
        devices.append(device)
        try:
            yield
        finally:
            devices.pop()

    monkeypatch.setattr(torch.cuda, 'device', use)
    stream = SimpleNamespace(synchronize=lambda: None, wait_stream=lambda other: None)
    monkeypatch.setattr(torch.cuda, 'current_stream', lambda device: stream)
    monkeypatch.setattr(torch.cuda, 'Stream', lambda device: stream)
    monkeypatch.setattr(torch.cuda, 'CUDAGraph', MagicMock())
    monkeypatch.setattr(torch.cuda, 'stream', nullcontext)
    monkeypatch.setattr(torch.cuda, 'graph', lambda graph, **options: nullcontext())
    monkeypatch.setattr(torch.Tensor, 'pin_memory', lambda tensor: tensor)
    return devices


@pytest.fixture
def tensorrt(monkeypatch: pytest.MonkeyPatch) -> MagicMock:
    """TensorRT on a GPU, where all calls succeed."""
    module = MagicMock(__version__='11.0', __spec__=ModuleSpec('tensorrt', None))
    monkeypatch.setitem(sys.modules, 'tensorrt', module)
    monkeypatch.setattr(choice, 'choose_device', lambda wish: (GPU, 'a GPU was found'))
    monkeypatch.setattr(choice, 'TorchEngine', lambda *_, **__: SimpleNamespace(name='torch'))
    monkeypatch.setattr(torch.cuda, 'get_device_name', lambda device: 'a GPU')
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda device: (9, 0))
    return module


@pytest.fixture
def model(tensorrt: MagicMock, tmp_path: Path) -> Model:
    """A model with a plan beside it."""
    path = write_tiny_model(tmp_path / 'tiny.safetensors', encoder='efficientnet_lite0')
    model, plan = load_model(path), tmp_path / 'plan'
    plan.write_bytes(b'a plan')
    write_engine_file(model, plan_record(model, 'float16', GPU), {'.plan': plan})
    return model


class _Shift(torch.nn.Module):
    """A program with a table, as that of a whole frame."""

    table: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer('table', torch.ones(2))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (image + self.table,)


def test_what_a_captured_graph_reads_lives_as_long_as_the_graph() -> None:
    program = _Shift()
    table = weakref.ref(program.table)
    captured = CapturedProgram(program, (torch.zeros(2),), CPU)
    del program
    assert table() is not None
    del captured
    assert table() is None


def test_capture_and_replay_leave_other_gpus_alone(
    current: list[torch.device], monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[list[torch.device]] = []

    def note(*_: object, **__: object) -> nullcontext[None]:
        used.append(list(current))
        return nullcontext()

    monkeypatch.setattr(torch.cuda, 'stream', note)
    monkeypatch.setattr(torch.cuda, 'graph', note)
    CapturedProgram(_Shift(), (torch.zeros(2),), CPU)(torch.zeros(2))
    assert used == 3 * [[CPU]]


def test_auto_passes_over_a_plan_that_does_not_load_and_a_wish_for_it_is_refused(
    model: Model, tensorrt: MagicMock
) -> None:
    runtime = tensorrt.Runtime.return_value
    runtime.deserialize_cuda_engine.return_value = None
    chosen = build_engine(model, EngineRequest())
    assert chosen.engine.name == 'torch'
    assert 'not tensorrt: TensorRT cannot load tiny.tensorrt-float16.plan' in chosen.reason
    with pytest.raises(DeviceError, match='TensorRT cannot load tiny'):
        build_engine(model, EngineRequest(engine='tensorrt'))


def test_a_plan_without_room_to_run_is_refused(model: Model, tensorrt: MagicMock) -> None:
    engine = tensorrt.Runtime.return_value.deserialize_cuda_engine.return_value
    engine.create_execution_context.return_value = None
    with pytest.raises(DeviceError, match=r'cannot run tiny.*: the GPU may have too little mem'):
        build_engine(model, EngineRequest(engine='tensorrt'))


def test_a_plan_is_built_and_loaded_on_the_gpu_that_was_named(
    model: Model,
    tensorrt: MagicMock,
    current: list[torch.device],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    used: list[list[torch.device]] = []

    def note(*_: object) -> object:
        used.append(list(current))
        return DEFAULT

    builder, runtime = tensorrt.Builder.return_value, tensorrt.Runtime.return_value
    engine = runtime.deserialize_cuda_engine.return_value
    builder.build_serialized_network.return_value = b'a plan'
    for call in (
        *(tensorrt.Builder, builder.build_serialized_network, tensorrt.Runtime),
        *(runtime.deserialize_cuda_engine, engine.create_execution_context),
    ):
        call.side_effect = note
    monkeypatch.setattr('monodepth2_ros.inference.engines.program.on_device', MagicMock())
    plan = tmp_path / 'tiny.plan'
    build_plan(model.path, plan, GPU)
    TensorRtEngine(model, plan, GPU, precision='float16')
    assert used == 5 * [[GPU]]


def test_a_plan_in_float32_has_no_tensor_float_32(tensorrt: MagicMock, tmp_path: Path) -> None:
    builder, network = tensorrt.Builder.return_value, tmp_path / 'network.onnx'
    builder.build_serialized_network.return_value = b'a plan'
    network.write_bytes(b'a network')
    build_plan(network, tmp_path / 'tiny.plan', GPU)
    config = builder.create_builder_config.return_value
    config.clear_flag.assert_called_once_with(tensorrt.BuilderFlag.TF32)
    assert builder.build_serialized_network.call_args.args[1] is config
