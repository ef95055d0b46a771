# SPDX-License-Identifier: Apache-2.0
"""Real files that are no recording of a camera: each verb says so in a line, with status 1."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from monodepth2_training import cli
from support.tiny_model import write_tiny_model

BAGS = Path(__file__).parents[3] / 'shared' / 'data' / 'bags'

WHY = {
    'test_bag_sqlite3': 'picture',
    'ros1': 'holds no recording: expected a rosbag2 folder',
    'ros1/asci-file.txt': 'is not a recording by its name: expected a rosbag2 folder',
    'ros1/empty-file.bag': 'seems to be empty',
}
"""What is said of each as a recording."""

NO_MODEL = {
    'test_bag_sqlite3': 'model file',
    'ros1': 'model file',
    'ros1/asci-file.txt': 'model file',
    'ros1/empty-file.bag': 'is empty',
}
"""What is said of each as a model file."""

pytestmark = pytest.mark.skipif(not BAGS.is_dir(), reason=f'{BAGS} is not beside the project')


@pytest.fixture(scope='module')
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_model(tmp_path_factory.mktemp('model') / 'tiny.safetensors'))


@pytest.mark.parametrize('name', WHY)
@pytest.mark.parametrize('verb', ['evaluate', 'extract', 'predict', 'info'])
def test_an_odd_file_is_refused_in_one_clear_line(
    verb: str, name: str, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag, out = str(BAGS / name), str(tmp_path / 'out')
    words = {
        'evaluate': ['--model', model, '--bag', bag],
        'extract': [bag, out],
        'predict': ['--model', model, '--image', bag, '--out', out],
        'info': [bag],
    }
    assert cli.main([verb, *words[verb]]) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if ': error: ' in line]
    assert len(lines) == 1
    assert lines[0].startswith(f'monodepth2 {verb}: error: ')
    assert 'unexpected' not in lines[0]
    expected = NO_MODEL[name] if verb == 'info' else WHY[name]
    assert re.search(expected, lines[0])
