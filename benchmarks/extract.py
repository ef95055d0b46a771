#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures ``monodepth2 extract`` against decoding the same messages with OpenCV alone.

Usage: extract.py RECORDING [--stereo] [--repeats N]

Each way has a process of its own, with a thread for every core, and works when its turn comes;
all read the recording by the same code. ``cv2.imdecode`` is run as it decodes by default, to three
channels: as a script would run it, and in a process that keeps freed memory. Else each picture of
two megabytes has its pages cleared anew, which can take as long as its decoding. Leaving grey
pictures in one channel is a way, too. ``extract`` keeps freed memory as its command does; its rate
is that of the whole call: opening, calibration, odometry, rectification, resize, motion, writing.
Its share of another way's rate is the median over the repeats, each of which runs all ways one
after the other: machines drift by more from one minute to the next than the ways differ.
"""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import resource
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import cv2
import numpy as np
from monodepth2_training.allocator import keep_freed_memory
from monodepth2_training.data.bags import (
    DriveFrame,
    choose_drive_camera,
    choose_stereo_pair,
    drive_frames,
)
from monodepth2_training.data.extraction import ExtractionSettings, extract
from monodepth2_training.data.ordered_work import in_order

from monodepth2_ros.processor import core_count, processor
from monodepth2_ros.recordings import cdr, open_recording

Way = Callable[[argparse.Namespace, Path], int]


class Run(NamedTuple):
    """One pass over the recording."""

    rate_hz: float
    """Frames a second."""
    cpu_ms: float
    """Processor time a frame, over all threads."""
    page_faults: float
    """Pages a frame that the system had to clear."""


_EXTRACT = 'monodepth2 extract'


def main() -> None:
    """Run all ways in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('recording', type=Path)
    parser.add_argument('--stereo', action='store_true')
    parser.add_argument('--repeats', type=int, default=7)
    args = parser.parse_args()
    colour = partial(_decode, flags=cv2.IMREAD_COLOR)
    grey = partial(_decode, flags=cv2.IMREAD_UNCHANGED)
    ways: dict[str, tuple[Way, bool]] = {
        'cv2.imdecode, three channels': (colour, False),
        'the same, freed memory kept': (colour, True),
        'grey in one channel, freed memory kept': (grey, True),
        _EXTRACT: (_extract, True),
    }
    with ExitStack() as stack:
        processes = {name: stack.enter_context(_process(keep)) for name, (_, keep) in ways.items()}
        runs: dict[str, list[Run]] = {name: [] for name in ways}
        for repeat in range(args.repeats + 1):
            for name, (way, _) in ways.items():
                run = processes[name].submit(_timed, way, args).result()
                if repeat:
                    runs[name].append(run)
    _print_table(args, runs)


def _process(keep_memory: bool) -> ProcessPoolExecutor:
    """A process that works when it is told to."""
    context = multiprocessing.get_context('spawn')
    begin = keep_freed_memory if keep_memory else None
    return ProcessPoolExecutor(1, mp_context=context, initializer=begin)


def _timed(way: Way, args: argparse.Namespace) -> Run:
    """Run a way once, here; what it leaves in its folder is deleted afterwards."""
    with TemporaryDirectory(prefix='extract_') as folder:
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        started_s, cpu_started_s = time.perf_counter(), time.process_time()
        frames = way(args, Path(folder))
        return Run(
            rate_hz=frames / (time.perf_counter() - started_s),
            cpu_ms=1e3 * (time.process_time() - cpu_started_s) / frames,
            page_faults=(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults) / frames,
        )


def _decode(args: argparse.Namespace, _: Path, flags: int) -> int:
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


def _extract(args: argparse.Namespace, folder: Path) -> int:
    """Extract the recording; gives the number of pictures stored."""
    settings = ExtractionSettings(stereo=args.stereo)
    store = extract([args.recording], folder / 'store', settings)
    return sum(len(store.frames(camera)) for camera in range(len(store.cameras)))


def _print_table(args: argparse.Namespace, runs: dict[str, list[Run]]) -> None:
    print(f'{args.recording.name}, {core_count()} cores, {processor().name}')
    print(
        f'Python {platform.python_version()}, OpenCV {cv2.__version__}, '
        f'{args.repeats} repeats in turn\n'
    )
    print(
        '| way | frames/s, best | median | CPU ms a frame, best | page faults a frame '
        '| extract by rate | by CPU time |'
    )
    print('|---|---|---|---|---|---|---|')
    extracted = runs[_EXTRACT]
    for name, all_runs in runs.items():
        pairs = list(zip(extracted, all_runs, strict=True))
        print(
            f'| {name} | {max(run.rate_hz for run in all_runs):.0f} | '
            f'{statistics.median(run.rate_hz for run in all_runs):.0f} | '
            f'{min(run.cpu_ms for run in all_runs):.2f} | '
            f'{statistics.median(run.page_faults for run in all_runs):.0f} | '
            f'{statistics.median(ours.rate_hz / run.rate_hz for ours, run in pairs):.0%} | '
            f'{statistics.median(run.cpu_ms / ours.cpu_ms for ours, run in pairs):.0%} |'
        )


if __name__ == '__main__':
    main()
