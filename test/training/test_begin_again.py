# SPDX-License-Identifier: Apache-2.0
"""``monodepth2 train`` into a folder that is not empty: what is there is not lost."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from monodepth2_training import cli
from monodepth2_training.checkpoints import checkpoint_name
from monodepth2_training.config_files import read_config
from monodepth2_training.run import training
from support.moving_bag import BENT, PLAIN, write_moving_bag
from support.tiny_store import write_tiny_store

from monodepth2_ros.geometry.calibration_file import save_calibration

SIZE = ('--set', 'network.width=64', '--set', 'network.height=64')


@pytest.fixture(autouse=True)
def _fails_when_it_begins_to_train(monkeypatch: pytest.MonkeyPatch) -> None:
    def train(*_: object, **__: object) -> None:
        raise RuntimeError('reached')

    monkeypatch.setattr(training, 'train', train)


def _train(out: Path, *more: str | Path) -> int:
    arguments = ['train', '--out', str(out), '--device', 'cpu', *map(str, more)]
    return cli.main(arguments)


@pytest.mark.parametrize(
    'name', ['model.safetensors', 'config.yaml', 'metrics.jsonl', 'report.html']
)
def test_a_file_that_belongs_to_no_run_is_not_overwritten(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, out = write_tiny_store(tmp_path / 'store', frames=3), tmp_path / 'models'
    out.mkdir()
    (out / name).write_text('mine')
    assert _train(out, store, *SIZE) == 1
    assert f'{name} belongs to no run and is not overwritten' in capsys.readouterr().err
    assert (out / name).read_text() == 'mine'
    assert not (out / 'run.json').exists()


def test_a_run_that_came_to_nothing_is_begun_anew_by_the_corrected_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag, out = write_moving_bag(tmp_path / 'bag', frames=6), tmp_path / 'run'
    assert _train(out, bag, '--camera', '/rear', *SIZE) == 1
    assert "no camera '/rear'" in capsys.readouterr().err
    assert (out / 'run.json').exists()
    assert _train(out, bag, *SIZE, '--epochs', '3') == 1
    assert 'reached' in capsys.readouterr().err
    assert _train(out, bag, *SIZE, '--epochs', '4') == 1
    assert 'reached' in capsys.readouterr().err
    assert read_config(str(out / 'config.yaml')).optimisation.epochs == 4


def test_frames_that_another_command_line_asked_for_are_not_trained_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = (write_moving_bag(tmp_path / name, frames=6) for name in ('one', 'two'))
    out = tmp_path / 'run'
    assert _train(out, one, *SIZE) == 1
    assert 'reached' in capsys.readouterr().err
    assert _train(out, two, *SIZE) == 1
    assert 'frames was extracted from other sources' in capsys.readouterr().err
    assert _train(out, out / 'frames', *SIZE) == 1
    assert 'reached' in capsys.readouterr().err


def test_frames_of_a_calibration_that_was_corrected_since_are_not_trained_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag, out = write_moving_bag(tmp_path / 'bag', frames=6), tmp_path / 'run'
    calibrated = (*SIZE, '--calibration', tmp_path / 'camera.yaml')
    save_calibration(tmp_path / 'camera.yaml', PLAIN)
    assert _train(out, bag, *calibrated) == 1
    assert 'reached' in capsys.readouterr().err
    save_calibration(tmp_path / 'camera.yaml', BENT)
    assert _train(out, bag, *calibrated) == 1
    error = capsys.readouterr().err
    assert re.search(
        r'made with calibration .* instead of .* D=\(-0\.2, .*: choose another', error
    )
    save_calibration(tmp_path / 'camera.yaml', PLAIN)
    assert _train(out, bag, *calibrated) == 1
    assert 'reached' in capsys.readouterr().err


def test_frames_of_a_recording_that_has_grown_since_are_resumed_but_not_trained_on_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag, out = write_moving_bag(tmp_path / 'bag', frames=6), tmp_path / 'run'
    assert _train(out, bag, *SIZE) == 1
    shutil.rmtree(bag)
    assert 'reached' in capsys.readouterr().err
    write_moving_bag(bag, frames=8)
    assert _train(out, bag, *SIZE) == 1
    error = capsys.readouterr().err
    assert re.search(r'bag \(12 messages from .* on\) instead of bag \(16 messages from', error)
    shutil.rmtree(bag)
    assert _train(out, '--resume') == 1
    assert 'reached' in capsys.readouterr().err


@pytest.mark.parametrize('left', ['model.safetensors', f'checkpoints/{checkpoint_name(1)}'])
def test_a_run_that_came_to_something_is_kept(
    left: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, out = write_tiny_store(tmp_path / 'store', frames=3), tmp_path / 'run'
    assert _train(out, store, *SIZE) == 1
    assert 'reached' in capsys.readouterr().err
    (out / left).parent.mkdir(exist_ok=True)
    (out / left).write_text('mine')
    assert _train(out, store, *SIZE) == 1
    assert 'holds a run already: add --resume' in capsys.readouterr().err


def test_weights_that_are_not_there_are_noticed_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag, out = write_moving_bag(tmp_path / 'bag', frames=3), tmp_path / 'run'
    assert _train(out, bag, *SIZE, '--init', 'resnet.pth') == 1
    assert 'resnet.pth is no file' in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ['.lock']
