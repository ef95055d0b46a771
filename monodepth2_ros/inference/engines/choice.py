# SPDX-License-Identifier: Apache-2.0
"""Choose the engine of a model and say why; an explicit wish is obeyed or refused.

``auto`` prefers TensorRT to PyTorch on a GPU and OpenVINO to PyTorch on a CPU, if they are
installed and load; TensorRT only with a plan that was exported for this GPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch

from monodepth2_ros.errors import ConfigError, DeviceError
from monodepth2_ros.inference.engines import (
    ENGINE_PRECISIONS,
    ENGINES,
    compiled,
    openvino,
    tensorrt,
)
from monodepth2_ros.inference.engines.device import choose_device, choose_precision
from monodepth2_ros.inference.engines.files import find_engine_file
from monodepth2_ros.inference.engines.openvino import OpenVinoEngine
from monodepth2_ros.inference.engines.tensorrt import TensorRtEngine
from monodepth2_ros.inference.engines.torch import TorchEngine

if TYPE_CHECKING:
    from monodepth2_ros.inference.engines import Engine
    from monodepth2_ros.inference.engines.files import EngineFile
    from monodepth2_ros.model_file import Model

PRECISIONS_OF = {
    'torch': ('float32', 'bfloat16', 'float16'),
    'openvino': ('float32', 'bfloat16', 'int8'),
    'tensorrt': ('float32', 'float16'),
}
"""The arithmetic that each engine has."""

MOST_THREADS = 256
"""More CPU threads than any library here makes use of."""

_PREFERENCE = {'cpu': ('openvino', 'torch'), 'cuda': ('tensorrt', 'torch')}


@dataclass(frozen=True, kw_only=True)
class EngineRequest:
    """What a user asks for."""

    engine: str = 'auto'
    """One of ``ENGINES``."""
    device: str = 'auto'
    """``auto``, ``cpu``, ``cuda`` or ``cuda:N``."""
    precision: str = 'auto'
    """One of ``ENGINE_PRECISIONS``."""
    threads: int = 0
    """CPU threads; 0 leaves the library's choice."""

    def __post_init__(self) -> None:
        """Refuse names that are not known and combinations that cannot be."""
        for name, choices in (('engine', ENGINES), ('precision', ENGINE_PRECISIONS)):
            if getattr(self, name) not in choices:
                raise ConfigError(
                    f'{name} {getattr(self, name)!r} is not known: expected one of '
                    f'{", ".join(choices)}'
                )
        if not 0 <= self.threads <= MOST_THREADS:
            raise ConfigError(
                f'threads {self.threads} is not usable: expected 0 (automatic) to {MOST_THREADS}'
            )
        offered = PRECISIONS_OF.get(self.engine, ENGINE_PRECISIONS)
        if self.precision != 'auto' and self.precision not in offered:
            raise ConfigError(
                f'engine {self.engine} has no {self.precision}: expected one of auto, '
                f'{", ".join(offered)}'
            )


@dataclass(frozen=True, kw_only=True)
class ChosenEngine:
    """An engine that is ready, and why it is this one."""

    engine: Engine
    """Owned by whoever asked."""
    device: torch.device
    """Where it runs."""
    reason: str
    """Why this device, this library and this arithmetic, in words."""


class _Unusable(Exception):
    """An engine cannot serve this request; the message says why, as part of a sentence."""


def build_engine(model: Model, request: EngineRequest) -> ChosenEngine:
    """Build the engine for a model.

    Raises:
        DeviceError: what was asked for cannot be used on this machine.
        ConfigError: the device is not known.
    """
    # OpenVINO runs on the CPU alone, so that asking for it is asking for the CPU.
    wish = 'cpu' if (request.engine, request.device) == ('openvino', 'auto') else request.device
    device, device_reason = choose_device(wish)
    if request.engine != 'auto':
        try:
            engine, reason = _build(request.engine, model, device, request)
        except _Unusable as err:
            raise DeviceError(f'engine {request.engine} cannot be used: {err}') from err
        reasons = [device_reason, f'{request.engine} was asked for', reason]
        return ChosenEngine(engine=engine, device=device, reason='; '.join(reasons))
    reasons = [device_reason]
    for name in _PREFERENCE[device.type]:
        try:
            engine, reason = _build(name, model, device, request)
        except (_Unusable, DeviceError) as err:
            reasons.append(f'not {name}: {err}')
            continue
        reasons += [
            f'{name} is the fastest engine left'
            if len(reasons) > 1
            else f'{name} is the fastest engine here',
            reason,
        ]
        return ChosenEngine(engine=engine, device=device, reason='; '.join(reasons))
    does = 'works' if request.precision == 'auto' else f'has {request.precision}'
    raise DeviceError(f'no engine {does} here: {"; ".join(reasons[1:])}')


