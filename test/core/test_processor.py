# SPDX-License-Identifier: Apache-2.0
import platform

from monodepth2_ros.processor import Processor, parse_cpuinfo, processor

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
