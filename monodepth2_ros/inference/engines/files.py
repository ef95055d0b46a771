# SPDX-License-Identifier: Apache-2.0
"""Engine files: a network that was compiled or converted ahead of time, kept beside its model.

``drive.safetensors`` for OpenVINO in int8 becomes ``drive.openvino-int8.xml``, ``.bin`` and
``.json``; the last says what they were made of and carries their SHA-256. Where the model's folder
cannot be written, they lie in the user's cache. Files of another model, library version or
processor, and damaged ones, are never run.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from monodepth2_ros.atomic_file import open_atomically, write_atomically
from monodepth2_ros.errors import Monodepth2Error
from monodepth2_ros.typed_document import decode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monodepth2_ros.model_file import Model

SCHEMA = 1
"""The layout of the ``.json`` file."""

_BLOCK = 2**20


@dataclass(frozen=True, kw_only=True)
class EngineRecord:
    """What an engine file was made of, and for what."""

    engine: str
    """Library that runs it, one of ``ENGINES``."""
    precision: str
    """Arithmetic, one of ``ENGINE_PRECISIONS``."""
    model_sha256: str
    """Digest of the model file."""
    library: str
    """Name and version of the library; empty if any version runs it."""
    machine: str = ''
    """The processor it runs on; empty for any."""
    mean_difference: float | None = None
    """Mean relative difference of depth from float32; None if nobody measured it."""
    files: dict[str, str] | None = None
    """SHA-256 of each file by its suffix."""
    schema: int = SCHEMA
    """Layout of this record."""


@dataclass(frozen=True, kw_only=True)
class EngineFile:
    """A usable engine file."""

    record: EngineRecord
    """What it is."""
    stem: Path
    """Path without suffix."""

    def path(self, suffix: str) -> Path:
        """The file with that suffix, for example ``.pt2``."""
        return _with_suffix(self.stem, suffix)


def write_engine_file(
    model: Model, record: EngineRecord, files: Mapping[str, Path], *, folder: Path | None = None
) -> EngineFile:
    """Copy files beside the model, or into the cache; the record comes last.

    Args:
        model: the model that they were made of.
        record: what they are; ``files`` is filled in here.
        files: for each suffix a finished file elsewhere.
        folder: where to instead.

    Raises:
        OSError: neither folder can be written.
    """
    folders = engine_folders(model) if folder is None else (folder,)
    folder = next((each for each in folders if _writable(each)), folders[0])
    stem = folder / _name(model, record.engine, record.precision)
    digests = {suffix: _digest(path) for suffix, path in files.items()}
    for suffix, source in files.items():
        with source.open('rb') as original, open_atomically(_with_suffix(stem, suffix)) as copy:
            while block := original.read(_BLOCK):
                copy.write(block)
    complete = replace(record, files=digests)
    text = json.dumps(asdict(complete), indent=2) + '\n'
    write_atomically(_with_suffix(stem, '.json'), text.encode())
    return EngineFile(record=complete, stem=stem)


def find_engine_file(model: Model, wanted: EngineRecord) -> tuple[EngineFile | None, str]:
    """Find the engine file of a model.

    Args:
        model: a loaded model file.
        wanted: what it must have been made of and for.

    Returns:
        the file or None, and why there is none, or none beside the model, as part of a sentence;
        an empty text if there is nothing to say.
    """
    reason = ''
    for folder in engine_folders(model):
        stem = folder / _name(model, wanted.engine, wanted.precision)
        if not _with_suffix(stem, '.json').exists():
            continue
        found, why_not = _open(stem, wanted)
        if found is not None:
            return found, reason
        reason = reason or why_not
    name = _name(model, wanted.engine, wanted.precision)
    return None, reason or f'there is no {name}.json beside the model or in the cache'


def engine_folders(model: Model) -> tuple[Path, ...]:
    """Where engine files of a model may lie: beside it, or in the user's cache if there is one."""
    beside, cache = model.path.resolve().parent, cache_folder(model)
    return (beside,) if cache is None else (beside, cache)


def cache_folder(model: Model) -> Path | None:
    """The folder of a model in the user's cache; None for a user without a home."""
    try:
        cache = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')
    except RuntimeError:
        return None
    return cache / 'monodepth2_ros' / model.sha256[:16]


def _open(stem: Path, wanted: EngineRecord) -> tuple[EngineFile | None, str]:
    """The engine file of that stem, or why it cannot be used."""
    name = stem.name
    try:
        document = json.loads(_with_suffix(stem, '.json').read_text(encoding='utf-8'))
        record = decode(EngineRecord, document, f'{name}.json')
        differing = _differing(record, wanted)
        if differing:
            return None, f'{name} is of another {differing}'
        for suffix, digest in (record.files or {}).items():
            if _digest(_with_suffix(stem, suffix)) != digest:
                return None, f'{name}{suffix} is damaged'
    except (OSError, ValueError, Monodepth2Error) as err:
        return None, f'{name} is damaged ({err})'
    return EngineFile(record=record, stem=stem), ''


def _differing(record: EngineRecord, wanted: EngineRecord) -> str:
    """What a record does not share with the wanted one, in words; empty if it fits."""
    for key, words in (
        ('schema', 'schema'),
        ('engine', 'engine'),
        ('precision', 'precision'),
        ('model_sha256', 'model'),
        ('library', 'version'),
        ('machine', 'processor'),
    ):
        ours, theirs = getattr(wanted, key), getattr(record, key)
        if ours != theirs:
            short = key in ('model_sha256', 'machine')
            return words if short else f'{words} ({theirs}, not {ours})'
    return ''


def _name(model: Model, engine: str, precision: str) -> str:
    # A link finds the files of the model that it names, and shares them with other links to it.
    return f'{model.path.resolve().stem}.{engine}-{precision}'


def _with_suffix(stem: Path, suffix: str) -> Path:
    # The name holds dots of its own, which Path.with_suffix would cut at.
    return stem.with_name(stem.name + suffix)


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
