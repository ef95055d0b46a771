# SPDX-License-Identifier: Apache-2.0
"""The container of a model file: a safetensors header, read and checked before any tensor is.

A safetensors file is eight bytes of little-endian header length, a JSON header that names type,
shape and place of every tensor, and the tensors' bytes.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from monodepth2_ros.errors import ModelFileError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

_LENGTH_BYTES = 8
_MAX_HEADER_BYTES = 16_000_000

IMPORT_HINT = 'turn a folder of .pth files into a model file with "monodepth2 import FOLDER OUT"'
_FETCH_HINT = 'copy or download the file again'
_FOREIGN = (
    (b'PK\x03\x04', 'is a zip archive, such as torch.save writes', IMPORT_HINT),
    (b'\x80', 'is a Python pickle, such as torch.save writes', IMPORT_HINT),
    (
        b'version https://git-lfs',
        'is a Git LFS pointer, not the file itself',
        'run "git lfs pull"',
    ),
    (b'<', 'is a web page, not a model file', _FETCH_HINT),
)


@dataclass(frozen=True, kw_only=True)
class Header:
    """The checked header of a safetensors file."""

    raw: bytes
    """The bytes before the tensors, length prefix included."""
    metadata: dict[str, str]
    """Free text that the writer left."""
    shapes: dict[str, tuple[int, ...]]
    """Shape of every tensor by its name."""


def refuse(path: Path, why: str, what_to_do: str) -> ModelFileError:
    """The error for a file that cannot be used."""
    return ModelFileError(f'{path} {why}: {what_to_do}')


def open_model(path: Path) -> BinaryIO:
    """Open a model file for reading.

    Raises:
        ModelFileError: there is no such file, or it may not be read.
    """
    try:
        return path.open('rb')
    except IsADirectoryError as err:
        raise refuse(
            path, 'is a folder, not a model file', f'name the .safetensors file, or {IMPORT_HINT}'
        ) from err
    except FileNotFoundError as err:
        raise refuse(path, 'does not exist', 'give the path of a .safetensors model file') from err
    except OSError as err:
        raise refuse(path, f'cannot be opened ({err.strerror})', 'check its permissions') from err


def read_header(file: BinaryIO, path: Path) -> Header:
    """Read and check the header, leaving ``file`` at the first tensor's bytes.

    Raises:
        ModelFileError: the file is empty, foreign or cut off.
    """
    size = os.fstat(file.fileno()).st_size
    prefix = file.read(_LENGTH_BYTES)
    length = int.from_bytes(prefix, 'little')
    _check_start(path, prefix, size)
    text = file.read(min(length, _MAX_HEADER_BYTES))
    _refuse_foreign(path, prefix + text[:64])
    if length > _MAX_HEADER_BYTES or not text.startswith(b'{'):
        raise refuse(path, 'is not a safetensors file', 'give a model file of this package')
    if len(text) < length:
        raise refuse(path, f'is cut off inside its header ({size} bytes)', _FETCH_HINT)
    header = _parse_header(path, prefix + text)
    _check_size(path, header, text, size)
    return header


def _check_start(path: Path, prefix: bytes, size: int) -> None:
    """Refuse what is too short to hold a header."""
    if size == 0:
        raise refuse(path, 'is empty', _FETCH_HINT)
    if len(prefix) < _LENGTH_BYTES:
        _refuse_foreign(path, prefix)
        raise refuse(path, f'is cut off after {size} bytes', _FETCH_HINT)


def _refuse_foreign(path: Path, start: bytes) -> None:
    """Refuse a file whose first bytes tell what it is; a header may follow any length prefix."""
    if start[_LENGTH_BYTES : _LENGTH_BYTES + 1] == b'{':
        return
    for signature, what, hint in _FOREIGN:
        if start.lstrip().startswith(signature):
            raise refuse(path, what, hint)


def _parse_header(path: Path, raw: bytes) -> Header:
    """Parse the JSON header."""
    try:
        entries = json.loads(raw[_LENGTH_BYTES:])
        metadata = dict(entries.pop('__metadata__', {}))
        shapes = {name: tuple(entry['shape']) for name, entry in entries.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as err:
        raise refuse(
            path, f'has a damaged header ({type(err).__name__}: {err})', _FETCH_HINT
        ) from err
    return Header(raw=raw, metadata=metadata, shapes=shapes)


def _check_size(path: Path, header: Header, text: bytes, size: int) -> None:
    """Refuse a file that is shorter or longer than its header says."""
    try:
        entries = json.loads(text)
        ends = [
            entry['data_offsets'][1] for name, entry in entries.items() if name in header.shapes
        ]
        expected = len(header.raw) + max(ends, default=0)
    except (KeyError, TypeError, IndexError) as err:
        raise refuse(path, f'has a damaged header ({type(err).__name__})', _FETCH_HINT) from err
    if size < expected:
        raise refuse(path, f'is cut off: it has {size} of {expected} bytes', _FETCH_HINT)
    if size > expected:
        raise refuse(path, f'is damaged: it has {size} bytes, not {expected}', _FETCH_HINT)
