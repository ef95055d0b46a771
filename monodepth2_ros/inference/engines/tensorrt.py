# SPDX-License-Identifier: Apache-2.0
"""Runs the depth network in TensorRT, from a plan that was built on this very GPU.

Building tries out kernels for a minute or more, so that it is left to ``monodepth2 export --format
tensorrt``; the node only loads what that made. Needs TensorRT 10 or 11 with its Python package.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from monodepth2_ros.errors import DeviceError
from monodepth2_ros.inference.engines.files import EngineRecord
from monodepth2_ros.inference.engines.network import example_image
from monodepth2_ros.inference.engines.program import Network, ProgramEngine
from monodepth2_ros.optional_packages import load_package, missing_package

if TYPE_CHECKING:
    from monodepth2_ros.model_file import Model

SUFFIX = '.plan'
"""How names of plans end."""

_INSTALL = 'pip install tensorrt, on a Jetson python3-libnvinfer'


def missing_tensorrt_reason() -> str:
    """Why TensorRT cannot be imported; empty if it can."""
    return missing_package('tensorrt', install=_INSTALL)


def load_tensorrt() -> Any:
    """Import TensorRT.

    Raises:
        DeviceError: it is not installed.
    """
    cannot = 'engine tensorrt cannot be used'
    return load_package('tensorrt', cannot=cannot, error=DeviceError, install=_INSTALL)


def plan_record(model: Model, precision: str, device: torch.device) -> EngineRecord:
    """What a plan of a model must have been made of to run on a GPU."""
    return EngineRecord(
        engine='tensorrt',
        precision=precision,
        model_sha256=model.sha256,
        library=f'tensorrt {load_tensorrt().__version__}',
        machine=torch.cuda.get_device_name(device),
    )


def build_plan(onnx: Path, target: Path, device: torch.device) -> None:
    """Build a plan for a GPU; the types of the ONNX model decide the arithmetic.

    Raises:
        DeviceError: TensorRT is missing, or cannot build this network.
    """
    tensorrt = load_tensorrt()
    # TensorRT times kernels on the current GPU.
    with torch.cuda.device(device):
        logger = tensorrt.Logger(tensorrt.Logger.WARNING)
        builder = tensorrt.Builder(logger)
        strongly_typed = 1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        network = builder.create_network(strongly_typed)
        parser = tensorrt.OnnxParser(network, logger)
        if not parser.parse(onnx.read_bytes()):
            raise DeviceError(f'TensorRT cannot read this network: {parser.get_error(0)}')
        config = builder.create_builder_config()
        # float32 is exact in every engine.
        config.clear_flag(tensorrt.BuilderFlag.TF32)
        plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise DeviceError('TensorRT cannot build this network; its own messages stand above')
    target.write_bytes(memoryview(plan))


class TensorRtEngine(ProgramEngine):
    """One plan on one GPU, captured as a graph."""

    def __init__(self, model: Model, plan: Path, device: torch.device, *, precision: str) -> None:
        """Load a plan.

        Raises:
            DeviceError: TensorRT is missing, or the plan cannot be loaded.
        """
        example = example_image(model.depth_net)
        network = _network(plan, example.shape, device)
        super().__init__(network, example, device, name=f'tensorrt {precision}')


def _network(plan: Path, shape: torch.Size, device: torch.device) -> Network:
    """The plan as a function of tensors on the GPU, which are named as the export names them."""
    tensorrt = load_tensorrt()
    # TensorRT loads to the current GPU.
    with torch.cuda.device(device):
        runtime = tensorrt.Runtime(tensorrt.Logger(tensorrt.Logger.WARNING))
        engine = runtime.deserialize_cuda_engine(plan.read_bytes())
        if engine is None:
            raise DeviceError(f'TensorRT cannot load {plan.name}: export the model again')
        context = engine.create_execution_context()
    if context is None:
        raise DeviceError(f'TensorRT cannot run {plan.name}: the GPU may have too little memory')
    batch, _, height, width = shape

    def run(image: torch.Tensor) -> torch.Tensor:
        planes = image.contiguous()
        result = torch.empty((batch, 1, height, width), device=device)
        context.set_tensor_address('image', planes.data_ptr())
        context.set_tensor_address('disparity', result.data_ptr())
        if not context.execute_async_v3(torch.cuda.current_stream(device).cuda_stream):
            raise DeviceError('TensorRT failed: export the model again')
        return result

    return run
