# SPDX-License-Identifier: Apache-2.0
"""Runs verbs of the command line for benchmarks, each in a process of its own, as a user does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

PAIR_BASELINE_M = 0.54
"""Of a generated pair of cameras: about that of KITTI's."""


def call_verb(*arguments: str) -> None:
    """Run ``monodepth2`` with these arguments; end with it if it fails."""
    code = subprocess.run([sys.executable, '-m', 'monodepth2_training.cli', *arguments]).returncode
    if code:
        raise SystemExit(code)


def size_options(width: int, height: int) -> tuple[str, ...]:
    """The size of pictures, as options of ``generate`` and ``extract``."""
    return '--width', str(width), '--height', str(height)


def set_options(changes: Iterable[str]) -> tuple[str, ...]:
    """Changes of a configuration, as options of ``train``."""
    return tuple(word for change in changes for word in ('--set', change))


def generated_drive(
    out: Path, seed: int, *, frames: int, width: int, height: int, baseline_m: float = 0.0
) -> Path:
    """The bag of a generated drive in a folder, made unless it is there."""
    bag = out / f'drive_{seed}'
    if not bag.exists():
        size = size_options(width, height)
        world = ('--seed', str(seed), '--frames', str(frames), '--baseline-m', str(baseline_m))
        call_verb('generate', str(bag), *world, *size)
    return bag
