# SPDX-License-Identifier: Apache-2.0
"""A node in a process of its own: its end, its CPU time and its memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The project's folder, in which nodes are started."""


class NodeUnderTest:
    """A process with a node; ends with the block."""

    def __init__(self, command: Sequence[str], *, log: Path, prefix: Sequence[str] = ()) -> None:
        """Start Python with a command; ``prefix`` is put before it, as ``nice -n -10``."""
        self._log = log.open('w')
        self.started_s = time.monotonic()
        self._process = subprocess.Popen(
            [*prefix, sys.executable, *command],
            cwd=ROOT,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def __enter__(self) -> NodeUnderTest:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._log.close()

    def cpu_s(self) -> float:
        """CPU time of the process so far, all threads."""
        fields = Path(f'/proc/{self._process.pid}/stat').read_text().rpartition(')')[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def resident_mib(self) -> float:
        """Memory of the process."""
        pages = int(Path(f'/proc/{self._process.pid}/statm').read_text().split()[1])
        return pages * os.sysconf('SC_PAGESIZE') / 2**20

    def check(self) -> None:
        """End the benchmark with the node's own words if it has ended."""
        if self._process.poll() is not None:
            self._log.flush()
            raise SystemExit(f'the node has ended:\n{Path(self._log.name).read_text()[-2000:]}')
