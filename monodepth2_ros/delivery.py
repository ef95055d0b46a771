# SPDX-License-Identifier: Apache-2.0
"""What a test of the middleware found: how many of its messages arrived, and what to do if not."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from monodepth2_ros.errors import ConfigError
from monodepth2_ros.health import LOST_HELP, Finding, remark, warning
from monodepth2_ros.typed_document import decode

LEAST_SHARE = 0.9
"""Share of the messages that has to arrive."""

FIND_S = 60.0
"""How long the two processes may take to find each other on a busy computer."""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """The outcome of sending a few large messages from one process to another."""

    middleware: str
    """Name of the middleware, such as ``rmw_fastrtps_cpp``."""
    message_bytes: int
    """Size of one message."""
    sent: int
    """Messages sent, best effort, 25 a second."""
    received: int
    """Messages that arrived."""
    median_ms: float
    """Median time from sending to receiving; 0 if none arrived."""

    @property
    def arrives(self) -> bool:
        """Whether messages of this size can be relied on."""
        return self.received >= LEAST_SHARE * self.sent > 0

    def summary(self) -> str:
        """The outcome in words."""
        delay = f', median {self.median_ms:.1f} ms' if self.received else ''
        return (
            f'{self.received} of {self.sent} messages of {self.message_bytes / 1e6:.2f} MB '
            f'arrived{delay} ({self.middleware})'
        )

    def finding(self) -> Finding:
        """The outcome as one thing worth telling."""
        if self.arrives:
            return remark(self.summary())
        if not self.sent:
            return warning(
                'two processes of this computer do not find each other: check ROS_DOMAIN_ID, '
                'ROS_AUTOMATIC_DISCOVERY_RANGE and the firewall, see docs/deployment.md'
            )
        return warning(f'{self.summary()}: {LOST_HELP}', name='test messages lost')


def to_line(delivery: Delivery) -> str:
    """The outcome as one line of JSON."""
    return json.dumps(asdict(delivery))


def from_line(line: str) -> Delivery:
    """The inverse of ``to_line``.

    Raises:
        ConfigError: the line is no such outcome.
    """
    try:
        return decode(Delivery, json.loads(line), 'delivery')
    except ValueError as err:
        raise ConfigError(f'{line[:80]!r} is no outcome of a middleware test: {err}') from err
