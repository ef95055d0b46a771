# SPDX-License-Identifier: Apache-2.0
"""The processor of this machine: its name and what it can do, as Linux tells them."""

from __future__ import annotations

import hashlib
import os
import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FEATURES = ('flags', 'Features')
_SIBLINGS = Path('/sys/devices/system/cpu/smt/active')


@dataclass(frozen=True, kw_only=True)
class Processor:
    """A kind of processor."""

    name: str
    """The model, or the architecture where Linux tells no model."""
    features: frozenset[str]
    """What it can do, in Linux's words: ``avx2``, on Arm ``asimd``."""

    @property
    def fingerprint(self) -> str:
        """Name and features in short: code that was compiled for another one may crash."""
        digest = hashlib.sha256(' '.join(sorted(self.features)).encode()).hexdigest()
        return f'{self.name} {digest[:8]}'


@cache
def processor() -> Processor:
    """The processor that this process runs on."""
    path = Path('/proc/cpuinfo')
    return parse_cpuinfo(path.read_text(encoding='utf-8') if path.exists() else '')


def parse_cpuinfo(text: str) -> Processor:
    """Read the first processor in the text of ``/proc/cpuinfo``."""
    facts: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition(':')
        facts.setdefault(name.strip(), value.strip())
    features = next((facts[key] for key in _FEATURES if key in facts), '')
    return Processor(
        name=facts.get('model name') or platform.machine(), features=frozenset(features.split())
    )


def core_count() -> int:
    """Cores that this process may use, hardware threads counted singly."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cores_are_whole() -> bool:
    """Whether Linux says that no two of the cores are hardware threads of one."""
    return _SIBLINGS.exists() and _SIBLINGS.read_text().strip() == '0'
