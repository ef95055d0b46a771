# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from monodepth2_training import cli
from monodepth2_training.signals import answered_by
from support import md2_weights
from support.python_process import ENVIRONMENT, run_python

from monodepth2_ros import __version__
from monodepth2_ros.errors import ConfigError, ModelFileError
from monodepth2_ros.model_file import load_model, read_description


@pytest.fixture(autouse=True)
def _leave_no_large_files(tmp_path: Path) -> Iterator[None]:
    yield
    shutil.rmtree(tmp_path)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp('md2') / 'weights_19'
    yield md2_weights.write_checkpoint(folder, stereo=True, pose=True)
    shutil.rmtree(folder)


def _fails(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def run(_: object) -> int:
        raise error

    fake = SimpleNamespace(HELP='', add_arguments=lambda parser: None, run=run)
    monkeypatch.setattr(cli.importlib, 'import_module', lambda _: fake)


def test_import_turns_a_folder_into_a_model_file(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'model.safetensors'
    assert cli.main(['import', str(checkpoint), str(out), '--max-depth-m', '80']) == 0
    text = capsys.readouterr().out
    for piece in ('resnet18, 14.329 million', '96x64, lanczos', '5.4 m per network unit'):
        assert piece in text
    assert 'non-commercial' in text
    description = read_description(out)
    assert description.depth_range.max_depth_m == 80.0
    assert load_model(out).pose_state


def test_import_does_not_replace_a_file_unless_told_to(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'model.safetensors'
    out.write_bytes(b'precious')
    assert cli.main(['import', str(checkpoint), str(out)]) == 1
    assert 'exists: choose another name, or add --force' in capsys.readouterr().err
    assert out.read_bytes() == b'precious'
    assert cli.main(['import', str(checkpoint), str(out), '--force']) == 0
    assert read_description(out).network.encoder == 'resnet18'


def test_info_prints_the_same_facts_as_text_and_json(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'model.safetensors'
    cli.main(['import', str(checkpoint), str(out)])
    capsys.readouterr()
    assert cli.main(['info', str(out)]) == 0
    text = capsys.readouterr().out
    assert cli.main(['info', str(out), '--json']) == 0
    document = json.loads(capsys.readouterr().out)
    assert document['schema'] == 1
    assert document['depth_net_weights'] == 14_329_236
    assert document['bytes'] == out.stat().st_size
    assert document['description']['scale']['value'] == 5.4
    assert document['sha256'] in text
    assert f'schema 1, verified\nnetwork{" " * 9}resnet18' in text


def test_info_refuses_a_damaged_file_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 'm.safetensors').write_bytes(b'<html>')
    assert cli.main(['info', str(tmp_path / 'm.safetensors')]) == 1
    captured = capsys.readouterr()
    assert captured.out == ''
    assert captured.err.count('\n') == 1
    assert captured.err.startswith('monodepth2 info: error: ')
    assert 'is cut off after 6 bytes' in captured.err or 'is a web page' in captured.err


def test_help_lists_the_verbs_without_importing_torch() -> None:
    done = run_python(
        'import sys\nfrom monodepth2_training import cli\n'
        'try:\n    cli.main(["--help"])\nexcept SystemExit as e:\n    assert e.code == 0\n'
        'print(sorted({"torch", "cv2", "numpy"} & set(sys.modules)))'
    )
    assert done.stdout.splitlines()[-1] == '[]', done.stderr
    for verb in cli.VERBS:
        assert f'\n    {verb}' in done.stdout


@pytest.mark.parametrize('verb', cli.VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main([verb, '--help'])
    assert stopped.value.code == 0
    assert f'usage: monodepth2 {verb}' in capsys.readouterr().out


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(['--version'])
    assert capsys.readouterr().out == f'monodepth2 {__version__}\n'


@pytest.mark.parametrize('arguments', [[], ['fly'], ['info'], ['info', 'a', '--nonsense']])
def test_wrong_usage_ends_with_status_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2
    assert 'error: ' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('error', 'status', 'line'),
    [
        (ModelFileError('m is empty'), 1, 'monodepth2 info: error: m is empty\n'),
        (ConfigError('x is\n odd'), 2, 'monodepth2 info: error: x is odd\n'),
        (OSError(28, 'No space left'), 1, 'monodepth2 info: error: [Errno 28] No space left\n'),
        (
            ZeroDivisionError('by zero'),
            1,
            'monodepth2 info: error: ZeroDivisionError: by zero '
            '(unexpected; MONODEPTH2_DEBUG=1 shows where)\n',
        ),
        (
            ModuleNotFoundError("No module named 'torch'", name='torch'),
            1,
            f'monodepth2 info: error: {sys.executable} has no torch: run make venv, then '
            '.venv/bin/monodepth2\n',
        ),
        (KeyboardInterrupt(), 130, ''),
    ],
)
def test_a_failure_is_one_line_and_a_status(
    error: BaseException,
    status: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _fails(monkeypatch, error)
    assert cli.main(['info']) == status
    assert capsys.readouterr().err == line


MISSING = {
    'evaluate': ['--model', 'ABSENT', '--bag', 'ABSENT'],
    'export': ['--model', 'ABSENT', '--format', 'onnx'],
    'extract': ['ABSENT', 'OUT'],
    'import': ['ABSENT', 'OUT'],
    'info': ['ABSENT'],
    'predict': ['--model', 'ABSENT', '--image', 'ABSENT', '--out', 'OUT'],
    'reproduce': ['1', '--kitti', 'ABSENT', '--split', 'ABSENT', '--out', 'OUT'],
    'scale': ['--model', 'ABSENT', '--bag', 'ABSENT'],
    'train': ['ABSENT', '--out', 'OUT'],
}


@pytest.mark.parametrize('verb', MISSING)
def test_a_missing_file_is_named_in_one_line_and_nothing_is_written(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {'ABSENT': str(tmp_path / 'nowhere'), 'OUT': str(tmp_path / 'out')}
    assert cli.main([verb, *(places.get(word, word) for word in MISSING[verb])]) == 1
    *said, last = capsys.readouterr().err.splitlines()
    assert last.startswith(f'monodepth2 {verb}: error: ')
    assert f'{tmp_path}/nowhere' in last
    assert not said or verb == 'train'  # which tells beforehand where it would train
    files = [path.name for path in tmp_path.rglob('*') if path.is_file()]
    assert files == (['.lock'] if verb == 'train' else [])


def test_every_verb_that_reads_files_is_asked_for_a_missing_one() -> None:
    assert set(cli.VERBS) - set(MISSING) == {'doctor', 'generate'}


def test_a_failure_shows_its_origin_when_asked_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv('MONODEPTH2_DEBUG', '1')
    _fails(monkeypatch, ModelFileError('m is empty'))
    assert cli.main(['info']) == 1
    assert 'Traceback (most recent call last)' in capsys.readouterr().err


def test_a_signal_to_end_lets_what_is_in_hand_tidy_up(monkeypatch: pytest.MonkeyPatch) -> None:
    tidied = []

    def run(_: object) -> int:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60.0)
        finally:
            tidied.append(True)
        return 0

    fake = SimpleNamespace(HELP='', add_arguments=lambda parser: None, run=run)
    monkeypatch.setattr(cli.importlib, 'import_module', lambda _: fake)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        cli.main(['info'])
    assert (ended.value.code, tidied) == (143, [True])
    assert signal.getsignal(signal.SIGTERM) == before


def test_ctrl_c_within_an_import_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(_: str) -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(60.0)
        except KeyboardInterrupt as err:
            raise ImportError('numpy could not be loaded') from err

    monkeypatch.setattr(cli.importlib, 'import_module', load)
    # A shell ignores it for what it runs in the background.
    with answered_by(signal.default_int_handler, signal.SIGINT):
        assert cli.main(['info']) == 130
        assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    assert capsys.readouterr().err == ''


def test_a_reader_that_goes_away_ends_the_command_quietly() -> None:
    code = (
        'import sys, types\nfrom monodepth2_training import cli\n'
        'def run(args):\n    [print("x" * 1000) for _ in range(1000)]\n    return 0\n'
        'fake = types.SimpleNamespace(HELP="", add_arguments=lambda p: None, run=run)\n'
        'cli.importlib.import_module = lambda name: fake\n'
        'sys.exit(cli.main(["info"]))'
    )
    process = subprocess.Popen(
        [sys.executable, '-c', code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    assert process.stdout is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b''
    process.stderr.close()
    assert process.wait(timeout=30) == 141
