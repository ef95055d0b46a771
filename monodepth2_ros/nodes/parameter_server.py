# SPDX-License-Identifier: Apache-2.0
"""Declares the parameters on a node, keeps the checked set of them, and guards their changes.

A bad value or an unknown name given at start does not end the process: it is remembered and fails
the configuration with its text, until the parameter is set right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from monodepth2_ros.errors import ConfigError
from monodepth2_ros.nodes import parameters
from monodepth2_ros.nodes.parameters import NodeParameters

_FOREIGN = ('use_sim_time', 'start_type_description_service')
_FOREIGN_PREFIX = 'qos_overrides.'
_START_ONLY = ('autostart', 'diagnostics_period_s')


class ParameterServer:
    """The node's parameters as one checked ``NodeParameters``."""

    def __init__(
        self,
        node: Node,
        *,
        is_configured: Callable[[], bool],
        on_change: Callable[[NodeParameters], None],
    ) -> None:
        """Declare all parameters with the values given at start.

        Args:
            node: made with ``automatically_declare_parameters_from_overrides=True``, so that all
                names that the user gave are known here.
            is_configured: whether only live parameters may change now.
            on_change: called with the new set after every accepted change.
        """
        self._is_configured = is_configured
        self._on_change = on_change
        self._faults: dict[str, str] = {}
        given = _take_given(node)
        for name in sorted(set(given) - set(parameters.names())):
            self._faults[name] = _fault(name)
        values = {name: self._start_value(name, given) for name in parameters.names()}
        for name, value in values.items():
            node.declare_parameter(name, value, _descriptor(name), ignore_override=True)
        self._current = self._together(values)
        node.add_on_set_parameters_callback(self._on_set)

    @property
    def current(self) -> NodeParameters:
        """The parameters in force."""
        return self._current

    def checked(self) -> NodeParameters:
        """The parameters, if nothing given at start was wrong.

        Raises:
            ConfigError: with every fault that is not mended yet.
        """
        if self._faults:
            raise ConfigError('; '.join(self._faults.values()))
        return self._current

    def _start_value(self, name: str, given: dict[str, object]) -> object:
        value = parameters.coerced(name, given.get(name, parameters.default(name)))
        try:
            parameters.check_value(name, value)
        except ConfigError as err:
            self._faults[name] = str(err)
            return parameters.default(name)
        return value

    def _together(self, values: dict[str, Any]) -> NodeParameters:
        try:
            return NodeParameters(**values)
        except ConfigError as err:
            self._faults[_TOGETHER] = str(err)
            return NodeParameters()

    def _on_set(self, changes: list[Parameter]) -> SetParametersResult:
        own = {each.name: each.value for each in changes if each.name in parameters.names()}
        try:
            for name in own:
                self._refuse_while_configured(name)
            candidate = replace(self._current, **own)
        except ConfigError as err:
            return SetParametersResult(successful=False, reason=str(err))
        self._current = candidate
        for name in (*own, _TOGETHER):
            self._faults.pop(name, None)
        if own:
            self._on_change(candidate)
        return SetParametersResult(successful=True)

    def _refuse_while_configured(self, name: str) -> None:
        if self._is_configured() and not parameters.spec(name).live:
            raise ConfigError(
                f'{name} can change only while the node is unconfigured: run `ros2 lifecycle set` '
                'with deactivate and cleanup, set it, then configure and activate'
            )


_TOGETHER = '(together)'


def _take_given(node: Node) -> dict[str, object]:
    """What the user gave at start, undeclared again so that it can be declared well."""
    given: dict[str, object] = {}
    for name, parameter in node.get_parameters_by_prefix('').items():
        if name in _FOREIGN or name.startswith(_FOREIGN_PREFIX):
            continue
        given[name] = parameter.value
        node.undeclare_parameter(name)
    return given


def _fault(name: str) -> str:
    try:
        parameters.spec(name)
    except ConfigError as err:
        return str(err)
    return f'parameter {name!r} is unusable'


def _descriptor(name: str) -> ParameterDescriptor:
    about = parameters.spec(name)
    notes = [about.description]
    if about.choices:
        notes.append(f'One of {", ".join(about.choices)}.')
    if not about.live and name not in _START_ONLY:
        notes.append('Can change only while the node is unconfigured.')
    descriptor = ParameterDescriptor(description=' '.join(notes), read_only=name in _START_ONLY)
    kind = type(parameters.default(name))
    if about.low is not None and about.high is not None:
        if kind is float:
            ends = FloatingPointRange(from_value=float(about.low), to_value=float(about.high))
            descriptor.floating_point_range = [ends]
        else:
            ends = IntegerRange(from_value=int(about.low), to_value=int(about.high), step=1)
            descriptor.integer_range = [ends]
    return descriptor
