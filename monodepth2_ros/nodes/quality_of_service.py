# SPDX-License-Identifier: Apache-2.0
"""Quality of service by name, and what the middleware reports about matches and losses."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import TYPE_CHECKING, Any

from rclpy.qos import (
    QoSCompatibility,
    QoSHistoryPolicy,
    QoSProfile,
    QoSReliabilityPolicy,
    qos_check_compatible,
    qos_policy_name_from_kind,
)
from rclpy.qos_overriding_options import QoSOverridingOptions

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks

if TYPE_CHECKING:
    from rclpy.node import Node

_RELIABILITY = {
    'sensor_data': QoSReliabilityPolicy.BEST_EFFORT,
    'best_effort': QoSReliabilityPolicy.BEST_EFFORT,
    'reliable': QoSReliabilityPolicy.RELIABLE,
    'system_default': QoSReliabilityPolicy.SYSTEM_DEFAULT,
}
_SENSOR_DATA_DEPTH = 5


def profile(name: str) -> QoSProfile:
    """A volatile, keep-last profile: the last 5 messages for sensor_data, else the last one."""
    return QoSProfile(
        history=QoSHistoryPolicy.KEEP_LAST,
        depth=_SENSOR_DATA_DEPTH if name == 'sensor_data' else 1,
        reliability=_RELIABILITY[name],
    )


def overridable(node: Node, topic: str, entity: str) -> QoSOverridingOptions:
    """Let the qos_overrides.* parameters that the user gave change history, depth, reliability.

    The others stay undeclared: they would keep the first profile's values for every later one.

    Args:
        node: made with ``automatically_declare_parameters_from_overrides=True``, so that it has
            what the user gave, and no more.
        topic: as it is resolved.
        entity: publisher or subscription.
    """
    prefix = f'qos_overrides.{topic}.{entity}'
    policies = QoSOverridingOptions.with_default_policies().policy_kinds
    return QoSOverridingOptions(
        [each for each in policies if node.has_parameter(f'{prefix}.{each.name.lower()}')]
    )


class QosWatch:
    """Remembers which partners cannot be matched."""

    def __init__(self) -> None:
        self._mismatches: dict[str, str] = {}
        self._shown: set[str] = set()

    @property
    def mismatches(self) -> tuple[str, ...]:
        """One line for each topic with a partner that cannot be matched."""
        return tuple(self._mismatches.values())

    def clear(self) -> None:
        """Forget the mismatches, as when the topics are opened anew."""
        self._mismatches.clear()
        self._shown.clear()

    def refresh(self, node: Node) -> None:
        """Forget a mismatch that ROS's graph has shown and shows no more: no event tells its end.

        Args:
            node: whose topics they are.
        """
        for topic in tuple(self._mismatches):
            if _is_mismatched(node, topic):
                self._shown.add(topic)
            elif topic in self._shown:
                self._shown.discard(topic)
                del self._mismatches[topic]

    def publisher_events(self, topic: str) -> PublisherEventCallbacks:
        """Callbacks for a publisher of ours."""
        return PublisherEventCallbacks(
            incompatible_qos=lambda info: self._mismatch(
                topic, 'a subscriber asks for', 'output_qos', info
            )
        )

    def subscription_events(
        self, topic: str, on_lost: Callable[[int], None] | None = None
    ) -> SubscriptionEventCallbacks:
        """Callbacks for a subscription of ours; ``on_lost`` gets the number of lost messages."""
        lost = None if on_lost is None else lambda info: on_lost(info.total_count_change)
        return SubscriptionEventCallbacks(
            incompatible_qos=lambda info: self._mismatch(
                topic, 'a publisher offers', 'image_qos', info
            ),
            message_lost=lost,
        )

    def _mismatch(self, topic: str, partner: str, parameter: str, info: Any) -> None:
        policy = qos_policy_name_from_kind(info.last_policy_kind)
        self._mismatches[topic] = (
            f'{topic}: {partner} another {policy} than ours, so nothing passes between us: '
            f'change {parameter} or the partner'
        )


def _is_mismatched(node: Node, topic: str) -> bool:
    """Whether a publisher and a subscription, one of them of ``node``, do not fit each other."""
    own = node.get_name(), node.get_namespace()
    pairs = product(
        node.get_publishers_info_by_topic(topic), node.get_subscriptions_info_by_topic(topic)
    )
    return any(
        own in ((each.node_name, each.node_namespace) for each in pair)
        and qos_check_compatible(*(each.qos_profile for each in pair))[0] == QoSCompatibility.ERROR
        for pair in pairs
    )
