# SPDX-License-Identifier: Apache-2.0
"""Files appear whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from monodepth2_ros.atomic_file import open_atomically, write_atomically


def test_a_reader_sees_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / 'a.bin'
    write_atomically(path, b'old')
    with open_atomically(path) as file:
        file.write(b'n')
        file.flush()
        assert path.read_bytes() == b'old'
        file.write(b'ew')
    assert path.read_bytes() == b'new'
    assert [found.name for found in tmp_path.iterdir()] == ['a.bin']


@pytest.mark.parametrize('error', [OSError(28, 'No space left'), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: BaseException
) -> None:
    path = tmp_path / 'a.bin'
    write_atomically(path, b'old')
    with pytest.raises(type(error)), open_atomically(path) as file:
        file.write(b'half')
        raise error
    assert path.read_bytes() == b'old'
    assert [found.name for found in tmp_path.iterdir()] == ['a.bin']


def test_a_link_stays_one_and_the_permissions_stay(tmp_path: Path) -> None:
    real, link = tmp_path / 'real.bin', tmp_path / 'link.bin'
    write_atomically(real, b'old')
    real.chmod(0o600)
    link.symlink_to(real)
    write_atomically(link, b'new')
    assert link.is_symlink()
    assert real.read_bytes() == b'new'
    assert real.stat().st_mode & 0o777 == 0o600


def test_the_bytes_are_on_the_disk_before_the_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a power failure could leave an empty file under the final name."""
    steps: list[str] = []
    sync, replace = os.fsync, Path.replace

    def noted_sync(descriptor: int) -> None:
        steps.append('fsync')
        sync(descriptor)

    def noted_replace(self: Path, target: Path) -> Path:
        steps.append('rename')
        return replace(self, target)

    monkeypatch.setattr(os, 'fsync', noted_sync)
    monkeypatch.setattr(Path, 'replace', noted_replace)
    write_atomically(tmp_path / 'a.bin', b'x')
    assert steps == ['fsync', 'rename', 'fsync']


def test_a_missing_folder_is_an_os_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match='nowhere'):
        write_atomically(tmp_path / 'nowhere' / 'a.bin', b'x')
