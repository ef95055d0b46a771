# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import signal
import sys

import pytest
from support.python_process import run_python

from monodepth2_ros import programs

WITHOUT = 'import sys; sys.modules[sys.argv[1]] = None; from monodepth2_ros import programs'


@pytest.mark.parametrize('name', ['depth_node', 'player_node', 'recorder_node'])
def test_a_program_says_in_one_line_what_its_python_lacks(name: str) -> None:
    # They look for rclpy first.
    done = run_python(f'{WITHOUT}; sys.exit(programs.{name}())', 'rclpy')
    assert done.returncode == 1
    assert done.stderr == (
        f'{name}: {sys.executable} has no rclpy: run make venv and build with '
        '.venv/bin/python -m colcon (docs/deployment.md)\n'
    )


def test_a_program_ends_with_the_status_of_its_node(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip('rclpy', reason='the player imports rclpy')
    monkeypatch.setattr('monodepth2_ros.nodes.player_node.main', lambda: 7)
    assert programs.player_node() == 7


INTERRUPTED = """
import os, signal, sys, types
from monodepth2_ros import programs

def interrupted(name):
    os.kill(os.getpid(), signal.SIGINT)
    return types.SimpleNamespace(main=lambda: 7)

programs.import_module = interrupted
signal.signal(signal.SIGINT, getattr(signal, sys.argv[1]))
code = programs.depth_node()
sys.exit(code if signal.getsignal(signal.SIGINT) == getattr(signal, sys.argv[1]) else 8)
"""


def test_an_interrupt_while_modules_are_loaded_ends_the_process_without_a_traceback() -> None:
    done = run_python(INTERRUPTED, 'default_int_handler')
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, '', '')


def test_a_program_that_was_started_to_ignore_interrupts_goes_on() -> None:
    done = run_python(INTERRUPTED, 'SIG_IGN')
    assert (done.returncode, done.stdout, done.stderr) == (7, '', '')
