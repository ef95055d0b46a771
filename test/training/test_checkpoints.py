# SPDX-License-Identifier: Apache-2.0
"""Checkpoints survive what disks, kills and mistakes do to them."""

from __future__ import annotations

import errno
import os
import pickle
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from monodepth2_training import checkpoints
from monodepth2_training.checkpoints import (
    checkpoint_name,
    find_checkpoints,
    load_checkpoint,
    newest_good,
    remove_unfinished,
    save_checkpoint,
    set_newer_aside,
    verify_checkpoint,
)

from monodepth2_ros import atomic_file
from monodepth2_ros.errors import CheckpointError


def _state(value: float = 1.0) -> dict[str, Any]:
    tensor = torch.full((64, 64), value)
    return {'epoch': 3, 'state_dict': {'a.weight': tensor}, 'optimizer_states': [{'lr': 1e-4}]}


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / checkpoint_name(3)
    save_checkpoint(path, _state())
    return path


def test_a_checkpoint_comes_back_as_it_was(saved: Path) -> None:
    loaded = load_checkpoint(saved)
    assert torch.equal(loaded['state_dict']['a.weight'], torch.ones(64, 64))
    assert (loaded['epoch'], loaded['optimizer_states']) == (3, [{'lr': 1e-4}])


def test_any_torch_reads_a_checkpoint(saved: Path) -> None:
    assert torch.load(saved, weights_only=True)['epoch'] == 3


def test_names_sort_by_epoch_and_step(tmp_path: Path) -> None:
    names = [
        checkpoint_name(0, 7),
        checkpoint_name(9),
        checkpoint_name(9, 123),
        checkpoint_name(10),
        checkpoint_name(10_000),
    ]
    for name in [*names, 'epoch_0011.ckpt.part', '.epoch_0012.ckpt.1.tmp', 'best.txt']:
        (tmp_path / name).touch()
    assert [path.name for path in find_checkpoints(tmp_path)] == names[::-1]
    assert find_checkpoints(tmp_path / 'nothing') == []


@pytest.mark.parametrize('share', [0.0, 0.01, 0.5, 0.9999])
def test_a_cut_checkpoint_is_refused(saved: Path, share: float) -> None:
    data = saved.read_bytes()
    saved.write_bytes(data[: int(share * len(data))])
    with pytest.raises(CheckpointError, match=r'is cut off or no checkpoint'):
        load_checkpoint(saved)


@pytest.mark.parametrize('bits', [1, 100, 10_000])
def test_flipped_bits_are_refused(saved: Path, bits: int) -> None:
    data = bytearray(saved.read_bytes())
    drawn = random.Random(bits)
    for position in drawn.sample(range(8 * (len(data) - 100)), bits):
        data[position // 8] ^= 1 << position % 8
    saved.write_bytes(data)
    with pytest.raises(CheckpointError, match='SHA-256 does not match'):
        verify_checkpoint(saved)


def test_the_newest_good_one_is_found_and_the_damaged_ones_are_named(tmp_path: Path) -> None:
    for epochs in (1, 2, 3):
        save_checkpoint(tmp_path / checkpoint_name(epochs), _state(epochs))
    (tmp_path / checkpoint_name(3)).write_bytes(b'')
    with (tmp_path / checkpoint_name(2)).open('r+b') as file:
        file.seek(500)
        file.write(b'x')
    found, faults = newest_good(tmp_path)
    assert found == tmp_path / checkpoint_name(1)
    assert [fault.split()[0].rpartition('/')[2] for fault in faults] == [
        'epoch_0003.ckpt',
        'epoch_0002.ckpt',
    ]


def test_there_may_be_no_good_one(tmp_path: Path) -> None:
    (tmp_path / checkpoint_name(1)).write_bytes(b'<html>')
    found, faults = newest_good(tmp_path)
    assert found is None
    assert len(faults) == 1


def test_what_is_newer_than_the_start_is_set_aside_and_replaces_nothing(tmp_path: Path) -> None:
    for again in (1, 2):
        for name in (checkpoint_name(1), checkpoint_name(2), checkpoint_name(2, 30)):
            (tmp_path / name).write_text(f'{name} {again}')
        set_newer_aside(tmp_path, tmp_path / checkpoint_name(1))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        'epoch_0001.ckpt': 'epoch_0001.ckpt 2',
        'epoch_0002.ckpt.aside1': 'epoch_0002.ckpt 1',
        'epoch_0002.ckpt.aside2': 'epoch_0002.ckpt 2',
        'epoch_0002_step_00000030.ckpt.aside1': 'epoch_0002_step_00000030.ckpt 1',
        'epoch_0002_step_00000030.ckpt.aside2': 'epoch_0002_step_00000030.ckpt 2',
    }
    set_newer_aside(tmp_path, None)
    assert find_checkpoints(tmp_path) == []


