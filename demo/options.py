# SPDX-License-Identifier: Apache-2.0
"""The demo's command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to play, through what, and where to leave the results."""

    out: Path
    """Folder of the results; emptied of those of an earlier run."""
    recording: Path | None = None
    """Bag, video or image folder; None generates a drive."""
    model: Path | None = None
    """Model file; None takes the one that comes with the demo."""
    calibration: Path | None = None
    """Calibration YAML that replaces a recorded one."""
    camera: str = 'auto'
    """Camera topic or namespace; ``auto`` takes the first."""
    fps: float = 0.0
    """True frame rate of a video or image folder; 0 takes its own."""
    seconds: float = 0.0
    """How much to play; 0 plays all."""
    frames: int = 100
    """Length of the generated drive."""
    device: str = 'auto'
    """Where the network runs."""
    domain: int | None = None
    """ROS domain; None takes a free one."""
    keep_every: int = 0
    """Store every n-th frame in the bag; 0 keeps the bag below 300 MB."""


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line; wrong usage ends the program with status 2."""
    given = vars(_parser().parse_args(arguments))
    sources = (given.pop('bag'), given.pop('video'))
    return Options(recording=next((path for path in sources if path), None), **given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='run_demo.py', description='Play a drive through the depth node and show the result.'
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument('--bag', type=Path, help='ROS 1 or 2 bag to play (default: generate one)')
    source.add_argument('--video', type=Path, help='video or image folder to play')
    add = parser.add_argument
    add('--out', type=Path, default=Path('demo/out'), help='folder of the results (%(default)s)')
    add('--model', type=Path, help='.safetensors model file (default: the one beside this)')
    add(
        '--calibration',
        type=Path,
        help='calibration YAML, for a video or instead of a recorded one',
    )
    add('--camera', default='auto', help='camera topic or namespace (%(default)s: the first)')
    add('--fps', type=float, default=0.0, help='true rate of the video (default: its own)')
    add('--seconds', type=float, default=0.0, help='how much to play (default: all)')
    add('--frames', type=int, default=100, help='length of the generated drive (%(default)s)')
    add('--device', default='auto', help='cpu, cuda or auto (%(default)s)')
    add('--domain', type=int, help='ROS_DOMAIN_ID (default: a free one)')
    add('--keep-every', type=int, default=0, help='store every n-th frame (default: by size)')
    return parser
