# SPDX-License-Identifier: Apache-2.0
"""Checkpoints that are written whole or not at all, and refused when a single bit is wrong.

A checkpoint is what ``torch.save`` writes, followed by one line with the SHA-256 of it; any torch
reads it. Nothing in it is ever executed: it is loaded with ``weights_only=True``. The names tell
the order: ``epoch_0007.ckpt`` after seven whole epochs, ``epoch_0007_step_00001234.ckpt`` within
the eighth.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import pickle
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import torch
from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO

from monodepth2_ros.atomic_file import TEMPORARY_SUFFIX, open_atomically
from monodepth2_ros.errors import CheckpointError, first_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SUFFIX = '.ckpt'
"""How names of checkpoints end."""

_NAME = re.compile(r'epoch_(\d{4,})(?:_step_(\d{8,}))?\.ckpt')
_TRAILER = re.compile(rb'\nsha256 ([0-9a-f]{64})\n')
_TRAILER_BYTES = len('\nsha256 ') + 64 + len('\n')
_CHUNK_BYTES = 1 << 20


def checkpoint_name(epochs: int, step: int | None = None) -> str:
    """Name of the checkpoint after that many whole epochs, or at a step within the next."""
    return f'epoch_{epochs:04d}{"" if step is None else f"_step_{step:08d}"}{SUFFIX}'


def checkpoint_epochs(path: Path) -> int:
    """Whole epochs behind a checkpoint, by its name.

    Raises:
        CheckpointError: it is not named like one.
    """
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise CheckpointError(f'{path} is not named like {checkpoint_name(7)}')
    return int(match[1])


def find_checkpoints(folder: Path) -> list[Path]:
    """All checkpoints of a folder by their names, newest first, unverified."""
    if not folder.is_dir():
        return []
    named = ((_NAME.fullmatch(path.name), path) for path in folder.iterdir())
    order = [(int(match[1]), int(match[2] or 0), path) for match, path in named if match]
    return [path for _, _, path in sorted(order, reverse=True)]


def newest_good(folder: Path) -> tuple[Path | None, list[str]]:
    """The newest checkpoint that is intact, and one line for each newer one that is not."""
    faults: list[str] = []
    for path in find_checkpoints(folder):
        try:
            verify_checkpoint(path)
        except CheckpointError as err:
            faults.append(str(err))
        else:
            return path, faults
    return None, faults


def set_newer_aside(folder: Path, start: Path | None) -> None:
    """Rename the checkpoints that are newer than one, all for None, so that they count no more.

    They become ``epoch_0007.ckpt.aside1`` and the like; nothing is replaced.

    Raises:
        CheckpointError: one cannot be renamed.
    """
    for path in itertools.takewhile(lambda path: path != start, find_checkpoints(folder)):
        names = (path.with_name(f'{path.name}.aside{number}') for number in itertools.count(1))
        try:
            path.rename(next(name for name in names if not name.exists()))
        except OSError as err:
            raise CheckpointError(f'{path} cannot be renamed: {err.strerror or err}') from err


def remove_unfinished(folder: Path) -> int:
    """Remove what killed processes began to write; returns the number of files."""
    unfinished = list(folder.glob(f'.*{SUFFIX}.*{TEMPORARY_SUFFIX}'))
    for path in unfinished:
        path.unlink(missing_ok=True)
    return len(unfinished)


def save_checkpoint(path: Path, checkpoint: Mapping[str, Any]) -> None:
    """Write a checkpoint with its digest, whole or not at all; an existing one is replaced.

    Args:
        path: where to; its folder is made.
        checkpoint: tensors and plain values in mappings and sequences.

    Raises:
        CheckpointError: a tensor of the state is not finite, or the file cannot be written.
    """
    refuse_not_finite(checkpoint, path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open_atomically(path) as file:
            _write(checkpoint, file)
    except OSError as err:
        raise CheckpointError(
            f'{path} cannot be written: {err.strerror or err}; {_left(path)}: make room or '
            'mend the permissions, then resume with --resume'
        ) from err


def verify_checkpoint(path: Path) -> None:
    """Check that a file is a checkpoint and as it was written.

    Raises:
        CheckpointError: it is missing, cut off, or its digest does not match.
    """
    try:
        with path.open('rb') as file:
            _verify(path, file)
    except OSError as err:
        raise CheckpointError(f'{path} cannot be read: {err.strerror or err}') from err


def load_checkpoint(path: Path, map_location: Any = 'cpu') -> dict[str, Any]:
    """Verify and read a checkpoint; nothing in it is executed.

    Raises:
        CheckpointError: it is missing, damaged, or holds more than tensors and plain values.
    """
    verify_checkpoint(path)
    try:
        loaded: dict[str, Any] = torch.load(path, map_location=map_location, weights_only=True)
    except (RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as err:
        raise CheckpointError(
            f'{path} is no checkpoint of this program: {first_line(err)}'
        ) from err
    return loaded


def refuse_not_finite(checkpoint: Mapping[str, Any], path: Path) -> None:
    """Refuse weights and optimiser state that hold NaN or infinity.

    Raises:
        CheckpointError: naming the first such tensor.
    """
    for name, tensor in _tensors(checkpoint, ''):
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(
                f'{path} is not written: {name} is not finite; {_left(path)}: '
                'lower optimisation.learning_rate and resume with --resume'
            )


def _left(path: Path) -> str:
    """What there is beside a checkpoint that is not written."""
    earlier = find_checkpoints(path.parent)
    return 'the checkpoint before it is untouched' if earlier else 'there is none before it'


class VerifiedCheckpointIO(CheckpointIO):
    """Lightning's way to this module's checkpoints."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write whole or not at all, with a digest; ``storage_options`` are not used."""
        save_checkpoint(Path(path), checkpoint)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = 'cpu', weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Verify, then read without executing anything, whatever ``weights_only`` says."""
        return load_checkpoint(Path(path), map_location)

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove a checkpoint if it is there."""
        Path(path).unlink(missing_ok=True)


