# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

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
