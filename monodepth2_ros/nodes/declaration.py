# SPDX-License-Identifier: Apache-2.0
"""Declares the parameters of a table on a node, and refuses names that are not among them.

The node has to be made with ``automatically_declare_parameters_from_overrides=True``: only so does
rclpy tell which names the user gave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

from monodepth2_ros.nodes.parameter_table import ParameterTable

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_Parameters = TypeVar('_Parameters', bound='DataclassInstance')
_FOREIGN = ('use_sim_time', 'start_type_description_service')
_FOREIGN_PREFIX = 'qos_overrides.'


def take_given(node: Node) -> dict[str, object]:
    """What the user gave at start, undeclared again so that it can be declared well."""
    given: dict[str, object] = {}
    for name, parameter in node.get_parameters_by_prefix('').items():
        if name in _FOREIGN or name.startswith(_FOREIGN_PREFIX):
            continue
        given[name] = parameter.value
        node.undeclare_parameter(name)
    return given


def declare(
    node: Node,
    table: ParameterTable,
    name: str,
    value: object,
    *,
    read_only: bool,
    note: str = '',
) -> None:
    """Declare one parameter with its value, description and range; ``note`` ends the former."""
    # rclpy cannot tell the type of an empty list.
    initial = (list(value) or ['']) if isinstance(value, tuple) else value
    descriptor = _descriptor(table, name, read_only=read_only, note=note)
    node.declare_parameter(name, initial, descriptor, ignore_override=True)


def read_once(node: Node, kind: type[_Parameters]) -> _Parameters:
    """Declare all parameters of a dataclass as read-only, and give their values.

    Raises:
        ConfigError: an unknown name, a value of the wrong type or outside its range.
    """
    table, given = ParameterTable(kind), take_given(node)
    for name in given:
        table.spec(name)
    values = {}
    for name in table.names():
        values[name] = table.coerced(name, given.get(name, table.default(name)))
        table.check(name, values[name])
        declare(node, table, name, values[name], read_only=True)
    return kind(**values)


def _descriptor(
    table: ParameterTable, name: str, *, read_only: bool, note: str
) -> ParameterDescriptor:
    about, kind = table.spec(name), type(table.default(name))
    notes = [about.description]
    if about.choices:
        notes.append(f'One of {", ".join(about.choices)}.')
    if note:
        notes.append(note)
    descriptor = ParameterDescriptor(description=' '.join(notes), read_only=read_only)
    if about.low is None or about.high is None:
        return descriptor
    if kind is float:
        ends = FloatingPointRange(from_value=float(about.low), to_value=float(about.high))
        descriptor.floating_point_range = [ends]
    else:
        steps = IntegerRange(from_value=int(about.low), to_value=int(about.high), step=1)
        descriptor.integer_range = [steps]
    return descriptor
