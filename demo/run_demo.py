#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plays a drive through player, DDS and depth node, and leaves pictures, a bag and figures."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Make the project importable from a bare checkout, then run the demo."""
    for folder in (ROOT / 'training', ROOT):
        sys.path.insert(0, str(folder))
    from demo.main import main as run

    return run()


if __name__ == '__main__':
    sys.exit(main())
