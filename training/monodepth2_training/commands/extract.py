# SPDX-License-Identifier: Apache-2.0
"""``monodepth2 extract``: make a frame store of recordings, to train on."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from monodepth2_ros.errors import ConfigError

if TYPE_CHECKING:
    import argparse

    from monodepth2_training.data.extraction_settings import ExtractionSettings
    from monodepth2_training.data.frame_store import FrameStore
    from monodepth2_training.data.guards import Finding

HELP = (
    'Rectify the pictures of one camera, or of a stereo pair, bring them to the size of the '
    'network as the node does, and write them into a folder that training reads at once. Says '
    'what could not be used and what would spoil the training. Run again after an interruption, '
    'it goes on. RECORDING is a bag of ROS 1 or 2, a video or a folder of images.'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument('recordings', metavar='RECORDING', type=Path, nargs='+')
    parser.add_argument('out', metavar='OUT', type=Path, help='folder of the frame store')
    parser.add_argument('--width', type=int, default=640, help='columns (default 640)')
    parser.add_argument('--height', type=int, default=192, help='rows (default 192)')
    parser.add_argument(
        '--resize', choices=('bilinear', 'lanczos'), default='bilinear', help='default bilinear'
    )
    parser.add_argument(
        '--camera',
        action='append',
        default=[],
        metavar='NAME',
        help='image topic or namespace; needed if there are several, twice for a stereo pair',
    )
    parser.add_argument('--stereo', action='store_true', help='both cameras of a rectified pair')
    parser.add_argument(
        '--calibration', metavar='YAML', help='camera YAML; replaces the recorded one'
    )
    parser.add_argument(
        '--odometry', default='', metavar='TOPIC', help='odometry (default: found by type)'
    )
    parser.add_argument(
        '--fps', type=float, default=0.0, help='true frame rate of a video or folder of images'
    )
    parser.add_argument(
        '--split',
        default='',
        metavar='FILE',
        help="list of frames of KITTI's raw data; RECORDING is its root",
    )
    parser.add_argument('--keep-every', type=int, default=1, help='take every N-th picture')
    parser.add_argument('--max-frames', type=int, default=0, help='most pictures of each camera')
    parser.add_argument('--start-s', type=float, default=0.0, help='begin so long after the start')
    parser.add_argument('--end-s', type=float, default=0.0, help='end so long after the start')
    parser.add_argument(
        '--batch-size', type=int, default=12, help='of the training, to judge by (default 12)'
    )
    parser.add_argument('--force', action='store_true', help='replace the store OUT if it exists')
    parser.add_argument('--json', action='store_true', help='print the summary as JSON')


def run(args: argparse.Namespace) -> int:
    """Extract, judge and print a summary."""
    from monodepth2_ros.geometry.calibration_file import load_calibration
    from monodepth2_training.allocator import keep_freed_memory
    from monodepth2_training.commands.progress import ProgressLine
    from monodepth2_training.data.extraction import extract
    from monodepth2_training.data.guards import check_store

    if args.batch_size < 1:
        raise ConfigError(f'--batch-size {args.batch_size} is not usable: expected 1 or more')
    settings = _settings(args)
    calibration = load_calibration(args.calibration) if args.calibration else None
    keep_freed_memory()
    started_s = time.monotonic()
    progress = ProgressLine(0)
    try:
        store = extract(
            args.recordings,
            args.out,
            settings,
            calibration=calibration,
            afresh=args.force,
            watch=progress.reach,
        )
    finally:
        progress.close()
    findings = check_store(store, batch_size=args.batch_size)
    report = _report(store, findings, time.monotonic() - started_s)
    print(json.dumps(report, indent=2) if args.json else _text(store, findings, report))
    return 0


def _settings(args: argparse.Namespace) -> ExtractionSettings:
    from monodepth2_training.data.extraction_settings import ExtractionSettings

    return ExtractionSettings(
        width=args.width,
        height=args.height,
        resize=args.resize,
        cameras=tuple(args.camera),
        stereo=args.stereo,
        odometry=args.odometry,
        fps=args.fps,
        split=args.split,
        keep_every=args.keep_every,
        max_frames=args.max_frames,
        start_s=args.start_s,
        end_s=args.end_s,
    )


def _report(
    store: FrameStore, findings: tuple[Finding, ...], elapsed_s: float
) -> dict[str, object]:
    import numpy as np

    cameras = []
    for number, camera in enumerate(store.cameras):
        table = store.frames(number)
        cameras.append(
            {
                'name': camera.name,
                'image_topic': camera.image_topic,
                'frames': len(table),
                'parts': len(np.unique(table.part)),
                'with_odometry': int(np.isfinite(table.odometry[:, 0]).sum()),
                'camera': dataclasses.asdict(camera.camera),
                'position_m': camera.position_m,
                'channels': camera.channels,
            }
        )
    return {
        'store': str(store.path),
        'sources': list(store.sources),
        'width': store.width,
        'height': store.height,
        'resize': store.resize,
        'cameras': cameras,
        'messages': store.tally,
        'notes': list(store.document.progress.notes),
        'findings': [dataclasses.asdict(finding) for finding in findings],
        'seconds': round(elapsed_s, 2),
    }


def _text(store: FrameStore, findings: tuple[Finding, ...], report: dict[str, object]) -> str:
    frames = sum(len(store.frames(number)) for number in range(len(store.cameras)))
    tally = ', '.join(f'{count} {outcome}' for outcome, count in store.tally.items())
    lines = [
        f'{store.path}: {frames} pictures of {store.width}x{store.height} from '
        f'{", ".join(store.sources)} in {report["seconds"]} s',
        f'messages: {tally}',
    ]
    for number, stored in enumerate(store.cameras):
        camera = stored.camera
        lines.append(
            f'{stored.name}: {len(store.frames(number))} pictures, fx {camera.fx_px:.2f} fy '
            f'{camera.fy_px:.2f} cx {camera.cx_px:.2f} cy {camera.cy_px:.2f}'
            + (f', {stored.position_m:.4f} m to the right' if stored.position_m else '')
        )
    lines += [f'note: {note}' for note in store.document.progress.notes]
    return '\n'.join(lines + [finding.text() for finding in findings])
