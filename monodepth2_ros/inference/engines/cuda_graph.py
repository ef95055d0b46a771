# SPDX-License-Identifier: Apache-2.0
"""Run a module of fixed shapes on a GPU as one captured graph, copies both ways included.

Launching the network's kernels one by one takes longer than computing them; a graph launches all
of them at once, on a stream of its own, between page-locked buffers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

Program = Callable[..., tuple[torch.Tensor, ...]]
"""Takes tensors of fixed shapes and gives tensors of fixed shapes."""

_WARM_UPS = 3


def on_device(program: Program, example: Sequence[torch.Tensor], device: torch.device) -> Program:
    """The program as it is on a CPU, captured on a GPU."""
    return program if device.type == 'cpu' else CapturedProgram(program, example, device)


class CapturedProgram:
    """A program on one GPU; belongs to the thread that built it."""

    def __init__(
        self, program: Program, example: Sequence[torch.Tensor], device: torch.device
    ) -> None:
        """Capture.

        Args:
            program: works on the device, without looking at values on the host.
            example: inputs of the shapes, types, layouts and devices of all to come.
            device: a CUDA device.
        """
        open_stream: Callable[..., Any] = torch.cuda.Stream
        self._device, self._stream = device, open_stream(device)
        self._given = [_kept(each) for each in example]
        inputs = [torch.empty_like(each, device=device) for each in example]
        # Streams and graphs touch the current GPU, too: another one may have no memory for that.
        with torch.cuda.device(device), torch.cuda.stream(self._stream):
            for _ in range(_WARM_UPS):
                outputs = _copied_run(program, self._given, inputs)
        self._stream.synchronize()
        self._results = [torch.empty_like(each, device='cpu').pin_memory() for each in outputs]
        self._graph = torch.cuda.CUDAGraph()
        # Another thread's calls, such as a diagnostic's look at free memory, may go on meanwhile.
        with (
            torch.cuda.device(device),
            torch.cuda.graph(self._graph, stream=self._stream, capture_error_mode='thread_local'),
        ):
            self._outputs = _copied_run(program, self._given, inputs)
            for result, output in zip(self._results, self._outputs, strict=True):
                result.copy_(output, non_blocking=True)
        self._inputs = inputs
        # A graph reads a program's weights and tables at their addresses and keeps none of them.
        self._program = program

    def __call__(self, *given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Run; the results, on the host, are valid until the next call."""
        with torch.cuda.device(self._device):
            # What lies on the GPU already may still be worked on there.
            self._stream.wait_stream(torch.cuda.current_stream(self._device))
            with torch.cuda.stream(self._stream):
                for place, each in zip(self._given, given, strict=True):
                    place.copy_(each)
                self._graph.replay()
        self._stream.synchronize()
        return tuple(self._results)


def _kept(example: torch.Tensor) -> torch.Tensor:
    """A copy that stays where it is: page-locked on the host, or on its device."""
    place = torch.empty_like(example)
    return (place.pin_memory() if example.device.type == 'cpu' else place).copy_(example)


def _copied_run(
    program: Program, given: Sequence[torch.Tensor], inputs: Sequence[torch.Tensor]
) -> tuple[torch.Tensor, ...]:
    """Upload the inputs and run."""
    for place, each in zip(inputs, given, strict=True):
        place.copy_(each, non_blocking=True)
    return program(*inputs)
