# SPDX-License-Identifier: Apache-2.0
"""``monodepth2 export``: the network in the format of an engine, or as ONNX."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from monodepth2_ros.errors import ConfigError

if TYPE_CHECKING:
    import argparse

    from monodepth2_ros.inference.estimator import DepthEstimator
    from monodepth2_training.export.frames import ExportFrames

HELP = (
    "Write a model's network for an engine of the node (torch: compiled for this CPU, openvino, "
    'tensorrt: built for this GPU) or as onnx for other programs. Its depth is compared with that '
    'of the model in float32 on frames of a recording, or of a generated street; a result that '
    'differs too much is refused. Engine files lie beside the model, where the node finds them.'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument('--model', required=True, type=Path, help='model file')
    parser.add_argument(
        '--format', required=True, choices=('torch', 'openvino', 'tensorrt', 'onnx')
    )
    parser.add_argument(
        '--out', type=Path, help='file of an ONNX model, else a folder (default: beside the model)'
    )
    parser.add_argument(
        '--precision',
        default='auto',
        help='auto (what the node takes here), float32, bfloat16, float16 or int8',
    )
    parser.add_argument('--int8', action='store_true', help='the same as --precision int8')
    parser.add_argument('--bag', type=Path, help='recording to calibrate and compare with')
    parser.add_argument('--topic', default='', help='image topic or camera namespace in the bag')
    parser.add_argument('--frames', type=int, default=200, help='most frames of the bag to take')
    parser.add_argument(
        '--max-difference',
        type=float,
        metavar='PERCENT',
        help='largest mean difference of depth (default: 0.01 float32, 0.5 bfloat16, 2 int8)',
    )
    parser.add_argument('--json', action='store_true', help='print JSON')


def run(args: argparse.Namespace) -> int:
    """Export and print what was measured."""
    from monodepth2_ros.inference.estimator import DepthEstimator
    from monodepth2_ros.model_file import load_model
    from monodepth2_training.export.exporting import ExportRequest, export

    _check(args)
    request = ExportRequest(
        format=args.format,
        precision='int8' if args.int8 else args.precision,
        out=args.out,
        max_difference=None if args.max_difference is None else args.max_difference / 100.0,
    )
    if request.precision == 'int8' and args.bag is None:
        raise ConfigError('int8 is fitted to real frames: give a recording by --bag')
    estimator = DepthEstimator.load(args.model, device='cpu')
    print('monodepth2 export: this takes a minute or so', file=sys.stderr)
    exported = export(load_model(args.model), request, _frames(args, estimator))
    print(json.dumps(exported.document(), indent=2) if args.json else exported.text())
    return 0


def _check(args: argparse.Namespace) -> None:
    """Refuse values that cannot be meant."""
    if args.frames < 2:
        raise ConfigError(f'--frames {args.frames} is not usable: expected 2 or more')
    if args.int8 and args.precision not in ('auto', 'int8'):
        raise ConfigError('--int8 and --precision contradict each other: give one of them')
    if args.topic and args.bag is None:
        raise ConfigError('--topic goes with --bag')
    target = args.out or args.model.with_suffix('.onnx')
    inputs = [path.resolve() for path in (args.model, args.bag) if path is not None]
    if args.format == 'onnx' and target.resolve() in inputs:
        raise ConfigError(f'{target} is the input: give another file for the ONNX model by --out')
    if args.format == 'onnx' and target.is_dir():
        raise ConfigError(f'--out {target} is a folder: give a file for the ONNX model')
    if args.format != 'onnx' and args.out is not None and args.out.is_file():
        raise ConfigError(
            f'--out {args.out} is a file: give a folder, the node finds its files by their names'
        )


def _frames(args: argparse.Namespace, estimator: DepthEstimator) -> ExportFrames:
    """The frames of the recording, or generated ones."""
    from monodepth2_training.export.frames import generated_frames, recorded_frames

    if args.bag is None:
        return generated_frames(estimator)
    return recorded_frames(estimator, args.bag, topic=args.topic, limit=args.frames)
