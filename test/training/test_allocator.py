# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import platform

import pytest
from support.python_process import run_python

CODE = """
import resource, sys
import torch
from monodepth2_training.allocator import keep_freed_memory

if 'keep' in sys.argv and not keep_freed_memory():
    sys.exit('this C library cannot be told')

def step():
    for _ in range(20):
        torch.ones(12_000_000)

step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _page_faults(*arguments: str) -> int:
    done = run_python(CODE, *arguments)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='not glibc')
def test_memory_that_was_freed_is_used_again_without_the_system() -> None:
    assert _page_faults('keep') < _page_faults() / 10