def test_a_folder_where_nothing_can_be_set_aside_is_named(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EACCES, 'no way')

    monkeypatch.setattr(Path, 'rename', fail)
    with pytest.raises(CheckpointError, match=r'epoch_\d+\.ckpt cannot be renamed: no way'):
        set_newer_aside(saved.parent, None)


class _Bomb:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return (Path.touch, (Path('exploded'),))


def test_code_in_a_checkpoint_is_not_run(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(saved.parent)
    save_checkpoint(saved, {'bomb': _Bomb()})
    with pytest.raises(CheckpointError, match='is no checkpoint of this program'):
        load_checkpoint(saved)
    assert not Path('exploded').exists()


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / 'other.ckpt'
    path.write_bytes(pickle.dumps({'a': 1}) * 20)
    with pytest.raises(CheckpointError, match='no checkpoint'):
        load_checkpoint(path)
    with pytest.raises(CheckpointError, match='cannot be read: No such file'):
        load_checkpoint(tmp_path / 'missing.ckpt')


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_weights_that_are_not_finite_never_replace_good_ones(saved: Path, value: float) -> None:
    before = saved.read_bytes()
    with pytest.raises(CheckpointError, match=r'state_dict\.a\.weight is not finite'):
        save_checkpoint(saved, _state(value))
    assert saved.read_bytes() == before


class _FullDisk:
    """A file whose n-th write fails."""

    def __init__(self, file: Any, fails_at: int, code: int) -> None:
        self._file, self._left, self._code = file, fails_at, code

    def write(self, data: bytes) -> int:
        self._left -= 1
        if self._left < 0:
            raise OSError(self._code, os.strerror(self._code))
        return int(self._file.write(data))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _FullDisk:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


@pytest.mark.parametrize('code', [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_a_write_that_fails_anywhere_is_loud_and_leaves_the_old_checkpoint(
    saved: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    before, real_open = saved.read_bytes(), Path.open
    failures = 0
    for fails_at in range(1000):
        monkeypatch.setattr(
            Path,
            'open',
            lambda path, mode, at=fails_at: _FullDisk(real_open(path, mode), at, code),
        )
        try:
            save_checkpoint(saved, _state(2.0))
        except CheckpointError as err:
            failures += 1
            assert os.strerror(code) in str(err)
        else:
            break
        finally:
            monkeypatch.undo()
        assert saved.read_bytes() == before
        assert _names(saved.parent) == [saved.name]
    assert failures > 5
    assert load_checkpoint(saved)['state_dict']['a.weight'][0, 0] == 2.0


@pytest.mark.parametrize('call', ['fsync', 'replace'])
def test_a_flush_or_rename_that_fails_is_loud(
    saved: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    before = saved.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(errno.EXDEV, 'no way')

    monkeypatch.setattr(
        *((atomic_file.os, 'fsync') if call == 'fsync' else (Path, 'replace')), fail
    )
    with pytest.raises(CheckpointError, match='cannot be written: no way; the checkpoint before'):
        save_checkpoint(saved, _state(2.0))
    assert saved.read_bytes() == before
    assert _names(saved.parent) == [saved.name]
    first = saved.parent / 'new' / saved.name
    with pytest.raises(CheckpointError, match='no way; there is none before it: make room'):
        save_checkpoint(first, _state(2.0))


def test_a_folder_that_went_away_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / 'run' / 'checkpoints' / checkpoint_name(1)
    save_checkpoint(path, _state())
    assert newest_good(path.parent) == (path, [])


def test_what_a_killed_process_left_is_removed(saved: Path) -> None:
    (saved.parent / '.epoch_0004.ckpt.123.tmp').write_bytes(b'half')
    assert remove_unfinished(saved.parent) == 1
    assert _names(saved.parent) == [saved.name]


def test_lightning_saves_and_loads_by_the_same_code(tmp_path: Path) -> None:
    plugin = checkpoints.VerifiedCheckpointIO()
    path = tmp_path / checkpoint_name(1)
    plugin.save_checkpoint(_state(), path)
    assert zipfile.is_zipfile(path)
    assert plugin.load_checkpoint(path, weights_only=False)['epoch'] == 3
    plugin.remove_checkpoint(path)
    plugin.remove_checkpoint(path)
    assert not path.exists()
