# SPDX-License-Identifier: Apache-2.0
"""Notes, on a machine without a GPU, what one would be waited for."""

from __future__ import annotations

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

_WAITS = ('_local_scalar_dense', '_linalg_check_errors', 'lift_fresh')
"""Reading a number, asking whether a matrix is singular, making a tensor of Python's numbers."""


class GpuWaits(TorchDispatchMode):
    """Notes while it is active what would wait.

    Attributes:
        found: names of operations.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in _WAITS:
            self.found.append(name)
        return func(*args, **kwargs or {})
