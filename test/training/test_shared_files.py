# SPDX-License-Identifier: Apache-2.0
"""What comes with the package is found wherever the package is."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from monodepth2_training import cli, shared_files
from monodepth2_training.shared_files import (
    BUNDLED_MODEL,
    bundled_model,
    model_path,
    shared_folders,
)

from monodepth2_ros.errors import ModelFileError

ROOT = Path(__file__).parents[2]


def test_the_bundled_model_of_the_source_tree_is_found_first() -> None:
    assert bundled_model() == ROOT / 'demo' / BUNDLED_MODEL
    assert shared_folders('config', 'training')[0] == ROOT / 'config' / 'training'
    assert shared_folders('no such folder') == []


def test_the_word_demo_names_the_bundled_model_for_verbs_that_read_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert model_path('demo.safetensors') == Path('demo.safetensors')
    assert cli.main(['info', 'demo', '--json']) == 0
    assert json.loads(capsys.readouterr().out)['path'] == str(bundled_model())


@pytest.mark.parametrize('kind', ['pip', 'pip --prefix', 'colcon'])
def test_the_bundled_model_of_an_installation_is_found_or_said_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    prefix = tmp_path / 'prefix'
    folder = prefix / 'share' / 'monodepth2_ros' / 'demo'
    folder.mkdir(parents=True)
    beside = prefix / 'lib' / 'python3.x' if kind == 'pip --prefix' else tmp_path / 'other' / 'a'
    installed = beside / 'site-packages' / 'monodepth2_training' / 'shared_files.py'
    monkeypatch.setattr(shared_files, '__file__', str(installed))
    monkeypatch.setattr(sys, 'prefix', str(prefix if kind == 'pip' else tmp_path))
    monkeypatch.setenv('AMENT_PREFIX_PATH', f'/nowhere:{prefix}' if kind == 'colcon' else '')
    with pytest.raises(ModelFileError, match='install the package again'):
        bundled_model()
    (folder / BUNDLED_MODEL).touch()
    assert bundled_model() == folder / BUNDLED_MODEL
