# SPDX-License-Identifier: Apache-2.0
"""Declares the parameters on a node, keeps the checked set of them, and guards their changes.

A bad value or an unknown name given at start does not end the process: it is remembered and fails
the configuration with its text, until the parameter is set right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from monodepth2_ros.errors import ConfigError
from monodepth2_ros.nodes.declaration import declare, take_given
from monodepth2_ros.nodes.parameters import TABLE, NodeParameters

_START_ONLY = ('autostart', 'diagnostics_period_s')
_FIXED = 'Can change only while the node is unconfigured.'


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
        given = take_given(node)
        for name in given:
            with self._noting_fault(name):
                TABLE.spec(name)
        self._values: dict[str, Any] = {
            name: self._start_value(name, given) for name in TABLE.names()
        }
        for name, value in self._values.items():
            start_only = name in _START_ONLY
            note = '' if TABLE.spec(name).live or start_only else _FIXED
            declare(node, TABLE, name, value, read_only=start_only, note=note)
        self._current = self._together()
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

    @contextmanager
    def _noting_fault(self, name: str) -> Iterator[None]:
        try:
            yield
        except ConfigError as err:
            self._faults[name] = str(err)

    def _start_value(self, name: str, given: dict[str, object]) -> object:
        value = TABLE.coerced(name, given.get(name, TABLE.default(name)))
        with self._noting_fault(name):
            TABLE.check(name, value)
        return TABLE.default(name) if name in self._faults else value

    def _together(self) -> NodeParameters:
        """The values given at start; while they contradict each other, those of the start alone.

        Nothing else is used before the node is configured, which has to wait until they are
        mended.
        """
        with self._noting_fault(_TOGETHER):
            return NodeParameters(**self._values)
        return NodeParameters(**{name: self._values[name] for name in _START_ONLY})

    def _on_set(self, changes: list[Parameter]) -> SetParametersResult:
        own = {each.name: each.value for each in changes if each.name in TABLE.names()}
        values = self._values | own
        try:
            for name in own:
                self._refuse_while_configured(name)
            candidate = NodeParameters(**values)
        except ConfigError as err:
            return SetParametersResult(successful=False, reason=str(err))
        self._current, self._values = candidate, values
        for name in (*own, _TOGETHER):
            self._faults.pop(name, None)
        if own:
            self._on_change(candidate)
        return SetParametersResult(successful=True)

    def _refuse_while_configured(self, name: str) -> None:
        if self._is_configured() and not TABLE.spec(name).live:
            raise ConfigError(
                f'{name} can change only while the node is unconfigured: run `ros2 lifecycle set` '
                'with deactivate and cleanup, set it, then configure and activate'
            )


_TOGETHER = '(together)'
