# SPDX-License-Identifier: Apache-2.0
"""How the objective's inner loops run: as they are written, or compiled by torch.compile.

Only pure functions of tensors are compiled, each on its own and once a shape: they are a few
dozen lines together, where a graph of the whole objective takes minutes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

import torch

Kernel = TypeVar('Kernel', bound=Callable[..., object])
_log = logging.getLogger(__name__)


class Kernels:
    """Give a function itself, or its compiled form."""

    def __init__(self, *, compile: bool) -> None:
        """Compile where ``compile`` says so, and as long as there is a compiler."""
        self._compile = compile
        self._compiled: dict[Callable[..., object], Callable[..., object]] = {}

    def __call__(self, function: Kernel) -> Kernel:
        """The function to call in place of ``function``."""
        if not self._compile:
            return function
        if function not in self._compiled:
            self._compiled[function] = torch.compile(function, dynamic=False)
        return self._compiled[function]  # type: ignore[return-value]


EAGER = Kernels(compile=False)
