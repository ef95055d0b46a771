# SPDX-License-Identifier: Apache-2.0
"""Make a network in another format, compare it with the model, and only then keep it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import torch

from monodepth2_ros.atomic_file import write_atomically
from monodepth2_ros.errors import ConfigError, DeviceError, ExportError
from monodepth2_ros.inference.engines import compiled, openvino, tensorrt
from monodepth2_ros.inference.engines.choice import PRECISIONS_OF
from monodepth2_ros.inference.engines.device import choose_device, choose_precision
from monodepth2_ros.inference.engines.files import write_engine_file
from monodepth2_ros.inference.engines.network import InferenceNet, example_image
from monodepth2_ros.inference.engines.openvino import OpenVinoEngine
from monodepth2_ros.inference.engines.tensorrt import TensorRtEngine
from monodepth2_ros.inference.engines.torch import TorchEngine
from monodepth2_training.export.onnx import OnnxEngine, write_onnx
from monodepth2_training.export.parity import BOUNDS, Parity, measure_parity
from monodepth2_training.export.quantisation import quantise

if TYPE_CHECKING:
    from collections.abc import Callable

    from monodepth2_ros.inference.engines import Engine
    from monodepth2_ros.inference.engines.files import EngineRecord
    from monodepth2_ros.model_file import Model
    from monodepth2_training.export.frames import ExportFrames

FORMATS = {
    'torch': PRECISIONS_OF['torch'],
    'openvino': PRECISIONS_OF['openvino'],
    'tensorrt': PRECISIONS_OF['tensorrt'],
    'onnx': ('float32',),
}
"""What can be exported, and the arithmetic of each."""


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """What to make of a model."""

    format: str
    """One of ``FORMATS``."""
    precision: str = 'auto'
    """Arithmetic; ``auto`` is what the node takes on this machine."""
    out: Path | None = None
    """File of an ONNX model, folder of others; beside the model by default."""
    max_difference: float | None = None
    """Largest mean relative difference of depth; that of ``BOUNDS`` by default."""

    def __post_init__(self) -> None:
        """Refuse what cannot be made."""
        if self.format not in FORMATS:
            raise ConfigError(f'format {self.format!r} is not known: one of {", ".join(FORMATS)}')
        offered = ('auto', *FORMATS[self.format])
        if self.precision not in offered:
            raise ConfigError(
                f'format {self.format} has no {self.precision}: expected one of '
                f'{", ".join(offered)}'
            )
        if self.max_difference is not None and not self.max_difference > 0.0:
            raise ConfigError(f'largest difference {self.max_difference}: expected more than 0')


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written."""

    format: str
    """One of ``FORMATS``."""
    precision: str
    """Arithmetic."""
    files: tuple[str, ...]
    """Paths of all files."""
    parity: Parity
    """How close it is to the model."""
    frames: str
    """What it was compared on."""

    def document(self) -> dict[str, object]:
        """All of it, ready for JSON."""
        return asdict(self)

    def text(self) -> str:
        """All of it for people."""
        return '\n'.join(
            (
                f'{self.format} {self.precision}: {self.parity.text()}',
                f'compared on {self.parity.frames} frames of {self.frames}',
                *(f'wrote {file}' for file in self.files),
            )
        )


def export(model: Model, request: ExportRequest, frames: ExportFrames) -> Exported:
    """Export a model.

    Raises:
        ExportError: the result differs too much from the model, or a package is missing.
        DeviceError: an engine is missing, or the device fails.
        ConfigError: there is no C++ compiler, and this format needs one.
    """
    precision = _precision(request)
    with TemporaryDirectory(prefix='monodepth2_export_') as folder:
        files, engine, record = _MAKERS[request.format](model, precision, frames, Path(folder))
        parity = measure_parity(
            TorchEngine(model.depth_net, torch.device('cpu')),
            engine,
            frames.check,
            depth_range=model.description.depth_range,
            bound=request.max_difference or BOUNDS[precision],
        )
        engine.close()
        parity.check(f'{request.format} in {precision}')
        written = _keep(model, files, record, parity, request.out)
    return Exported(
        format=request.format,
        precision=precision,
        files=tuple(str(path) for path in written),
        parity=parity,
        frames=frames.origin,
    )


Made = tuple[dict[str, Path], 'Engine', 'EngineRecord | None']
"""Files by suffix, an engine that runs them, and what they are for the node."""


def _precision(request: ExportRequest) -> str:
    """The arithmetic that was asked for, or the one that the node takes on this machine."""
    if request.precision != 'auto':
        return request.precision
    if request.format == 'onnx':
        return 'float32'
    if request.format == 'tensorrt':
        return 'float16'
    return str(choose_precision('auto', torch.device('cpu'))[0]).removeprefix('torch.')


def _make_torch(model: Model, precision: str, frames: ExportFrames, folder: Path) -> Made:
    dtype: torch.dtype = getattr(torch, precision)
    package = folder / f'network{compiled.SUFFIX}'
    compiled.compile_package(
        InferenceNet(model.depth_net, dtype), example_image(model.depth_net), package
    )
    engine = TorchEngine(model.depth_net, torch.device('cpu'), dtype=dtype, package=package)
    record = compiled.package_record(model, precision)
    return {compiled.SUFFIX: package}, engine, record


def _make_openvino(model: Model, precision: str, frames: ExportFrames, folder: Path) -> Made:
    path = openvino.convert(model.depth_net, folder)
    if precision == 'int8':
        bears = model.depth_net.encoder.bears_rounding
        path = quantise(path, frames.calibration, folder / 'int8.xml', encoder=bears)
    engine = OpenVinoEngine(path, precision=precision)
    record = openvino.openvino_record(model, precision)
    return {'.xml': path, '.bin': path.with_suffix('.bin')}, engine, record


def _make_onnx(model: Model, precision: str, frames: ExportFrames, folder: Path) -> Made:
    path = folder / 'network.onnx'
    write_onnx(model, path)
    return {'.onnx': path}, OnnxEngine(path), None


def _make_tensorrt(model: Model, precision: str, frames: ExportFrames, folder: Path) -> Made:
    missing = tensorrt.missing_tensorrt_reason()
    if missing:
        raise DeviceError(f'a TensorRT plan is built where it shall run, but here {missing}')
    device, _ = choose_device('cuda')
    network, plan = folder / 'network.onnx', folder / f'network{tensorrt.SUFFIX}'
    write_onnx(model, network, dtype=getattr(torch, precision))
    tensorrt.build_plan(network, plan, device)
    engine = TensorRtEngine(model, plan, device, precision=precision)
    return {tensorrt.SUFFIX: plan}, engine, tensorrt.plan_record(model, precision, device)


_MAKERS: dict[str, Callable[[Model, str, ExportFrames, Path], Made]] = {
    'torch': _make_torch,
    'openvino': _make_openvino,
    'onnx': _make_onnx,
    'tensorrt': _make_tensorrt,
}


def _keep(
    model: Model,
    files: dict[str, Path],
    record: EngineRecord | None,
    parity: Parity,
    out: Path | None,
) -> list[Path]:
    """Bring finished files to where they belong."""
    try:
        if record is None:
            target = out or model.path.with_suffix('.onnx')
            write_atomically(target, files['.onnx'].read_bytes())
            return [target]
        complete = replace(record, mean_difference=parity.mean)
        kept = write_engine_file(model, complete, files, folder=out)
    except OSError as err:
        raise ExportError(f'the export cannot be written: {err}') from err
    return [kept.path(suffix) for suffix in (*files, '.json')]
