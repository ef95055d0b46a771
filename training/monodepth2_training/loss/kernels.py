# SPDX-License-Identifier: Apache-2.0
"""How the objective's inner loops run: as they are written, or compiled by torch.compile.

Only small pure functions of tensors are compiled, each on its own: seconds together, where a
graph of the whole objective takes minutes. A second image size makes torch compile a version for
any size, so that odd batches do not compile again and again.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import torch

from monodepth2_ros.errors import first_line

P = ParamSpec('P')
T = TypeVar('T')
_log = logging.getLogger(__name__)


class Kernels:
    """Give a function itself, or its compiled form."""

    def __init__(self, *, compile: bool) -> None:
        """Compile where ``compile`` says so, and as long as there is a compiler."""
        self.compiles = compile
        self._compiled: dict[Callable[..., object], Callable[..., object]] = {}

    def __call__(self, function: Callable[P, T]) -> Callable[P, T]:
        """The function to call in place of ``function``."""
        return functools.partial(self._run, function) if self.compiles else function

    def _run(self, function: Callable[..., T], *args: object) -> T:
        """Call the compiled form; should it not come about, warn once and do without."""
        try:
            return self._compiled_form(function)(*args)
        except RuntimeError as error:
            if not _is_compile_failure(error):
                raise
            self.compiles = False
            _log.warning(
                'The loss runs uncompiled, which is slower and gives the same values: torch could '
                'not compile it (%s). It needs a C++ compiler (apt install g++) or, on a GPU, '
                'Triton; set optimisation.compile=never to do without on purpose.',
                first_line(error),
            )
            return function(*args)

    def _compiled_form(self, function: Callable[..., T]) -> Callable[..., T]:
        """The compiled form of a function, made at its first use."""
        if function not in self._compiled:
            self._compiled[function] = torch.compile(function)
        return cast('Callable[..., T]', self._compiled[function])


def _is_compile_failure(error: RuntimeError) -> bool:
    """Whether torch.compile raised an error, rather than what it ran."""
    # Imported late: it takes a second that nobody else has to spend.
    from torch._dynamo.exc import TorchDynamoException

    return isinstance(error, TorchDynamoException)


EAGER = Kernels(compile=False)
"""Runs everything as it is written."""
