# SPDX-License-Identifier: Apache-2.0
"""The node's own test of the middleware: once, in processes beside it that give way to it."""

from __future__ import annotations

import os
import signal
import subprocess

from monodepth2_ros.delivery import Delivery, from_line
from monodepth2_ros.errors import ConfigError
from monodepth2_ros.health import Finding
from monodepth2_ros.nodes.middleware_check import command

_NICENESS = '10'

_END_S = 2.0
"""Time to end: a process that is killed leaves its shared memory behind."""


class SelfCheck:
    """Tests whether large messages get through with this process's environment; never waits."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._outcome: Delivery | None = None
        self._fault = ''

    def begin(self, message_bytes: int) -> None:
        """Start the test, unless that was done before."""
        if self._process is not None or self._fault:
            return
        try:
            self._process = subprocess.Popen(
                command(message_bytes, '--nice', _NICENESS),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
            )
        except OSError as err:
            self._fault = f'could not be started: {err}'

    def findings(self) -> list[Finding]:
        """What is to be said about the middleware: nothing while all is well or unknown."""
        self._collect()
        if self._outcome is None or self._outcome.arrives or not self._outcome.sent:
            return []
        return [self._outcome.finding()]

    def figures(self) -> dict[str, str]:
        """The state of the test, by the name that diagnostics show."""
        state = 'running' if self._process is not None else 'not run'
        text = self._outcome.summary() if self._outcome else self._fault or state
        return {'middleware check': text}

    def close(self) -> None:
        """End the test, with the process that it sends from, if it still runs."""
        if self._process is None or self._process.poll() is not None:
            return
        os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.communicate(timeout=_END_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.communicate()

    def _collect(self) -> None:
        """Take the outcome in as soon as it is there."""
        done = self._process is not None and self._process.poll() is not None
        if self._process is None or not done or self._outcome is not None or self._fault:
            return
        try:
            self._outcome = from_line(self._process.communicate()[0])
        except ConfigError as err:
            self._fault = f'gave no result: {err}'
