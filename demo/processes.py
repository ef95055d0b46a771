# SPDX-License-Identifier: Apache-2.0
"""Starts ROS nodes as processes of their own in a private domain, and ends every one of them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from demo.problems import DemoError

ROOT = Path(__file__).resolve().parents[1]
PROFILES = ROOT / 'config' / 'fastdds_large_messages.xml'

_DOMAINS = range(30, 60)
_PATIENCE_S = ((signal.SIGINT, 5.0), (signal.SIGTERM, 2.0), (signal.SIGKILL, 5.0))


class Node:
    """One running node; its output goes to a file."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.process = process
        self.log = log

    @property
    def status(self) -> int | None:
        """Exit status; None while it runs."""
        return self.process.poll()

    def text(self) -> str:
        """All that it has written so far."""
        return self.log.read_text(encoding='utf-8', errors='replace')

    def last_words(self, lines: int = 8) -> str:
        """The end of its output, indented."""
        return '\n'.join(f'    {line}' for line in self.text().splitlines()[-lines:])

    def end(self) -> None:
        """Ask it to stop, more and more firmly."""
        for number, patience_s in _PATIENCE_S:
            if self._wait(0.0):
                break
            self.send(number)
            if self._wait(patience_s):
                break
        self.send(signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process and its children."""
        try:
            os.killpg(self.process.pid, number)
        except (ProcessLookupError, PermissionError):
            return

    def _wait(self, patience_s: float) -> bool:
        try:
            self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            return False
        return True


class Nodes:
    """The nodes of one run; a context manager that leaves none behind."""

    def __init__(self, logs: Path, domain: int | None) -> None:
        self.domain = free_domain() if domain is None else domain
        self.running: list[Node] = []
        self._logs = logs
        self._logs.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Nodes:
        """Give itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """End all nodes."""
        for node in reversed(self.running):
            node.end()

    def start(self, name: str, parameters: Mapping[str, object]) -> Node:
        """Start ``monodepth2_ros.nodes.<name>`` with parameters."""
        command = [sys.executable, '-u', '-m', f'monodepth2_ros.nodes.{name}', '--ros-args']
        for key, value in parameters.items():
            command += ['-p', f'{key}:={as_yaml(value)}']
        log = self._logs / f'{name}.log'
        with log.open('wb') as output:
            process = subprocess.Popen(
                command,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        node = Node(name, process, log)
        self.running.append(node)
        return node

    def _environment(self) -> dict[str, str]:
        environment = dict(os.environ)
        paths = [str(ROOT), environment.get('PYTHONPATH', '')]
        environment['PYTHONPATH'] = os.pathsep.join(path for path in paths if path)
        environment['ROS_DOMAIN_ID'] = str(self.domain)
        environment['FASTDDS_DEFAULT_PROFILES_FILE'] = str(PROFILES)
        environment['FASTRTPS_DEFAULT_PROFILES_FILE'] = str(PROFILES)
        environment.setdefault('ROS_LOG_DIR', str(self._logs / 'ros'))
        if environment.get('ROS_DISTRO') == 'humble':
            environment['ROS_LOCALHOST_ONLY'] = '1'
        else:
            environment['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
        return environment


def free_domain() -> int:
    """A ROS domain in which nobody on this machine takes part.

    Raises:
        DemoError: all that were tried are taken.
    """
    first = os.getpid() + time.time_ns() // 1000
    for offset in range(len(_DOMAINS)):
        domain = _DOMAINS[(first + offset) % len(_DOMAINS)]
        if _is_free(domain):
            return domain
    raise DemoError(f'ROS domains {_DOMAINS[0]} to {_DOMAINS[-1]} are all taken: give --domain')


def _is_free(domain: int) -> bool:
    # The first participant of a domain listens on this port (DDS-RTPS 9.6.1.1).
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(('', 7410 + 250 * domain))
        except OSError:
            return False
    return True


def as_yaml(value: object) -> str:
    """A parameter value as the command line of a node takes it."""
    if isinstance(value, bool):
        return 'true' if value else 'false'
    if isinstance(value, (list, tuple)):
        return f'[{",".join(as_yaml(item) for item in value)}]'
    if isinstance(value, (str, Path)):
        return "'" + str(value).replace("'", "''") + "'"
    return str(value)
