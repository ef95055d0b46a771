# SPDX-License-Identifier: Apache-2.0
"""What a node says about its parameters, written down once in a frozen dataclass; free of ROS.

A field made by ``parameter`` carries default, description and legal values. A tuple of texts
stands for a list.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from monodepth2_ros.errors import ConfigError
from monodepth2_ros.typed_document import nearest

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_KINDS = {
    bool: 'true or false',
    int: 'a whole number',
    float: 'a real number',
    str: 'text',
    tuple: 'a list of texts',
}


@dataclass(frozen=True, kw_only=True)
class ParameterSpec:
    """What is said about one parameter beside its default."""

    description: str
    """Meaning and unit."""
    low: float | None = None
    """Smallest legal number."""
    high: float | None = None
    """Largest legal number."""
    choices: tuple[str, ...] = ()
    """Legal texts; empty means any."""
    live: bool = False
    """Whether it may change while the node is configured."""


def parameter(default: Any, description: str, **spec: Any) -> Any:
    """A dataclass field that is a parameter; ``spec`` is the rest of ``ParameterSpec``."""
    return field(
        default=default, metadata={'spec': ParameterSpec(description=description, **spec)}
    )


class ParameterTable:
    """All parameters of one dataclass, by name."""

    def __init__(self, kind: type[DataclassInstance]) -> None:
        """Read the fields of ``kind``, each made by ``parameter``."""
        self._fields: Mapping[str, Field[Any]] = {each.name: each for each in fields(kind)}

    def names(self) -> tuple[str, ...]:
        """All parameters in the order of their declaration."""
        return tuple(self._fields)

    def spec(self, name: str) -> ParameterSpec:
        """The spec of the parameter ``name``.

        Raises:
            ConfigError: there is no such parameter; names the nearest one.
        """
        if name not in self._fields:
            raise ConfigError(f'unknown parameter {name!r}: {nearest(name, self._fields)}')
        found: ParameterSpec = self._fields[name].metadata['spec']
        return found

    def default(self, name: str) -> Any:
        """The default of the parameter ``name``."""
        return self._fields[name].default

    def coerced(self, name: str, value: object) -> object:
        """``value`` in the parameter's type, where nothing is lost by it.

        YAML files give a whole number for a real one, ROS gives a list for a tuple, and an empty
        list comes as one empty text, because it would have no type.
        """
        kind = type(self.default(name))
        if kind is float and type(value) is int:
            return float(value)
        if kind is tuple and isinstance(value, (list, tuple)):
            return tuple(entry for entry in value if entry != '')
        return value

    def check(self, name: str, value: object) -> None:
        """Refuse a value of another type, outside the range, or not among the choices.

        Raises:
            ConfigError: naming the parameter, what came and what was expected.
        """
        about, kind = self.spec(name), type(self.default(name))
        if type(value) is not kind:
            raise ConfigError(
                f'{name} is {value!r} ({type(value).__name__}): expected {_KINDS[kind]}'
            )
        if isinstance(value, tuple) and not all(isinstance(entry, str) for entry in value):
            raise ConfigError(f'{name} is {value!r}: expected {_KINDS[tuple]}')
        if about.choices and value not in about.choices:
            raise ConfigError(
                f'{name} is {value!r}: {nearest(str(value), about.choices)}'
                f' (one of {", ".join(about.choices)})'
            )
        if isinstance(value, (int, float)) and about.low is not None and about.high is not None:
            _check_range(name, value, about.low, about.high)

    def check_all(self, values: object) -> None:
        """Check every field of an instance of the dataclass.

        Raises:
            ConfigError: as ``check``, for the first bad one.
        """
        for name in self._fields:
            self.check(name, getattr(values, name))


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not math.isfinite(value) or not low <= value <= high:
        raise ConfigError(f'{name} is {value}: expected {low:g} to {high:g}')
