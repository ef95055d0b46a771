# SPDX-License-Identifier: Apache-2.0
"""``make bench`` measures on the device that it was told, and says which that was."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / 'benchmarks'


@pytest.fixture
def bench(monkeypatch):
    """The program ``run`` for the second GPU, as a module and an object, and what it would run."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setattr(sys, 'argv', ['run.py', '--device=cuda:1', '--threads=3', '--model=m'])
    run, commands = import_module('run'), []
    starter = SimpleNamespace(run=lambda command, **_: commands.append(command))
    monkeypatch.setattr(run, 'subprocess', starter)
    return SimpleNamespace(
        run=run, one=run.Bench(run._arguments(), Path(), None), commands=commands
    )


def test_every_program_gets_the_device(bench):
    bench.one.engines()
    (engines,) = bench.commands
    assert engines[-4:] == ['--device', 'cuda:1', '--threads', '3']
    assert 'device:=cuda:1' in bench.one._command('depth', jpeg=False)
    assert bench.one._command('plain', jpeg=True)[1:] == ['m', 'cuda:1', 'jpeg']


def test_the_plain_node_is_where_openvino_is(bench, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['run.py', '--engine=openvino'])
    assert bench.run._arguments().device == 'cpu'


def test_the_page_names_the_device_and_the_plain_arithmetic(bench, tmp_path):
    times = {'p50_ms': 2.0, 'p90_ms': 3.0, 'cpu_ms': 1.0}
    bare = {'best': times, 'plain': times, 'engine': 'torch bfloat16'}
    bare |= {'device': 'cuda:0 (a GPU)', 'plain_arithmetic': 'float32 (TF32 allowed)'}
    results = bench.run.Results(command='run', model='a network', bare=bare)
    page = bench.run.write(results, tmp_path).read_text()
    assert 'networks on cuda:0 (a GPU)\n' in page
    assert '| eager float32 (TF32 allowed), four scales |' in page
