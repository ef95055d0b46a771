# SPDX-License-Identifier: Apache-2.0
"""Finds message classes by name, and the QoS that recorded and recording topics want."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

_DEPTH = 10


def message_class(type_name: str) -> Any | None:
    """The class of ``package/msg/Name``; None when that package is not installed."""
    package, _, name = type_name.partition('/msg/')
    if not package or not name:
        return None
    try:
        return getattr(import_module(f'{package}.msg'), name, None)
    except ImportError:
        return None


def playing_qos(*, latched: bool, depth: int = _DEPTH) -> QoSProfile:
    """Reliable, keeping the last ``depth``; transient local when latched."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=_durability(latched=latched),
    )


def listening_qos(*, reliable: bool, depth: int, latched: bool = False) -> QoSProfile:
    """Keeping the last ``depth``; transient local when latched, to get what was sent before."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=_durability(latched=latched),
    )


def _durability(*, latched: bool) -> DurabilityPolicy:
    return DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
