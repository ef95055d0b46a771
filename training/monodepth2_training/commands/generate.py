# SPDX-License-Identifier: Apache-2.0
"""``monodepth2 generate``: write a generated drive with exact depth as a bag."""

from __future__ import annotations

import argparse
import json
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

    from monodepth2_training.world.drive import Drive, DriveFrame, DriveSettings

HELP = (
    'Render the drive of a vehicle through a generated street and write it as a rosbag2 in MCAP: '
    'camera images, calibration, odometry, exact depth (metres; +Inf in the sky) and the mounting '
    'of the camera. The same arguments give the same drive. Nothing is left of a drive that '
    'failed or was interrupted. Name it without .bag, which some tools take for ROS 1.'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument('out', metavar='OUT', type=Path, help='folder of the bag, say drive')
    parser.add_argument('--frames', type=int, default=200, help='frames (default 200)')
    parser.add_argument('--width', type=int, default=640, help='columns (default 640)')
    parser.add_argument('--height', type=int, default=192, help='rows (default 192)')
    parser.add_argument('--seed', type=int, default=0, help='another one, another street')
    parser.add_argument('--rate-hz', type=float, default=10.0, help='frames/s (default 10)')
    parser.add_argument('--speed-m-s', type=float, default=8.0, help='usual speed (default 8)')
    parser.add_argument(
        '--baseline-m',
        type=float,
        default=0.0,
        help='add a second camera so far to the right, on /camera_right (default none)',
    )
    parser.add_argument(
        '--variety',
        action='store_true',
        help='let the seed also draw weather, light, camera (lens, distortion, colour, mounting), '
        'people, signs, motion blur and compression',
    )
    for name, text in (
        ('moving-cars', 'traffic besides parked cars'),
        ('standstill', 'one stop at a crossing, in drives of 8 s and more'),
        ('exposure-changes', 'a camera whose exposure varies'),
        ('noise', 'noise of the camera'),
    ):
        switch = argparse.BooleanOptionalAction
        parser.add_argument(f'--{name}', action=switch, default=True, help=text)
    parser.add_argument('--device', default='auto', help='auto (default), cpu, cuda or cuda:N')
    parser.add_argument('--force', action='store_true', help='replace the bag OUT if it exists')
    parser.add_argument('--json', action='store_true', help='print the summary as JSON')


def run(args: argparse.Namespace) -> int:
    """Generate, write and print a summary."""
    from monodepth2_ros.inference.engines.device import choose_device
    from monodepth2_training.world.drive import Drive
    from monodepth2_training.world.drive_bag import refuse_existing
    from monodepth2_training.world.parallel import rendered_frames

    refuse_existing(args.out, replace=args.force)
    settings = _settings(args)
    device, _ = choose_device(args.device)
    started_s = time.monotonic()
    drive = Drive(settings, device)
    _write(rendered_frames(drive, device), drive, args.out, replace=args.force)
    report = _report(drive, args.out, str(device), time.monotonic() - started_s)
    print(json.dumps(report, indent=2) if args.json else _text(report))
    return 0


def _settings(args: argparse.Namespace) -> DriveSettings:
    from monodepth2_training.world.drive import DriveSettings

    return DriveSettings(
        frames=args.frames,
        width=args.width,
        height=args.height,
        seed=args.seed,
        rate_hz=args.rate_hz,
        speed_m_s=args.speed_m_s,
        moving_cars=args.moving_cars,
        standstill=args.standstill,
        exposure_changes=args.exposure_changes,
        noise=args.noise,
        baseline_m=args.baseline_m,
        variety=args.variety,
    )


def _write(
    frames: Generator[DriveFrame, None, None], drive: Drive, out: Path, *, replace: bool
) -> None:
    """Render and write all frames with a progress line."""
    from monodepth2_training.commands.progress import ProgressLine
    from monodepth2_training.world.drive_bag import new_bag

    progress = ProgressLine(len(drive))
    try:
        with closing(frames), new_bag(out, drive, replace=replace) as bag:
            for frame in frames:
                bag.write(frame)
                progress.step()
    finally:
        progress.close()


def _report(drive: Drive, out: Path, device: str, elapsed_s: float) -> dict[str, object]:
    settings, ego = drive.settings, drive.ego
    stop = ego.profile.stop_s
    walkers = sum(vehicle.swing_m is not None for vehicle in drive.scene.vehicles)
    return {
        'bag': str(out),
        'frames': settings.frames,
        'width': settings.width,
        'height': settings.height,
        'rate_hz': settings.rate_hz,
        'baseline_m': settings.baseline_m,
        'variety': settings.variety,
        'seed': settings.seed,
        'distance_m': round(float(ego.along_m(settings.duration_s)), 2),
        'standstill_s': None if stop is None else [round(time_s, 2) for time_s in stop],
        'moving_cars': len(drive.moving_instances) - walkers,
        'walking_people': walkers,
        'device': device,
        'seconds': round(elapsed_s, 2),
        'frames_per_second': round(settings.frames / elapsed_s, 2),
    }


def _text(report: dict[str, object]) -> str:
    return (
        f'{report["bag"]}: {report["frames"]} frames of {report["width"]}x{report["height"]} at '
        f'{report["rate_hz"]:g} Hz over {report["distance_m"]} m, {report["moving_cars"]} moving '
        f'cars, seed {report["seed"]}; {report["seconds"]} s on {report["device"]} '
        f'({report["frames_per_second"]} frames/s)'
    )
