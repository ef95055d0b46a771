# SPDX-License-Identifier: Apache-2.0
"""Strict reading of JSON or YAML documents into frozen dataclasses.

Every key must be a field, every field without a default must be there, every value must have the
field's type; a message names the place, what came and what was expected.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from monodepth2_ros.errors import ConfigError

T = TypeVar('T')


def decode(kind: type[T], value: object, where: str) -> T:
    """Build a ``kind`` from plain mappings, lists, numbers and strings.

    Args:
        kind: a dataclass whose fields are dataclasses, ``X | None``, ``tuple[X, ...]``,
            ``dict[str, X]``, int, float, str or bool.
        value: what ``json.loads`` or ``yaml.safe_load`` gave.
        where: name of the place, for messages.

    Raises:
        ConfigError: a key or value does not fit.
    """
    decoded: T = _decode(kind, value, where)
    return decoded


def nearest(name: str, known: Iterable[str]) -> str:
    """A clause that names the known name nearest to ``name``, or lists them all."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f'did you mean {close[0]!r}?' if close else f'known are {", ".join(names)}'


def _decode(kind: Any, value: object, where: str) -> Any:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _decode_dataclass(kind, value, where)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return None if value is None else _decode(arguments[0], value, where)
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(_decode(arguments[0], v, f'{where}[{i}]') for i, v in enumerate(value))
    if origin is dict and isinstance(value, Mapping):
        return {str(k): _decode(arguments[1], v, f'{where}.{k}') for k, v in value.items()}
    return _decode_scalar(kind, value, where)


def _decode_dataclass(kind: type[Any], value: object, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise ConfigError(f'{where} is {value!r}: expected a mapping')
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for key in value:
        if key not in fields:
            raise ConfigError(f'{where} has an unknown key {key!r}: {nearest(str(key), fields)}')
    hints = get_type_hints(kind)
    for name, field in fields.items():
        if name not in value and _is_required(field):
            raise ConfigError(f'{where} lacks the key {name!r}')
    return kind(**{k: _decode(hints[k], v, f'{where}.{k}') for k, v in value.items()})


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is field.default_factory is dataclasses.MISSING


def _decode_scalar(kind: Any, value: object, where: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    plain = get_origin(kind) or kind
    fits = plain is kind and isinstance(value, plain)
    if fits and (kind is bool or not isinstance(value, bool)):
        return value
    name = getattr(plain, '__name__', str(kind))
    raise ConfigError(f'{where} is {value!r}: expected a value of type {name}')
