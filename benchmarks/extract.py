#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures ``monodepth2 extract`` against decoding the same messages with OpenCV alone.

Usage: extract.py RECORDING [--stereo] [--repeats N]

All ways take turns in one process, each with a thread for every core, and each reads the recording
by the same code. ``cv2.imdecode`` is run as it decodes by default, to three channels, and leaving
grey pictures in one. The rate of ``extract`` is that of the whole call: opening, calibration,
odometry, rectification, resize, motion, writing. Reported is the best of all repeats, since a
disturbance by other programs only ever takes time away, and the CPU time of all threads.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp

import cv2
import numpy as np
from monodepth2_training.data.bags import (
    DriveFrame,
    choose_drive_camera,
    choose_stereo_pair,
    drive_frames,
)
from monodepth2_training.data.extraction import ExtractionSettings, extract
from monodepth2_training.data.ordered_work import core_count, in_order

from monodepth2_ros.recordings import cdr, open_recording


def main() -> None:
    """Run all ways in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('recording', type=Path)
    parser.add_argument('--stereo', action='store_true')
    parser.add_argument('--repeats', type=int, default=7)
    args = parser.parse_args()
    ways: dict[str, Callable[[], int]] = {
        'cv2.imdecode, three channels': lambda: _decode(args, cv2.IMREAD_COLOR),
        'cv2.imdecode, grey in one channel': lambda: _decode(args, cv2.IMREAD_UNCHANGED),
        'monodepth2 extract': lambda: _extract(args),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    cpu_ms: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(args.repeats + 1):
        for name, way in ways.items():
            started_s, cpu_started_s = time.perf_counter(), time.process_time()
            frames = way()
            if repeat:
                rates[name].append(frames / (time.perf_counter() - started_s))
                cpu_ms[name].append(1e3 * (time.process_time() - cpu_started_s) / frames)
    _print_table(args, rates, cpu_ms)


def _decode(args: argparse.Namespace, flags: int) -> int:
    """Read the recording and decode its pictures; gives their number."""

    def decode(frame: DriveFrame) -> None:
        data = cdr.parse_image(frame.message).data
        if cv2.imdecode(np.asarray(data), flags) is None:
            raise SystemExit('OpenCV cannot decode these messages')

    with open_recording(args.recording) as recording:
        cameras = (
            choose_stereo_pair(recording) if args.stereo else [choose_drive_camera(recording)]
        )
        frames = drive_frames(recording, cameras)
        return sum(1 for _ in in_order(frames, decode, workers=core_count()))


def _extract(args: argparse.Namespace) -> int:
    """Extract the recording; gives the number of pictures stored."""
    folder = Path(mkdtemp(prefix='extract_'))
    try:
        settings = ExtractionSettings(stereo=args.stereo)
        store = extract([args.recording], folder / 'store', settings)
        return sum(len(store.frames(camera)) for camera in range(len(store.cameras)))
    finally:
        shutil.rmtree(folder)


def _print_table(
    args: argparse.Namespace, rates: dict[str, list[float]], cpu_ms: dict[str, list[float]]
) -> None:
    best = {name: max(values) for name, values in rates.items()}
    print(f'{args.recording.name}, {core_count()} cores, {platform.platform()}')
    print(
        f'Python {platform.python_version()}, OpenCV {cv2.__version__}, '
        f'{args.repeats} repeats in turn\n'
    )
    print(
        '| way | frames/s, best | median | CPU ms a frame, best | extract by rate | by CPU time |'
    )
    print('|---|---|---|---|---|---|')
    for name, values in rates.items():
        by_rate = best['monodepth2 extract'] / best[name]
        by_cpu = min(cpu_ms[name]) / min(cpu_ms['monodepth2 extract'])
        print(
            f'| {name} | {best[name]:.0f} | {float(np.median(values)):.0f} | '
            f'{min(cpu_ms[name]):.2f} | {by_rate:.0%} | {by_cpu:.0%} |'
        )


if __name__ == '__main__':
    main()
