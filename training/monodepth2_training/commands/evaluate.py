# SPDX-License-Identifier: Apache-2.0
"""``monodepth2 evaluate``: how good a model is on a recording."""

from __future__ import annotations

import dataclasses
import json
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from monodepth2_ros.errors import ConfigError, EvaluationError, Monodepth2Error
from monodepth2_training.commands import evaluate_sets
from monodepth2_training.shared_files import MODEL_HELP, model_path

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from monodepth2_ros.geometry.camera import CameraCalibration
    from monodepth2_training.evaluation.bag_predictions import BagPredictions
    from monodepth2_training.evaluation.evaluation import Evaluation

HELP = (
    'Compare the depth that a model predicts with the lidar or the depth images of a recording: '
    'in metres, with one factor for the recording, and with each frame scaled to its truth; by '
    'distance and by place; beside guesses that never look. OUT gets evaluation.html, .md and '
    '.json. Without truth it says what motion and pictures tell. Truth that does not fit the '
    'pictures, in place or in time, is said first.'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument('--model', type=model_path, help=MODEL_HELP)
    parser.add_argument('--bag', type=Path, help='recording to evaluate on')
    parser.add_argument('--out', type=Path, help='folder for the reports (default: none)')
    parser.add_argument('--json', action='store_true', help='print the figures as JSON')
    _add_truth_arguments(parser)
    parser.add_argument(
        '--motion',
        action='store_true',
        help='also say what needs no truth: photometric error, motion against odometry',
    )
    parser.add_argument('--every', type=int, default=1, help='judge every N-th frame with truth')
    parser.add_argument('--limit', type=int, default=500, help='judge at most N (default 500)')
    parser.add_argument('--crop', choices=('none', 'garg'), default='none', help="garg: KITTI's")
    parser.add_argument('--min-depth-m', type=float, default=1e-3, help='nearer truth is left out')
    parser.add_argument(
        '--max-depth-m', type=float, default=80.0, help='farther truth is left out (default 80)'
    )
    parser.add_argument('--flip', action='store_true', help='merge with the mirror image')
    parser.add_argument('--device', default='auto', help='auto (default), cpu, cuda or cuda:N')
    parser.add_argument('--threads', type=int, default=0, help='CPU threads; 0: all')
    evaluate_sets.add_set_arguments(parser)


def _add_truth_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where truth comes from."""
    parser.add_argument('--camera', default='', help='image topic or camera namespace')
    parser.add_argument('--truth', default='', help='topic of depth images or of a PointCloud2')
    parser.add_argument(
        '--extrinsics', type=Path, help='YAML: how the lidar is mounted, instead of /tf_static'
    )
    parser.add_argument('--calibration', help='camera YAML instead of the recorded camera_info')
    parser.add_argument(
        '--tolerance-ms',
        type=float,
        default=20.0,
        help='truth farther from its picture in time is left out (default 20)',
    )
    parser.add_argument(
        '--truth-delay-ms',
        type=float,
        default=0.0,
        help="by how much the truth's stamps are late: taken off them",
    )
    parser.add_argument(
        '--keep-hidden',
        action='store_true',
        help='also count points that the lidar sees past what hides them from the camera',
    )


def run(args: argparse.Namespace) -> int:
    """Evaluate, print and write."""
    from monodepth2_training.evaluation.documents import document, markdown

    _check(args)
    on_set = evaluate_sets.wanted(args)
    evaluation = evaluate_sets.evaluate(args) if on_set else _on_recording(args)
    if args.out is not None:
        from monodepth2_training.report.evaluation_writing import write_evaluation

        page = write_evaluation(evaluation, args.out)
        print(f'monodepth2 evaluate: {page}', file=sys.stderr)
    figures = json.dumps(document(evaluation), indent=2, allow_nan=False)
    print(figures if args.json else markdown(evaluation), end='\n' if args.json else '')
    if not evaluation.says_anything:
        raise EvaluationError(f'nothing could be judged: {evaluation.doubts[0].what}')
    return 0


def _check(args: argparse.Namespace) -> None:
    """Refuse values that cannot be meant."""
    if args.every < 1 or args.limit < 1:
        raise ConfigError('--every and --limit take whole numbers from 1')
    if not 0.0 <= args.tolerance_ms < float('inf') or not abs(args.truth_delay_ms) < float('inf'):
        raise ConfigError('--tolerance-ms takes a number from 0 on, --truth-delay-ms any number')


@contextmanager
def _predictions(args: argparse.Namespace, pictures: int) -> Iterator[BagPredictions]:
    """What is judged of so many pictures, closed at the end."""
    from monodepth2_training.evaluation.bag_predictions import ImportedDepth, ModelDepth

    if args.predictions is not None:
        from monodepth2_training.evaluation.set_predictions import import_predictions

        imported = import_predictions(args.predictions, scale=args.scale)
        yield ImportedDepth(imported, pictures=pictures)
        return
    from monodepth2_ros.inference.estimator import DepthEstimator

    estimator = DepthEstimator.load(
        args.model, device=args.device, flip=args.flip, threads=args.threads
    )
    try:
        yield ModelDepth(estimator)
    finally:
        estimator.close()


def _on_recording(args: argparse.Namespace) -> Evaluation:
    """Evaluate on the recording."""
    from monodepth2_ros.geometry.calibration_file import load_calibration
    from monodepth2_ros.recordings import open_recording
    from monodepth2_training.commands.progress import ProgressLine
    from monodepth2_training.data.bags import choose_one_camera
    from monodepth2_training.evaluation.bag import JudgeSettings, evaluate_bag
    from monodepth2_training.evaluation.depth_errors import DepthLimits
    from monodepth2_training.evaluation.transforms import load_extrinsics
    from monodepth2_training.evaluation.true_frames import TruthSettings

    limits = DepthLimits(min_depth_m=args.min_depth_m, max_depth_m=args.max_depth_m)
    truth = TruthSettings(
        camera=args.camera,
        topic=args.truth,
        extrinsics=None if args.extrinsics is None else load_extrinsics(args.extrinsics),
        tolerance_s=args.tolerance_ms / 1e3,
        delay_s=args.truth_delay_ms / 1e3,
        keep_hidden=args.keep_hidden,
        every=args.every,
    )
    settings = JudgeSettings(limits=limits, garg=args.crop == 'garg', most_frames=args.limit)
    calibration = load_calibration(args.calibration) if args.calibration else None
    progress = ProgressLine(args.limit)
    with open_recording(args.bag, calibration=calibration) as recording:
        image = choose_one_camera(recording, args.camera).image
        with _predictions(args, recording.topic(image).count) as predictions:
            evaluation = evaluate_bag(
                recording, predictions, truth, settings, on_frame=progress.reach
            )
        progress.close()
        for note in recording.notes:
            print(f'monodepth2 evaluate: {note}', file=sys.stderr)
    if args.model is not None and (evaluation.depth is None or args.motion):
        return _with_self_check(evaluation, args, image, calibration)
    return evaluation


def _with_self_check(
    evaluation: Evaluation,
    args: argparse.Namespace,
    image_topic: str,
    calibration: CameraCalibration | None,
) -> Evaluation:
    """Add what can be said without truth; where that is nothing, the reason."""
    from monodepth2_training.evaluation.evaluation import Doubt
    from monodepth2_training.evaluation.without_truth import check_without_truth

    try:
        with TemporaryDirectory(prefix='monodepth2_') as folder:
            found = check_without_truth(
                args.bag, image_topic, args.model, Path(folder) / 'frames', calibration=calibration
            )
    except Monodepth2Error as err:
        doubt = Doubt(what=f'Motion was not looked at: {err}.', advice='', urgent=False)
        return dataclasses.replace(evaluation, doubts=[*evaluation.doubts, doubt])
    return dataclasses.replace(evaluation, tables=found.tables, motion=found.motion)
