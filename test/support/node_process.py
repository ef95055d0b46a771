# SPDX-License-Identifier: Apache-2.0
"""The executables of this package as processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from support.ros_harness import notify, wait_until

_ROOT = Path(__file__).parents[2]


class NodeProcess:
    """A running node executable with parameters; its output is kept line by line."""

    def __init__(self, module: str, *arguments: str, **parameters: object) -> None:
        command = [sys.executable, '-X', 'faulthandler', '-m', f'monodepth2_ros.nodes.{module}']
        command += ['--ros-args', *arguments]
        for name, value in parameters.items():
            command += ['-p', f'{name}:={value}']
        path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get('PYTHONPATH')]))
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {'PYTHONPATH': path, 'PYTHONUNBUFFERED': '1'},
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.lines.append(line)
            notify()

    def wait_line(self, part: str) -> str:
        """The first line that contains ``part``."""
        return wait_until(lambda: next((x for x in list(self.lines) if part in x), None))

    def end(self, number: signal.Signals, *, deadline_s: float) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(deadline_s)
        self._reader.join(deadline_s)
        return code

    def close(self) -> None:
        """End it if it still runs; killed, it would leave its shared memory behind."""
        try:
            self.end(signal.SIGTERM, deadline_s=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