def _build(
    name: str, model: Model, device: torch.device, request: EngineRequest
) -> tuple[Engine, str]:
    """Build one engine, and say what decided its arithmetic and where it comes from."""
    precision, reason = _precision(name, request.precision, device)
    if name == 'torch':
        engine, source = _torch(model, device, precision, request.threads)
    elif name == 'openvino':
        engine, source = _openvino(model, device, precision, request.threads)
    else:
        engine, source = _tensorrt(model, device, precision)
    return engine, '; '.join(part for part in (reason, source) if part)


def _precision(name: str, precision: str, device: torch.device) -> tuple[str, str]:
    """The arithmetic of one engine, and the reason for it."""
    if precision != 'auto':
        if precision not in PRECISIONS_OF[name]:
            raise _Unusable(f'it has no {precision}')
        return precision, f'{precision} was asked for'
    if name == 'tensorrt':
        return 'float16', 'float16, which every GPU of TensorRT multiplies fast'
    dtype, reason = choose_precision(precision, device)
    return str(dtype).removeprefix('torch.'), reason


def _torch(model: Model, device: torch.device, precision: str, threads: int) -> tuple[Engine, str]:
    """PyTorch: compiled if there is a package for this CPU, else layer by layer."""
    dtype: torch.dtype = getattr(torch, precision)
    if device.type == 'cuda':
        return TorchEngine(model.depth_net, device, dtype=dtype), ''
    found, why_not = find_engine_file(model, compiled.package_record(model, precision))
    make = partial(TorchEngine, model.depth_net, device, dtype=dtype, threads=threads)
    if found is not None:
        try:
            return make(package=found.path(compiled.SUFFIX)), _origin(found, why_not)
        except DeviceError as err:
            why_not = str(err)
    engine = make()
    return engine, f'not compiled: {why_not} (monodepth2 export --format torch makes one)'


def _openvino(
    model: Model, device: torch.device, precision: str, threads: int
) -> tuple[Engine, str]:
    """OpenVINO: converted ahead of time, or now."""
    if device.type != 'cpu':
        raise _Unusable(f'it runs on the CPU, not on {device}: choose device cpu or auto')
    missing = openvino.missing_openvino_reason()
    if missing:
        raise _Unusable(missing)
    record = openvino.openvino_record(model, precision)
    found, why_not = find_engine_file(model, record)
    if found is not None:
        engine = OpenVinoEngine(found.path('.xml'), precision=precision, threads=threads)
        return engine, _origin(found, why_not)
    if precision == 'int8':
        raise _Unusable(f'{why_not}; make one by monodepth2 export --format openvino --int8')
    network, kept = openvino.converted_now(model, record)
    engine = OpenVinoEngine(network, precision=precision, threads=threads)
    return engine, f'converted now: {why_not}; {kept}'


def _tensorrt(model: Model, device: torch.device, precision: str) -> tuple[Engine, str]:
    """TensorRT, which only runs what was built for this GPU."""
    if device.type != 'cuda':
        raise _Unusable(f'it runs on a GPU, not on the {device}')
    missing = tensorrt.missing_tensorrt_reason()
    if missing:
        raise _Unusable(missing)
    found, why_not = find_engine_file(model, tensorrt.plan_record(model, precision, device))
    if found is None:
        raise _Unusable(f'{why_not}; make one by monodepth2 export --format tensorrt')
    plan = found.path(tensorrt.SUFFIX)
    engine = TensorRtEngine(model, plan, device, precision=precision)
    return engine, _origin(found, why_not)


def _origin(found: EngineFile, passed_over: str) -> str:
    """Where the network that runs comes from, and why from no place nearer."""
    difference = found.record.mean_difference
    if difference is None:
        origin = 'made ready at an earlier start'
    else:
        origin = f'exported, {100.0 * difference:.2f} % from float32 on average'
    return f'{origin}; passed over: {passed_over}' if passed_over else origin