class _DigestingWriter:
    """A file for ``torch.save`` that computes the digest of what passes.

    torch turns whatever a write raises into an error of its own, so the cause is kept.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.failure: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write and digest."""
        self.digest.update(data)
        try:
            return self._file.write(data)
        except OSError as err:
            self.failure = err
            raise

    def flush(self) -> None:
        """Hand what is buffered to the system."""
        self._file.flush()


def _write(checkpoint: Mapping[str, Any], file: BinaryIO) -> None:
    """Write checkpoint and trailer."""
    writer = _DigestingWriter(file)
    try:
        torch.save(checkpoint, cast('BinaryIO', writer))
    except RuntimeError as err:
        if writer.failure is not None:
            raise writer.failure from err
        raise
    file.write(f'\nsha256 {writer.digest.hexdigest()}\n'.encode())


def _verify(path: Path, file: BinaryIO) -> None:
    """Compare a file's digest with its trailer."""
    length = os.fstat(file.fileno()).st_size - _TRAILER_BYTES
    file.seek(max(length, 0))
    trailer = _TRAILER.fullmatch(file.read())
    if length < 0 or trailer is None:
        raise CheckpointError(f'{path} is cut off or no checkpoint of this program')
    if _digest(file, length) != trailer[1].decode():
        raise CheckpointError(f'{path} is damaged: its SHA-256 does not match')


def _digest(file: BinaryIO, length: int) -> str:
    """SHA-256 of a file's first ``length`` bytes."""
    digest = hashlib.sha256()
    file.seek(0)
    while length > 0:
        chunk = file.read(min(_CHUNK_BYTES, length))
        digest.update(chunk)
        length -= len(chunk)
    return digest.hexdigest()


def _tensors(value: Any, name: str) -> Iterator[tuple[str, torch.Tensor]]:
    """All tensors in nested mappings and sequences, with the path to each."""
    if isinstance(value, torch.Tensor):
        yield name, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _tensors(item, f'{name}.{key}' if name else str(key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _tensors(item, f'{name}[{index}]')
