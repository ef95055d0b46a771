# SPDX-License-Identifier: Apache-2.0
"""What runs the network: the interface of every engine, and the choices it is made with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

ENGINES = ('auto', 'torch', 'openvino', 'tensorrt')
"""Libraries that can run the network; ``auto`` takes the fastest that this machine has."""

PRECISIONS = ('auto', 'float32', 'bfloat16')
"""Names of the arithmetic that PyTorch trains and runs networks in."""

ENGINE_PRECISIONS = (*PRECISIONS, 'float16', 'int8')
"""Names of the arithmetic that an engine can be asked for; not every engine has each."""


class Engine(Protocol):
    """Runs one depth network on one device; belongs to the thread that built it."""

    @property
    def name(self) -> str:
        """Library and arithmetic, such as ``torch float32``."""

    @property
    def device_name(self) -> str:
        """The device in words, such as ``cpu (2 threads)`` or ``cuda:0 (NVIDIA H100)``."""

    def infer(self, image: torch.Tensor) -> NDArray[np.float32]:
        """Compute disparity.

        Args:
            image: uint8 [1, 3, h, w] from ``network_input``.

        Returns:
            disparity float32 [h, w] in (0, 1), a new array.

        Raises:
            DeviceError: the device failed or its memory does not suffice.
        """

    def memory_bytes(self) -> int:
        """Memory in use: of this process on a CPU, of its tensors on a GPU."""

    def close(self) -> None:
        """Free the network and its device memory; the engine is of no use afterwards."""
