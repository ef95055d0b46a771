# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from monodepth2_ros import processor as processor_module
from monodepth2_ros.processor import (
    Processor,
    core_count,
    cores_are_whole,
    parse_cpuinfo,
    processor,
)

TWO_CORES = """processor\t: 0
model name\t: AMD EPYC 9R14
flags\t\t: fpu sse avx2

processor\t: 1
model name\t: another
flags\t\t: fpu
"""
ARM = 'processor\t: 0\nFeatures\t: fp asimd bf16\nCPU part\t: 0xd40\n'


def test_the_first_core_speaks_for_all() -> None:
    found = parse_cpuinfo(TWO_CORES)
    assert found == Processor(name='AMD EPYC 9R14', features=frozenset({'fpu', 'sse', 'avx2'}))


def test_an_arm_processor_without_a_name_is_called_by_its_architecture() -> None:
    found = parse_cpuinfo(ARM)
    assert found.name == platform.machine()
    assert found.features == {'fp', 'asimd', 'bf16'}


def test_a_system_that_tells_nothing_gives_no_features() -> None:
    assert parse_cpuinfo('') == Processor(name=platform.machine(), features=frozenset())


def test_the_fingerprint_follows_name_and_features_but_not_their_order() -> None:
    found = parse_cpuinfo(TWO_CORES)
    mixed = parse_cpuinfo(TWO_CORES.replace('fpu sse avx2', 'avx2 fpu sse'))
    fewer = parse_cpuinfo(TWO_CORES.replace(' avx2', ''))
    other = parse_cpuinfo(TWO_CORES.replace('9R14', '7R13'))
    assert found.fingerprint == mixed.fingerprint
    assert len({each.fingerprint for each in (found, fewer, other)}) == 3


def test_this_machine_has_a_name_and_stays_the_same() -> None:
    assert processor().name
    assert processor() is processor()


def test_cores_are_those_that_this_process_may_use() -> None:
    allowed = os.sched_getaffinity(0)
    assert core_count() == len(allowed)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert core_count() == 1
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.mark.parametrize(('text', 'whole'), [('0\n', True), ('1\n', False), (None, False)])
def test_cores_are_whole_where_linux_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, whole: bool
) -> None:
    path = tmp_path / 'active'
    if text is not None:
        path.write_text(text)
    monkeypatch.setattr(processor_module, '_SIBLINGS', path)
    assert cores_are_whole() is whole
