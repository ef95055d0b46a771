# SPDX-License-Identifier: Apache-2.0
"""Runs the depth network in PyTorch, on the CPU or on one CUDA device.

float32 is exact: TensorFloat-32 stays off, so that a GPU agrees with a CPU. In bfloat16 the last
convolution and the sigmoid stay float32; depth then differs by less than 0.5 % on average.

OpenMP threads spin while they wait, which on a shared machine costs others and the network itself
a multiple of the time saved; set OMP_WAIT_POLICY=passive before the process starts.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from resource import getpagesize
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from monodepth2_ros.errors import ConfigError, DeviceError
from monodepth2_ros.inference.engines.folding import fold_batch_norms

if TYPE_CHECKING:
    from monodepth2_ros.networks.depth_net import DepthNet

_MEBIBYTE = 2**20


class TorchEngine:
    """One depth network on one device; only the finest disparity is computed."""

    def __init__(
        self,
        depth_net: DepthNet,
        device: torch.device,
        *,
        dtype: torch.dtype = torch.float32,
        threads: int = 0,
    ) -> None:
        """Copy the network to the device.

        Args:
            depth_net: a network on the CPU; it stays as it is.
            device: where to run.
            dtype: float32 or bfloat16.
            threads: CPU threads for this process's networks; 0 leaves torch's choice.

        Raises:
            ConfigError: the number of threads is negative.
            DeviceError: the device has too little memory.
        """
        if threads < 0:
            raise ConfigError(f'threads {threads} is not usable: expected 0 (automatic) or more')
        if threads:
            torch.set_num_threads(threads)
        self._device = device
        self._dtype = dtype
        self._staging: torch.Tensor | None = None
        with _device_errors(device, 'loading the network'):
            self._net: DepthNet | None = _prepare(depth_net, device, dtype)

    @property
    def name(self) -> str:
        """Library and arithmetic."""
        return f'torch {str(self._dtype).removeprefix("torch.")}'

    @property
    def device_name(self) -> str:
        """The device in words."""
        if self._device.type == 'cuda':
            return f'{self._device} ({torch.cuda.get_device_name(self._device)})'
        threads = torch.get_num_threads()
        return f'cpu ({threads} thread{"s" if threads > 1 else ""})'

    def infer(self, image: torch.Tensor) -> NDArray[np.float32]:
        """Compute disparity float32 [h, w] of uint8 [1, 3, h, w]; see ``Engine.infer``."""
        if self._net is None:
            raise DeviceError(f'the engine on {self._device} is closed: load the model again')
        work = f'inference at {image.shape[-1]}x{image.shape[-2]}'
        with torch.inference_mode(), _device_errors(self._device, work):
            rgb = self._upload(image).to(torch.float32) / 255.0
            with _exact_float32():
                disparity = self._net.finest(rgb)
            return disparity[0, 0].float().cpu().numpy()

    def memory_bytes(self) -> int:
        """Bytes of this process on a CPU (0 if the system does not say), of tensors on a GPU."""
        if self._device.type == 'cuda':
            return int(torch.cuda.memory_allocated(self._device))
        statm = Path('/proc/self/statm')
        return int(statm.read_text().split()[1]) * getpagesize() if statm.exists() else 0

    def close(self) -> None:
        """Free the network and its device memory."""
        self._net = None
        self._staging = None
        if self._device.type == 'cuda':
            torch.cuda.empty_cache()

    def _upload(self, image: torch.Tensor) -> torch.Tensor:
        """Bring an image to the device, through page-locked memory for a GPU."""
        if self._device.type != 'cuda':
            return image
        if self._staging is None or self._staging.shape != image.shape:
            empty = torch.empty_like(image, memory_format=torch.channels_last)
            self._staging = empty.pin_memory()
        self._staging.copy_(image)
        return self._staging.to(self._device, non_blocking=True)


def _prepare(depth_net: DepthNet, device: torch.device, dtype: torch.dtype) -> DepthNet:
    """Copy a network, fold it, and bring it to its device, type and memory layout."""
    net: DepthNet = copy.deepcopy(depth_net)
    net.eval().requires_grad_(False)
    fold_batch_norms(net)
    if dtype != torch.float32:
        net.to(dtype)
        net.decoder.heads.float()
    net.to(device)
    net.to(memory_format=torch.channels_last)
    return net


@contextmanager
def _exact_float32() -> Iterator[None]:
    """Keep cuDNN's convolutions in float32 instead of TensorFloat-32."""
    cudnn = torch.backends.cudnn
    with cudnn.flags(
        enabled=cudnn.enabled,
        benchmark=cudnn.benchmark,
        deterministic=cudnn.deterministic,
        allow_tf32=False,
    ):
        yield


@contextmanager
def _device_errors(device: torch.device, work: str) -> Iterator[None]:
    """Turn CUDA's errors into DeviceError; a CPU's pass as they are."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as err:
        free, total = torch.cuda.mem_get_info(device)
        raise DeviceError(
            f'{device} ran out of memory while {work}: {free // _MEBIBYTE} of '
            f'{total // _MEBIBYTE} MiB are free; end other programs on this GPU or use a smaller '
            'model'
        ) from err
    except RuntimeError as err:
        if device.type != 'cuda':
            raise
        reason = str(err).splitlines()[0]
        raise DeviceError(
            f'{device} failed while {work}: {reason}; restart this process, and the machine if '
            'it fails again'
        ) from err
