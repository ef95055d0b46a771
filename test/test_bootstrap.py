# SPDX-License-Identifier: Apache-2.0
"""What becomes of a .venv that is there, by what it was built from."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[1] / 'scripts' / 'bootstrap.py'


@pytest.fixture
def bootstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, of a project in an empty folder, where everything that it runs succeeds."""
    spec = importlib.util.spec_from_file_location('bootstrap', SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    venv = tmp_path / '.venv'
    paths = {'VENV': venv, 'PYTHON': venv / 'bin' / 'python', 'STAMP': venv / 'built_from.json'}
    paths |= {'UNFINISHED': venv / 'unfinished', 'CONSTRAINTS': venv / 'constraints.txt'}
    for name, path in paths.items():
        monkeypatch.setattr(module, name, path)
    monkeypatch.setattr(module, '_succeeds', lambda *command: True)
    monkeypatch.setattr(module, 'FREE_BYTES_NEEDED', 0)
    monkeypatch.setattr(module.platform, 'system', lambda: 'Linux')
    monkeypatch.setattr(module.platform, 'machine', lambda: 'x86_64')
    monkeypatch.setattr(module, 'run', lambda *command: None)
    monkeypatch.delenv('ROS_DISTRO', raising=False)
    return module


@pytest.fixture
def built(bootstrap: ModuleType) -> Callable[..., Path]:
    """Leaves a finished .venv of this machine, but for what is given; gives a file in it."""

    def build(**machine: str) -> Path:
        kept: Path = bootstrap.VENV / 'bin' / 'depth_node'
        kept.parent.mkdir(parents=True)
        kept.touch()
        bootstrap.PYTHON.touch()
        described = bootstrap.describe_machine(None) | machine
        stamp = {'machine': described, 'sources': bootstrap.hash_sources()}
        bootstrap.STAMP.write_text(json.dumps(stamp))
        return kept

    return build


@pytest.mark.parametrize(
    ('ros', 'sourced', 'text'),
    [
        ('jazzy', '', 'built beside ROS 2 jazzy, which this shell has not sourced: source it, or'),
        ('humble', 'jazzy', 'built beside ROS 2 humble, which this shell has not sourced'),
        ('PyPI wheels', 'jazzy', 'built with ROS 2 from PyPI, and this shell has sourced another'),
    ],
)
def test_a_venv_of_another_ros_is_left_alone_and_the_remedy_said(
    bootstrap: ModuleType,
    built: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ros: str,
    sourced: str,
    text: str,
) -> None:
    kept = built(ros=ros)
    if sourced:
        monkeypatch.setenv('ROS_DISTRO', sourced)
    assert bootstrap.main() == 1
    assert kept.exists() and not bootstrap.UNFINISHED.exists()
    error = capsys.readouterr().err
    assert text in error and 'run make clean to build it anew' in error


def test_an_unchanged_venv_is_left_alone_without_a_word(
    bootstrap: ModuleType, built: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    kept = built()
    assert bootstrap.main() == 0
    assert kept.exists() and capsys.readouterr() == ('', '')


@pytest.mark.parametrize(
    ('machine', 'reason'),
    [
        ({'python': '3.9.1'}, 'which was built by another Python'),
        ({'prefix': '/elsewhere'}, 'which was built by a Python in another place'),
        ({'venv': '/elsewhere/.venv'}, 'which was built in another place'),
        ({'venv': '/elsewhere/.venv', 'ros': 'jazzy'}, 'which was built in another place'),
    ],
)
def test_a_venv_that_cannot_work_here_is_built_anew_for_the_reason_that_is_said(
    bootstrap: ModuleType,
    built: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
    machine: dict[str, str],
    reason: str,
) -> None:
    kept = built(**machine)
    assert bootstrap.main() == 0
    assert not kept.exists()
    assert f'removing .venv, {reason}\n' in capsys.readouterr().out


def test_an_unfinished_venv_is_built_anew(
    bootstrap: ModuleType, built: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    built()
    bootstrap.UNFINISHED.touch()
    assert bootstrap.main() == 0
    assert 'removing .venv, which is unfinished\n' in capsys.readouterr().out
