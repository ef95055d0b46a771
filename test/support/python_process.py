# SPDX-License-Identifier: Apache-2.0
"""Code in a Python process of its own, where what is loaded and set does not matter to others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    'PYTHONPATH': f'{ROOT}{os.pathsep}{ROOT / "training"}',
    'PATH': os.environ['PATH'],
    'OMP_NUM_THREADS': '1',
}


def run_python(code: str, *arguments: str, stdin: str = '') -> subprocess.CompletedProcess[str]:
    """Run code to its end, whatever its status."""
    return subprocess.run(
        [sys.executable, '-c', code, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        check=False,
        timeout=60,
    )
