# SPDX-License-Identifier: Apache-2.0
"""Reads launch arguments, which come as text; an error names the argument."""

from __future__ import annotations

import math

from monodepth2_ros.errors import ConfigError


def number(name: str, text: str) -> float:
    """A launch argument as a number of 0 or more.

    Raises:
        ConfigError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isfinite(value) and value >= 0.0:
        return value
    raise ConfigError(f'{name}:={text} is no number of 0 or more, as in {name}:=2.5')
