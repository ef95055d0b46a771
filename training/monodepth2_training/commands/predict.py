# SPDX-License-Identifier: Apache-2.0
"""``monodepth2 predict``: depth of an image, a folder of images, a video or a bag."""

from __future__ import annotations

import json
import sys
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from monodepth2_ros.errors import CalibrationError, ConfigError, ImageError
from monodepth2_training.shared_files import MODEL_HELP, model_path

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable

    import numpy as np
    from numpy.typing import NDArray

    from monodepth2_ros.geometry.camera import CameraCalibration
    from monodepth2_ros.inference.estimator import DepthEstimator
    from monodepth2_training.prediction.outputs import Destination
    from monodepth2_training.prediction.pictures import Picture, PictureSource
    from monodepth2_training.prediction.summary import Summary

HELP = (
    'Compute depth of every picture and write it at the size of the picture. Depth is in metres '
    'if the model or --scale says how long its unit is, else it is relative and this is said. A '
    'bag gives one camera, rectified if its calibration has distortion. Files of many pictures '
    'are named after them, or by number (and stamp in a bag). Pictures that cannot be decoded are '
    'skipped, named, and make the exit status 1.'
)
_FORMAT_HELP = (
    'comma-separated: npy (float32), png16 (16-bit PNG in mm, 0 unknown), color (colour PNG); '
    'default by the ending of OUT (.npy, .png is png16), npy in a folder'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    for name, kind, text in (
        ('--model', model_path, MODEL_HELP),
        ('--image', Path, 'image, folder of images, video or bag'),
        ('--out', Path, 'file for one image, else a folder'),
    ):
        parser.add_argument(name, required=True, type=kind, help=text)
    parser.add_argument('--topic', default='', help='image topic or camera namespace in a bag')
    parser.add_argument('--format', default='', help=_FORMAT_HELP)
    parser.add_argument('--colormap', default='magma', help='of colour PNGs (default magma)')
    parser.add_argument(
        '--disparity',
        action='store_true',
        help="write the network's output in (0, 1) at its own size as .npy instead of depth",
    )
    parser.add_argument('--calibration', help='camera YAML; rectifies as the node does')
    parser.add_argument(
        '--rectify',
        choices=('auto', 'never'),
        default='auto',
        help='auto: if the calibration has distortion or rotation (default)',
    )
    parser.add_argument('--scale', type=float, help="metres per network unit (default: model's)")
    _add_inference_arguments(parser)
    parser.add_argument('--every', type=int, default=1, help='take every N-th picture')
    parser.add_argument('--limit', type=int, help='stop after N pictures')
    parser.add_argument('--json', action='store_true', help='print the summary as JSON')


def _add_inference_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how and where the network runs and what is marked as out of range."""
    parser.add_argument(
        '--min-depth-m', type=float, default=0.0, help='nearer becomes -Inf (default: nothing)'
    )
    parser.add_argument(
        '--max-depth-m',
        type=float,
        default=float('inf'),
        help='this far or farther becomes +Inf (default: nothing)',
    )
    parser.add_argument(
        '--flip', action='store_true', help='merge with the mirror image: twice the work'
    )
    parser.add_argument('--device', default='auto', help='auto (default), cpu, cuda or cuda:N')
    parser.add_argument('--threads', type=int, default=0, help='CPU threads; 0: all')


def run(args: argparse.Namespace) -> int:
    """Predict and print a summary."""
    from monodepth2_ros.inference.estimator import DepthEstimator
    from monodepth2_training.prediction.pictures import open_pictures

    _check(args)
    estimator = DepthEstimator.load(
        args.model, device=args.device, flip=args.flip, threads=args.threads
    )
    try:
        with open_pictures(args.image, topic=args.topic) as source:
            summary = _predict(args, estimator, source)
            for note in source.notes():
                print(f'monodepth2 predict: {note}', file=sys.stderr)
    finally:
        estimator.close()
    if not summary.metric and not args.disparity:
        print('monodepth2 predict: relative depth (scale unknown)', file=sys.stderr)
    print(json.dumps(summary.document(), indent=2) if args.json else summary.text())
    if summary.failures:
        first, total = summary.failures[0], summary.images + len(summary.failures)
        raise ImageError(f'{len(summary.failures)} of {total} pictures were skipped: {first}')
    return 0


def _check(args: argparse.Namespace) -> None:
    """Refuse values that cannot be meant."""
    if args.every < 1 or (args.limit is not None and args.limit < 1):
        raise ConfigError('--every and --limit take whole numbers from 1')
    if args.scale is not None and not 0.0 < args.scale < float('inf'):
        raise ConfigError(f'--scale {args.scale} is not usable: expected metres > 0')
    if not 0.0 <= args.min_depth_m < args.max_depth_m:
        raise ConfigError('--min-depth-m and --max-depth-m must be 0 <= min < max')
    if args.disparity and args.format not in ('', 'npy'):
        raise ConfigError('--disparity is written as npy only: leave out --format')
    from monodepth2_ros.inference.colorize import check_colormap

    check_colormap(args.colormap)


def _predict(
    args: argparse.Namespace, estimator: DepthEstimator, source: PictureSource
) -> Summary:
    """Predict every picture of the source."""
    from monodepth2_training.prediction.outputs import choose_destination
    from monodepth2_training.prediction.predictor import Limits, Predictor
    from monodepth2_training.prediction.summary import Summary

    kinds = 'npy' if args.disparity else args.format
    formats = [kind.strip() for kind in kinds.split(',') if kind.strip()]
    destination = choose_destination(
        args.out,
        formats,
        single=source.single,
        colormap=args.colormap,
        inputs=source.files,
    )
    predictor = Predictor(
        estimator,
        calibration=_calibration(args, source),
        scale=args.scale,
        limits=Limits(min_depth_m=args.min_depth_m, max_depth_m=args.max_depth_m),
    )
    for difference in predictor.differences:
        print(f'monodepth2 predict: {difference}', file=sys.stderr)
    pictures = islice(source.pictures, 0, None, args.every)
    started = time.monotonic()
    images, failures = _write_all(
        islice(pictures, args.limit),
        predictor.disparity if args.disparity else predictor.depth,
        destination,
        single=source.single,
    )
    return Summary(
        model=args.model,
        topic=source.topic,
        out=args.out,
        formats=('disparity',) if args.disparity else destination.formats,
        images=images,
        failures=tuple(failures),
        scale=predictor.scale,
        device=str(estimator.device),
        rectified=predictor.rectifies,
        camera=predictor.camera,
        seconds=time.monotonic() - started,
    )


def _calibration(args: argparse.Namespace, source: PictureSource) -> CameraCalibration | None:
    """The calibration to look through: the given one, else the recorded one."""
    from monodepth2_ros.geometry.calibration_file import load_calibration

    if args.rectify == 'never':
        return None
    if args.calibration:
        return load_calibration(args.calibration)
    try:
        return source.calibration.checked() if source.calibration else None
    except CalibrationError as err:
        raise CalibrationError(
            f'the calibration as recorded cannot be used, --rectify never ignores it: {err}'
        ) from err


def _write_all(
    pictures: Iterable[Picture],
    compute: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    destination: Destination,
    *,
    single: bool,
) -> tuple[int, list[str]]:
    """Compute and write each picture; count them and tell why others were skipped."""
    images, failures = 0, []
    for picture in pictures:
        try:
            result = compute(picture.read())
        except (ImageError, CalibrationError) as err:
            if single:
                raise
            failures.append(f'{picture.name}: {err}')
            continue
        destination.write(picture.name, result)
        images += 1
    return images, failures
