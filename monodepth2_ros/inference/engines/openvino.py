# SPDX-License-Identifier: Apache-2.0
"""Runs the depth network in OpenVINO on the CPU: the fastest engine there, and quick to load.

The converted network takes images as they lie in memory, uint8 [1, h, w, 3]. Importing OpenVINO
would send usage data to its maker; that is switched off here.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
import torch
from numpy.typing import NDArray

from monodepth2_ros.errors import DeviceError, first_line
from monodepth2_ros.inference.engines.files import (
    EngineRecord,
    cache_folder,
    write_engine_file,
)
from monodepth2_ros.inference.engines.network import InferenceNet, example_image
from monodepth2_ros.memory import resident_bytes
from monodepth2_ros.optional_packages import load_package, missing_package
from monodepth2_ros.processor import core_count, cores_are_whole

if TYPE_CHECKING:
    from monodepth2_ros.model_file import Model
    from monodepth2_ros.networks.depth_net import DepthNet

_ENCODER = '.net.encoder.'
_HINTS = {'float32': 'f32', 'bfloat16': 'bf16'}
_MAKE_ROOM = 'make room there, or name another folder by TMPDIR'
_CONVERTED: dict[str, tuple[Any, str]] = {}


def missing_openvino_reason() -> str:
    """Why OpenVINO cannot be used; empty if it can."""
    return missing_package('openvino')


def openvino_record(model: Model, precision: str) -> EngineRecord:
    """What a converted network of a model must have been made of to run here."""
    return EngineRecord(
        engine='openvino', precision=precision, model_sha256=model.sha256, library=''
    )


def load_openvino() -> Any:
    """Import OpenVINO without its telemetry.

    Raises:
        DeviceError: it is not installed.
    """
    modules: dict[str, Any] = sys.modules
    modules.setdefault('openvino_telemetry', None)
    return load_package('openvino', cannot='engine openvino cannot be used', error=DeviceError)


@cache
def openvino_core() -> Any:
    """OpenVINO's one core in this process, kept until it ends.

    A core that is freed can leave a thread with a stack for signals that is unmapped memory: the
    next signal, such as Ctrl-C, would crash the process.

    Raises:
        DeviceError: OpenVINO is not installed.
    """
    return load_openvino().Core()


def convert(depth_net: DepthNet, folder: Path) -> Path:
    """Convert a network from uint8 [1, h, w, 3] to disparity float32 [1, 1, h, w].

    Args:
        depth_net: on the CPU.
        folder: where the files are written.

    Returns:
        the ``.xml`` file, which has a ``.bin`` file beside it.

    Raises:
        DeviceError: OpenVINO is not installed, or the folder cannot be written.
    """
    openvino = load_openvino()
    path, network = folder / 'network.xml', _traced(openvino, depth_net)
    with writing(folder):
        openvino.save_model(network, str(path), compress_to_fp16=False)
        if not depth_net.encoder.bears_rounding:
            _keep_float32(path, _ENCODER)
    return path


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Say which temporary folder cannot be written and what to do; OpenVINO does not.

    Raises:
        DeviceError: instead of any error of writing.
    """
    try:
        yield
    except (RuntimeError, OSError) as err:
        raise DeviceError(
            f'a network for OpenVINO cannot be written to {folder} ({first_line(err)}): '
            f'{_MAKE_ROOM}'
        ) from err


def converted_now(model: Model, record: EngineRecord) -> tuple[Any, str]:
    """Convert a model and keep the files in the user's cache, so that the next start is faster.

    The last one stays in memory, too: torch's tracer never frees what it has traced, so that a
    node which cannot write its cache would grow each time it is configured.

    Args:
        model: with its network on the CPU.
        record: that of ``openvino_record``.

    Returns:
        the network as an ``openvino.Model``, and what became of the files, in words.

    Raises:
        DeviceError: OpenVINO is not installed, or there is no room for temporary files.
    """
    if model.sha256 not in _CONVERTED:
        try:
            with TemporaryDirectory(prefix='monodepth2_openvino_') as folder:
                path = convert(model.depth_net, Path(folder))
                found = openvino_core().read_model(str(path))
                kept = _keep_in_cache(model, record, path)
        except OSError as err:
            raise DeviceError(f'no temporary folder can be made ({err}): {_MAKE_ROOM}') from err
        _CONVERTED.clear()
        _CONVERTED[model.sha256] = found, kept
    return _CONVERTED[model.sha256]


