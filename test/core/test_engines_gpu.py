# SPDX-License-Identifier: Apache-2.0
"""The engines of a GPU with stand-ins for CUDA's own calls."""

from __future__ import annotations

import weakref
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch

from monodepth2_ros.inference.engines.cuda_graph import CapturedProgram

CPU = torch.device('cpu')


@pytest.fixture(autouse=True)
def cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams and graphs that do nothing."""
    stream = SimpleNamespace(synchronize=lambda: None)
    monkeypatch.setattr(torch.cuda, 'Stream', lambda device: stream)
    monkeypatch.setattr(torch.cuda, 'CUDAGraph', SimpleNamespace)
    monkeypatch.setattr(torch.cuda, 'stream', nullcontext)
    monkeypatch.setattr(torch.cuda, 'graph', lambda graph, **options: nullcontext())
    monkeypatch.setattr(torch.Tensor, 'pin_memory', lambda tensor: tensor)


class _Shift(torch.nn.Module):
    """A program with a table, as that of a whole frame."""

    table: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer('table', torch.ones(2))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (image + self.table,)


def test_what_a_captured_graph_reads_lives_as_long_as_the_graph() -> None:
    program = _Shift()
    table = weakref.ref(program.table)
    captured = CapturedProgram(program, (torch.zeros(2),), CPU)
    del program
    assert table() is not None
    del captured
    assert table() is None
