# SPDX-License-Identifier: Apache-2.0
"""The demo from beginning to end: prepare, run, judge, draw, report."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from demo import figures, model, options, run, source, strip
from demo.problems import DemoError
from monodepth2_ros.errors import Monodepth2Error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; 0 when depth came out, 1 with the reason when not, 130 when interrupted."""
    try:
        _demo(options.parse(arguments))
    except KeyboardInterrupt:
        print('\ndemo: interrupted; all nodes are stopped', file=sys.stderr)
        return 130
    except Monodepth2Error as err:
        print(f'demo: {err}', file=sys.stderr)
        return 1
    return 0


def _demo(wanted: options.Options) -> None:
    started_s = time.monotonic()
    _clear(wanted.out)
    _say(1, 'the drive')
    drive = source.prepare(wanted)
    print(f'  {drive.path}: {drive.frames} frames of {drive.width}x{drive.height}')
    _say(2, 'the model')
    chosen = model.prepare(wanted.model)
    print(f'  {chosen.path}')
    _say(3, f'player -> DDS -> depth node -> recorder, {drive.duration_s:.0f} s in real time')
    outcome = run.run(drive, chosen, wanted)
    _say(4, 'pictures and figures')
    results = figures.collect(drive, chosen, outcome)
    if not results.depth_frames:
        raise DemoError(
            f'no depth came out; the node says: {results.node_says}; see {wanted.out / "logs"}'
        )
    picture = wanted.out / 'strip.png'
    strip.draw(drive, chosen, outcome, headline=figures.headline(results), path=picture)
    figures.write(results, wanted.out / 'summary.json')
    print(figures.text(results))
    print(f'\n  pictures  {picture}\n  bag       {outcome.bag} (RViz, Foxglove, ros2 bag)')
    print(f'  figures   {wanted.out / "summary.json"}')
    print(f'  done in {time.monotonic() - started_s:.0f} s')


def _say(step: int, text: str) -> None:
    print(f'[demo {step}/4] {text}', flush=True)


def _clear(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for name in ('outputs', 'logs'):
        shutil.rmtree(out / name, ignore_errors=True)
    for name in ('strip.png', 'summary.json'):
        (out / name).unlink(missing_ok=True)