def _keep_in_cache(model: Model, record: EngineRecord, path: Path) -> str:
    cache = cache_folder(model)
    if cache is None:
        return 'each start converts it anew, as this user has no home: set XDG_CACHE_HOME'
    files = {'.xml': path, '.bin': path.with_suffix('.bin')}
    try:
        write_engine_file(model, record, files, folder=cache)
    except OSError as err:
        return f'each start converts it anew, as {cache} cannot be written: {err}'
    return f'kept in {cache} for the next start'


def _traced(openvino: Any, depth_net: DepthNet) -> Any:
    """The network as an ``openvino.Model`` that takes images as they lie in memory."""
    net, image = InferenceNet(depth_net), example_image(depth_net)
    with warnings.catch_warnings():
        # The tracer warns of every Python number that it takes for a constant.
        warnings.simplefilter('ignore')
        converted = openvino.convert_model(net, example_input=image)
    converted.reshape({converted.inputs[0]: list(image.shape)})
    layouts = openvino.preprocess.PrePostProcessor(converted)
    layouts.input().tensor().set_layout(openvino.Layout('NHWC'))
    layouts.input().model().set_layout(openvino.Layout('NCHW'))
    return layouts.build()


def _keep_float32(path: Path, name: str) -> None:
    """Mark the layers with ``name`` in their names as not to be run in fewer bits."""
    document = ElementTree.parse(path)
    for layer in document.getroot().iter('layer'):
        if name in layer.attrib['name'] and layer.attrib['type'] != 'Const':
            info = layer.find('rt_info')
            if info is None:
                info = ElementTree.Element('rt_info')
                layer.insert(1 if layer.find('data') is not None else 0, info)
            ElementTree.SubElement(info, 'attribute', {'name': 'precise', 'version': '0'})
    document.write(path)


class OpenVinoEngine:
    """One converted network on the CPU."""

    def __init__(self, network: Any, *, precision: str, threads: int = 0) -> None:
        """Compile the network for this CPU.

        Args:
            network: an ``openvino.Model``, or the path of the ``.xml`` file from ``convert`` or
                of one made of it.
            precision: ``float32``, ``bfloat16``, or ``int8`` for a network that was quantised.
            threads: CPU threads; 0 leaves OpenVINO's choice.

        Raises:
            DeviceError: OpenVINO is not installed, or cannot run this network.
        """
        options = {'PERFORMANCE_HINT': 'LATENCY', 'NUM_STREAMS': 1}
        options['ENABLE_CPU_PINNING'] = _is_one_a_core(threads)
        if precision in _HINTS:
            options['INFERENCE_PRECISION_HINT'] = _HINTS[precision]
        if threads:
            options['INFERENCE_NUM_THREADS'] = threads
        try:
            compiled = openvino_core().compile_model(network, 'CPU', options)
            self._request: Any = compiled.create_infer_request()
        except RuntimeError as err:
            raise DeviceError(f'OpenVINO cannot run this network: {first_line(err)}') from err
        self._threads = int(compiled.get_property('INFERENCE_NUM_THREADS'))
        self._precision = precision

    @property
    def name(self) -> str:
        """Library and arithmetic."""
        return f'openvino {self._precision}'

    @property
    def device_name(self) -> str:
        """The device in words."""
        return f'cpu ({self._threads} thread{"s" if self._threads > 1 else ""})'

    def infer(self, image: torch.Tensor) -> NDArray[np.float32]:
        """Compute disparity float32 [h, w] of uint8 [1, 3, h, w]; see ``Engine.infer``."""
        if self._request is None:
            raise DeviceError('the engine on the cpu is closed: load the model again')
        pixels = image.permute(0, 2, 3, 1).contiguous().numpy()
        try:
            self._request.infer([pixels], share_inputs=True)
        except RuntimeError as err:
            raise DeviceError(f'OpenVINO failed: {first_line(err)}; load the model again') from err
        return np.array(self._request.get_output_tensor().data[0, 0], np.float32)

    def memory_bytes(self) -> int:
        """Bytes of this process (0 if the system does not say)."""
        return resident_bytes()

    def close(self) -> None:
        """Free the network."""
        self._request = None


def _is_one_a_core(threads: int) -> bool:
    """Whether so many threads, 0 for OpenVINO's choice, are one for each core of this process.

    Pinned, two of them never come to lie on one core and wait for each other there, as they do
    beside a busy program. Fewer threads of several processes would crowd on the same cores.
    """
    return threads == core_count() if threads else cores_are_whole()
