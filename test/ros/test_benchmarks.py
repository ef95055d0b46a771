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
    source = bench.run.Source.of_size('1242x375')
    results = bench.run.Results(command='run', model='a network', stage_source=source, bare=bare)
    page = bench.run.write(results, tmp_path).read_text()
    assert 'networks on cuda:0 (a GPU)\n' in page
    assert '| eager float32 (TF32 allowed), four scales |' in page


def test_the_page_compares_frames_a_second_and_what_a_busy_machine_costs(bench, tmp_path):
    source = bench.run.Source.of_size('640x480', jpeg=True)
    figures = sys.modules['live_traffic'].Figures

    def ran(ms, wall_s):
        return figures(latencies_ms=(ms,) * 10, sent=10, wall_s=wall_s, cpu_ms=ms)

    results = bench.run.Results(command='run', model='a network', stage_source=source)
    results.without_pause = {('depth', source): ran(20.0, 0.2), ('plain', source): ran(100.0, 1.1)}
    results.busy = {'depth': (ran(20.0, 0.2), ran(50.0, 0.5))}
    results.stages = {'stage infer (ms)': 'p50 15.0'}
    page = bench.run.write(results, tmp_path).read_text()
    assert '| 640x480 JPEG | 50.0 | 9.1 | **5.5** | 20.0 | 0 | 0 |' in page
    assert '| depth | 20.0 | 50.0 | 50.0 | **2.5** |' in page
    assert '## Stages of 640x480 JPEG' in page
