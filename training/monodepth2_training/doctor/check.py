# SPDX-License-Identifier: Apache-2.0
"""One line of ``monodepth2 doctor``, and all of them as text and as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from monodepth2_ros.health import Level


@dataclass(frozen=True, kw_only=True)
class Check:
    """What was found in one field."""

    name: str
    """The field, in one word or two."""
    level: Level
    """OK, WARN (works, but worse than it could) or ERROR (does not work)."""
    text: str
    """What was found and, beyond OK, what to do."""
    facts: dict[str, object] = field(default_factory=dict)
    """The same for programs: names to JSON values."""


def worst(checks: Sequence[Check]) -> Level:
    """The highest level among them."""
    return max((check.level for check in checks), default=Level.OK)


def as_text(checks: Sequence[Check]) -> str:
    """One line a check."""
    width = max(len(check.name) for check in checks)
    return '\n'.join(f'{c.level.name.lower():<5}  {c.name:<{width}}  {c.text}' for c in checks)


def as_document(checks: Sequence[Check]) -> dict[str, object]:
    """All checks, ready for JSON."""
    return {
        'level': worst(checks).name.lower(),
        'checks': [
            {
                'name': c.name,
                'level': c.level.name.lower(),
                'text': c.text,
                'facts': _finite(c.facts),
            }
            for c in checks
        ],
    }


def _finite(value: Any) -> Any:
    """The same, with None for numbers that JSON has no form for."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
