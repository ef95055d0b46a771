# SPDX-License-Identifier: Apache-2.0
"""Declares ROS parameters from a frozen dataclass, so that each is written down once.

Text, switches, numbers and lists of text are told apart by their defaults; a tuple stands for a
list.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field, fields
from typing import TYPE_CHECKING, Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterValueException
from rclpy.node import Node

from monodepth2_ros.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_Parameters = TypeVar('_Parameters', bound='DataclassInstance')
_KINDS = {bool: 'true or false', int: 'a whole number', float: 'a number', str: 'text'}


def parameter(
    default: Any, description: str, *, low: float = -math.inf, high: float = math.inf
) -> Any:
    """A dataclass field that is a ROS parameter.

    Args:
        default: its default, which also fixes its type.
        description: what ``ros2 param describe`` says.
        low: smallest legal number.
        high: largest legal number.
    """
    return field(default=default, metadata={'description': description, 'low': low, 'high': high})


def declare(node: Node, kind: type[_Parameters]) -> _Parameters:
    """Declare all fields of a dataclass as read-only parameters and give their values.

    Raises:
        ConfigError: a value of the wrong type or outside its range.
    """
    values = {}
    for item in fields(kind):
        # An empty list has no type in rclpy, so that empty entries stand for none.
        initial = item.default
        if isinstance(initial, tuple):
            initial = list(initial) or ['']
        descriptor = _descriptor(item.default, item.metadata)
        try:
            value = node.declare_parameter(item.name, initial, descriptor).value
        except InvalidParameterValueException as err:
            raise ConfigError(str(err)) from err
        values[item.name] = _checked(item.name, value, item.default, item.metadata)
    return kind(**values)


def _checked(name: str, value: Any, default: Any, metadata: Mapping[str, Any]) -> Any:
    if isinstance(default, tuple):
        if not isinstance(value, (list, tuple)) or not all(
            isinstance(item, str) for item in value
        ):
            raise ConfigError(f'parameter {name} is {value!r}: expected a list of texts')
        return tuple(entry for entry in value if entry)
    kind = type(default)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise ConfigError(f'parameter {name} is {value!r}: expected {_KINDS[kind]}')
    low, high = metadata['low'], metadata['high']
    if kind in (int, float) and not (low <= value <= high and math.isfinite(value)):
        raise ConfigError(f'parameter {name} is {value}: expected {low:g} to {high:g}')
    return value


def _descriptor(default: Any, metadata: Mapping[str, Any]) -> ParameterDescriptor:
    # Typing is left to _checked, which takes a whole number for a real one as YAML files give it.
    descriptor = ParameterDescriptor(
        description=metadata['description'], read_only=True, dynamic_typing=True
    )
    low, high = metadata['low'], metadata['high']
    if not math.isfinite(low) or not math.isfinite(high):
        return descriptor
    if type(default) is float:
        descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    elif type(default) is int:
        descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
    return descriptor
