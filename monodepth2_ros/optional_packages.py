# SPDX-License-Identifier: Apache-2.0
"""Python packages that only some work needs: whether one is there, and its import."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from monodepth2_ros.errors import Monodepth2Error


def missing_package(name: str, *, install: str = '') -> str:
    """Why a package cannot be imported, as part of a sentence; empty if it is there.

    Args:
        name: of the package, not of a module in it.
        install: how to get it; ``pip install`` and its name by default.
    """
    if importlib.util.find_spec(name) is not None:
        return ''
    return f'Python has no {name} ({install or f"pip install {name}"})'


def load_package(
    name: str, *, cannot: str, error: type[Monodepth2Error], install: str = ''
) -> Any:
    """Import a package, or a module of it.

    Args:
        name: for example ``onnx`` or ``evo.core.metrics``.
        cannot: what cannot be done without it, as the beginning of a sentence.
        error: what to raise.
        install: as for ``missing_package``.

    Raises:
        Monodepth2Error: an ``error``, if the package is missing or its import fails.
    """
    try:
        return importlib.import_module(name)
    except ImportError as err:
        reason = missing_package(name.partition('.')[0], install=install) or err
        raise error(f'{cannot}: {reason}') from err
