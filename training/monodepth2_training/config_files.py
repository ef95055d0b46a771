# SPDX-License-Identifier: Apache-2.0
"""Training configurations as YAML: found by name, built upon each other, read strictly.

A file may begin with ``extends: NAME`` and then holds only what differs from that one. Every key
has to be known; a wrong one is refused with the nearest that is.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from monodepth2_ros.atomic_file import write_atomically
from monodepth2_ros.errors import ConfigError
from monodepth2_ros.typed_document import decode, nearest
from monodepth2_training.config import TrainingConfig
from monodepth2_training.shared_files import shared_folders, shared_places

EXTENDS = 'extends'
"""The key that names what a file is built upon."""

_SUFFIX = '.yaml'


def read_config(name: str, overrides: Iterable[str] = ()) -> TrainingConfig:
    """Read a configuration.

    Args:
        name: one that comes with the package, as ``mono_640x192``, or the path of a file.
        overrides: changes like ``optimisation.epochs=3``; later ones win.

    Raises:
        ConfigError: there is no such file, it is no YAML, or a key or value does not fit.
    """
    path = find_config(name)
    document = {'name': path.stem, **_read_chain(path, ())}
    for override in overrides:
        document = _merge(document, _parse_override(override))
    return decode(TrainingConfig, document, path.name)


def write_config(config: TrainingConfig, path: Path) -> None:
    """Write a configuration out in full, so that ``read_config`` gives the same again."""
    document = _plain(dataclasses.asdict(config))
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    write_atomically(path, text.encode())


def find_config(name: str) -> Path:
    """The file of a configuration.

    Raises:
        ConfigError: there is none; the message names the nearest that is there.
    """
    if name.endswith((_SUFFIX, '.yml')) or os.sep in name:
        if not Path(name).is_file():
            raise ConfigError(
                f'{name} does not exist: give a YAML file or a name: {_listing(name)}'
            )
        return Path(name)
    for folder in config_folders():
        if (folder / f'{name}{_SUFFIX}').is_file():
            return folder / f'{name}{_SUFFIX}'
    raise ConfigError(f'no training configuration is called {name!r}: {_listing(name)}')


def config_folders() -> list[Path]:
    """Folders with configurations: of the source tree, of pip's and of colcon's installation."""
    return shared_folders('config', 'training')


def known_configs() -> list[str]:
    """Names of all configurations that come with the package."""
    return sorted({path.stem for folder in config_folders() for path in folder.glob('*.yaml')})


def _listing(name: str) -> str:
    """The configuration nearest to a name, or all."""
    known = known_configs()
    if not known:
        places = ', '.join(str(place) for place in shared_places('config', 'training'))
        return f'none are installed: not one YAML file in {places}'
    return nearest(Path(name).stem, known)


def _read_chain(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    """A file's document on top of those that it extends."""
    if path in seen:
        raise ConfigError(f'{path} extends itself by way of {", ".join(p.name for p in seen)}')
    document = _read_yaml(path)
    base = document.pop(EXTENDS, None)
    if base is None:
        return document
    if not isinstance(base, str):
        raise ConfigError(
            f'{path.name}.{EXTENDS} is {base!r}: expected the name of a configuration'
        )
    beside = path.with_name(f'{base}{_SUFFIX}')
    parent = beside if beside.is_file() else find_config(base)
    return _merge(_read_chain(parent, (*seen, path)), document)


def _read_yaml(path: Path) -> dict[str, Any]:
    """A file's document, a mapping."""
    try:
        document = yaml.load(path.read_text(encoding='utf-8'), _StrictLoader)
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f'{path} cannot be read: {err}') from err
    except yaml.YAMLError as err:
        raise ConfigError(f'{path} is no YAML: {err}') from err
    if not isinstance(document, dict):
        raise ConfigError(f'{path} holds {type(document).__name__}: expected keys and values')
    return document


def _parse_override(text: str) -> dict[str, Any]:
    """``a.b=3`` as {'a': {'b': 3}}."""
    key, separator, value = text.partition('=')
    parts = key.strip().split('.')
    if not separator or not all(parts):
        raise ConfigError(f'{text!r} is no setting: expected key=value, as optimisation.epochs=3')
    try:
        document = yaml.load(value, _StrictLoader)
    except yaml.YAMLError as err:
        raise ConfigError(f'the value of {text!r} is no YAML: {err}') from err
    for part in reversed(parts):
        document = {part: document}
    return dict(document)


def _merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """The base with the change's values; mappings are merged, everything else replaced."""
    merged = dict(base)
    for key, value in change.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            merged[key] = _merge(old, value)
        else:
            merged[key] = value
    return merged


def _plain(value: Any) -> Any:
    """Tuples as lists, for YAML."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


class _StrictLoader(yaml.SafeLoader):
    """Plain YAML, but 1e-4 is a number, and a key that stands twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Refuse a key that stands twice."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f'the key {key!r} stands twice', node.start_mark
                )
        return super().construct_mapping(node, deep)


_StrictLoader.add_implicit_resolver(
    'tag:yaml.org,2002:float',
    re.compile(r'[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+'),
    list('-+.0123456789'),
)
