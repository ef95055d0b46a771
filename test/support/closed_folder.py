# SPDX-License-Identifier: Apache-2.0
"""A folder that may not be entered, whoever runs the tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NOBODY = 65534


@contextmanager
def closed_folder(path: Path) -> Iterator[Path]:
    """Make a folder that this process may not enter; root becomes nobody meanwhile."""
    path.mkdir(mode=0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(_NOBODY)
    try:
        yield path
    finally:
        os.seteuid(user)
        path.chmod(0o700)
