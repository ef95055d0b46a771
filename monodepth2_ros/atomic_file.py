# SPDX-License-Identifier: Apache-2.0
"""Files that appear whole or not at all, whatever happens while they are written."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEMPORARY_SUFFIX = '.tmp'
"""How names of unfinished files end; they begin with a dot. A killed process leaves its own."""


def write_atomically(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` whole or not at all, as ``open_atomically`` does.

    Raises:
        OSError: the folder is missing or not writable, or the disk is full.
    """
    with open_atomically(path) as file:
        file.write(data)


@contextmanager
def open_atomically(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file in the same folder; flush it to disk and rename it at the end.

    A reader sees the old file or the new one, never a part; on any failure the old file stays and
    the temporary one is removed. A link stays one, and the new file has the old one's permissions.

    Raises:
        OSError: the folder is missing or not writable, or the disk is full.
    """
    path = path.resolve()
    temporary = path.with_name(f'.{path.name}.{os.getpid()}{TEMPORARY_SUFFIX}')
    try:
        with temporary.open('wb') as file:
            if path.exists():
                temporary.chmod(path.stat().st_mode & 0o7777)
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    """Make the rename itself durable, where the file system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
