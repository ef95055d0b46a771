# SPDX-License-Identifier: Apache-2.0
"""``monodepth2 scale``: measure how many metres a unit of a model's depth is."""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from monodepth2_ros.errors import ConfigError
from monodepth2_training.shared_files import DEMO, MODEL_HELP, model_path

if TYPE_CHECKING:
    import argparse

    from monodepth2_ros.model_description import Scale
    from monodepth2_ros.model_file import Model
    from monodepth2_training.scale.estimate import ScaleEstimate
    from monodepth2_training.scale.measuring import Measured

HELP = (
    'Measure the scale of a model, metres per unit of its depth, on a recording of the vehicle: '
    'by its odometry, by the height of the camera above the ground, by a lidar or a depth camera. '
    'Methods that differ by more than their spreads are shown side by side and never averaged. '
    '--write puts the value, its spread, the number of frames and the method into the model file. '
    'Exit status 1: no method gives a scale, or --write has several that disagree.'
)
_TRUSTED = ('lidar', 'odometry', 'ground')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument('--model', required=True, help=MODEL_HELP)
    parser.add_argument('--bag', type=Path, required=True, help='a recording of the vehicle')
    parser.add_argument(
        '--method',
        choices=('all', 'odometry', 'ground', 'lidar'),
        default='all',
        help='how to measure; lidar also takes a depth camera (default: all that can)',
    )
    parser.add_argument(
        '--camera-height-m',
        type=float,
        default=0.0,
        metavar='H',
        help='height of the camera above the ground; by default from /tf_static',
    )
    parser.add_argument(
        '--camera', default='', metavar='NAME', help='image topic or namespace of the camera'
    )
    parser.add_argument('--calibration', help='camera YAML instead of the recorded camera_info')
    parser.add_argument(
        '--odometry', default='', metavar='TOPIC', help='odometry (default: found by type)'
    )
    parser.add_argument(
        '--truth', default='', metavar='TOPIC', help='of depth images or a lidar, for lidar'
    )
    parser.add_argument(
        '--extrinsics', type=Path, help='YAML: how the lidar is mounted, instead of /tf_static'
    )
    parser.add_argument(
        '--frames',
        type=int,
        default=200,
        help='most frames for each method (default 200; of odometry no more than 60 are needed)',
    )
    parser.add_argument('--write', action='store_true', help='write the scale to the model file')
    parser.add_argument('--json', action='store_true', help='print JSON')


def run(args: argparse.Namespace) -> int:
    """Measure, print, and write what was found."""
    from monodepth2_ros.geometry.calibration_file import load_calibration
    from monodepth2_ros.model_file import load_model
    from monodepth2_training.evaluation.transforms import load_extrinsics
    from monodepth2_training.scale.measuring import METHODS, MeasureSettings, measure
    from monodepth2_training.scale.plausibility import disagreements

    settings = MeasureSettings(
        methods=METHODS if args.method == 'all' else (args.method,),
        camera=args.camera,
        camera_height_m=args.camera_height_m,
        truth_topic=args.truth,
        extrinsics=None if args.extrinsics is None else load_extrinsics(args.extrinsics),
        odometry_topic=args.odometry,
        calibration=load_calibration(args.calibration) if args.calibration else None,
        frames=args.frames,
    )
    if args.write and args.model == DEMO:
        raise ConfigError(
            '--write cannot be given with --model demo: that file comes with the package; copy it '
            'and name the copy, or leave out --write'
        )
    model = load_model(model_path(args.model))
    with tempfile.TemporaryDirectory() as work:
        found = measure(model, args.bag, Path(work), settings, say=_say)
    known = {m.method: m.estimate for m in found if m.estimate is not None}
    differing = disagreements(list(known.values()))
    doubtful = any(estimate.doubts for estimate in known.values())
    refused = bool(args.write and (differing or doubtful))
    written = _write(model, known) if args.write and known and not refused else None
    before = model.description.scale
    summary = _summary(found, differing, before, written)
    print(json.dumps(summary, indent=2) if args.json else _text(found, differing, before, written))
    if not known:
        _say(f'error: no method gives a scale of {args.model} on {args.bag}')
    elif refused and differing:
        _say('error: nothing is written, because methods disagree: choose one with --method')
    elif refused:
        _say('error: nothing is written, because the scale is doubtful: see above')
    return 0 if known and not refused else 1


def _write(model: Model, known: dict[str, ScaleEstimate]) -> Scale:
    """Write the scale of the most trusted method to the model file."""
    from monodepth2_ros.model_file import describe_anew

    scale = next(known[method].scale() for method in _TRUSTED if method in known)
    describe_anew(model, dataclasses.replace(model.description, scale=scale))
    return scale


def _summary(
    found: tuple[Measured, ...],
    differing: tuple[str, ...],
    before: Scale | None,
    written: Scale | None,
) -> dict[str, object]:
    """Everything, ready for JSON."""
    return {
        'methods': {
            m.method: {'reason': m.reason}
            if m.estimate is None
            else {**dataclasses.asdict(m.estimate), 'uncertainty': m.estimate.uncertainty}
            for m in found
        },
        'disagreements': list(differing),
        'scale before': None if before is None else dataclasses.asdict(before),
        'written': None if written is None else dataclasses.asdict(written),
    }


def _text(
    found: tuple[Measured, ...],
    differing: tuple[str, ...],
    before: Scale | None,
    written: Scale | None,
) -> str:
    """The same in lines."""
    lines = [line for measured in found for line in _measured_lines(measured)]
    lines += [f'DISAGREE: {text}' for text in differing]
    if before is not None:
        lines.append(f'the model file says {before.value:.4g} m per unit: {before.method}')
    if written is not None:
        lines.append(f'written: {written.value:.4g} m per unit by {written.method}')
    return '\n'.join(lines)


def _measured_lines(measured: Measured) -> list[str]:
    """One method: its value, then what there is to know about it."""
    estimate = measured.estimate
    if estimate is None:
        return [f'{measured.method}: no scale: {measured.reason}']
    return [
        f'{measured.method}: {estimate.value:.4g} m per unit, spread {estimate.spread:.1%} over '
        f'{estimate.frames} frames or steps; {estimate.method}',
        *(f'  {note}' for note in estimate.notes if note),
        *(f'  DOUBTFUL: {doubt}' for doubt in estimate.doubts),
    ]


def _say(line: str) -> None:
    print(f'monodepth2 scale: {line}', file=sys.stderr)
