# SPDX-License-Identifier: Apache-2.0
"""What the engines that work on PyTorch's tensors share: running, capture, errors, memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from monodepth2_ros.errors import DeviceError
from monodepth2_ros.inference.engines.cuda_graph import Program, on_device
from monodepth2_ros.inference.engines.running import device_errors, exact_float32
from monodepth2_ros.memory import resident_bytes

Network = Callable[[torch.Tensor], torch.Tensor]
"""Disparity float32 [B, 1, h, w] of an image uint8 [B, 3, h, w], both on the engine's device."""


class ProgramEngine:
    """Runs one network on one device; on a GPU, as a captured graph.

    Attributes:
        device: where the network runs.
        network: the network itself, on that device; None after ``close``.
    """

    network: Network | None

    def __init__(
        self, network: Network, example: torch.Tensor, device: torch.device, *, name: str
    ) -> None:
        """Capture the network.

        Args:
            network: works on the device.
            example: an image on the host like all to come.
            device: where to run.
            name: library and arithmetic.

        Raises:
            DeviceError: the device has too little memory.
        """
        self.device = device
        self.network = network
        self._name = name
        with torch.inference_mode(), device_errors(device, 'loading the network'), exact_float32():
            self._run: Program = on_device(lambda image: (network(image),), (example,), device)

    @property
    def name(self) -> str:
        """Library and arithmetic."""
        return self._name

    @property
    def device_name(self) -> str:
        """The device in words."""
        if self.device.type == 'cuda':
            return f'{self.device} ({torch.cuda.get_device_name(self.device)})'
        threads = torch.get_num_threads()
        return f'cpu ({threads} thread{"s" if threads > 1 else ""})'

    def infer(self, image: torch.Tensor) -> NDArray[np.float32]:
        """Compute disparity float32 [h, w] of uint8 [1, 3, h, w]; see ``Engine.infer``."""
        self.open_network()
        work = f'inference at {image.shape[-1]}x{image.shape[-2]}'
        with torch.inference_mode(), device_errors(self.device, work), exact_float32():
            (disparity,) = self._run(image)
            return np.array(disparity[0, 0].numpy())

    def open_network(self) -> Network:
        """The network.

        Raises:
            DeviceError: the engine is closed.
        """
        if self.network is None:
            raise DeviceError(f'the engine on {self.device} is closed: load the model again')
        return self.network

    def memory_bytes(self) -> int:
        """Bytes of this process on a CPU (0 if the system does not say), of tensors on a GPU."""
        if self.device.type == 'cuda':
            return int(torch.cuda.memory_allocated(self.device))
        return resident_bytes()

    def close(self) -> None:
        """Free the network and its device memory."""
        self.network = None
        self._run = _closed
        if self.device.type == 'cuda':
            torch.cuda.empty_cache()


def _closed(*inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Stands for the program of a closed engine, so that nothing holds its memory."""
    raise DeviceError('the engine is closed: load the model again')
