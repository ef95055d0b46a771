# SPDX-License-Identifier: Apache-2.0
"""What ``monodepth2 evaluate`` does on the field's data sets instead of a recording."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from monodepth2_ros.errors import ConfigError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from monodepth2_training.evaluation.data_set import DataSet
    from monodepth2_training.evaluation.evaluation import Evaluation
    from monodepth2_training.evaluation.odometry.evaluation import PathResult
    from monodepth2_training.evaluation.odometry.recorded_path import RecordedPath
    from monodepth2_training.evaluation.odometry.sequence import KittiSequence
    from monodepth2_training.evaluation.set_predictions import Predictions

_SETS = ('kitti', 'kitti_odometry', 'kitti_server', 'make3d')
_OPTIONS = tuple(f'--{name.replace("_", "-")}' for name in _SETS)
_BELONGS = {
    'trajectory': 'bag',
    'camera': 'bag',
    'truth': 'bag',
    'extrinsics': 'bag',
    'calibration': 'bag',
    'split': 'kitti',
    'kitti_crop': 'kitti',
    'submission': 'kitti_server',
    'scale': 'predictions',
}
"""Options that mean something beside another one only."""


def add_set_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of data sets."""
    group = parser.add_argument_group(
        'data sets, instead of --bag',
        'All frames of a set are judged, by the rules of the published evaluations; --every, '
        '--limit, --crop and the depth limits are for recordings.',
    )
    for name, text in (
        ('--kitti', "KITTI's raw data: the folder with the days in it; needs --split"),
        ('--kitti-odometry', 'KITTI odometry: the folder with sequences and poses in it'),
        ('--kitti-server', 'pictures of the depth benchmark without truth; needs --submission'),
        ('--make3d', 'Make3D: the folder with Test134 and Gridlaserdata in it'),
    ):
        group.add_argument(name, type=Path, metavar='FOLDER', help=text)
    group.add_argument('--split', type=Path, metavar='FILE', help='test files, as md2 or Eigen')
    group.add_argument(
        '--kitti-truth',
        choices=('lidar', 'improved'),
        default='lidar',
        help='one scan (default), or the annotated depth maps',
    )
    group.add_argument(
        '--kitti-crop',
        choices=('garg', 'eigen', 'none'),
        default='',
        help='default: garg for lidar, none for improved, as the papers',
    )
    group.add_argument(
        '--sequences', default='09,10', help='of KITTI odometry, comma-separated (default 09,10)'
    )
    group.add_argument(
        '--trajectory',
        action='store_true',
        help='with --bag: judge predicted motion by the recorded odometry, as on KITTI odometry',
    )
    group.add_argument(
        '--predictions',
        type=Path,
        metavar='PATH',
        help='instead of --model: .npy of all disparities, or a folder of .npy or depth .png; '
        'of a bag, one for each picture of the camera',
    )
    group.add_argument(
        '--scale', type=float, help='metres per unit of --predictions (md2 stereo: 5.4)'
    )
    group.add_argument(
        '--submission', type=Path, metavar='OUT', help='folder for 16-bit depth pictures'
    )


def wanted(args: argparse.Namespace) -> bool:
    """Whether a data set is asked for; refuses it beside a recording or another set.

    Raises:
        ConfigError: more than one thing, or nothing, to evaluate on, or by.
    """
    asked = [name for name in _SETS if getattr(args, name) is not None]
    if len(asked) + (args.bag is not None) != 1:
        raise ConfigError(f'evaluate on one of --bag, {", ".join(_OPTIONS)}')
    motion = args.kitti_odometry is not None or args.trajectory or args.motion
    if (args.model is None) == (args.predictions is None) or (motion and args.model is None):
        raise ConfigError('give --model, or else --predictions, which tell depth and no motion')
    if args.scale is not None and not 0.0 < args.scale < float('inf'):
        raise ConfigError(f'--scale {args.scale} is not usable: expected metres > 0')
    for option, owner in _BELONGS.items():
        if getattr(args, option) and getattr(args, owner) is None:
            both = [f'--{name.replace("_", "-")}' for name in (option, owner)]
            raise ConfigError(f'{both[0]} goes with {both[1]}: leave it out, or give both')
    return bool(asked) or args.trajectory


def evaluate(args: argparse.Namespace) -> Evaluation:
    """Evaluate on the data set that is asked for."""
    if args.kitti_odometry is not None:
        return _odometry(args)
    if args.trajectory:
        return _recorded(args)
    if args.kitti_server is not None:
        return _submission(args)
    data = _data_set(args)
    from monodepth2_training.commands.progress import ProgressLine
    from monodepth2_training.evaluation.set_evaluation import evaluate_set

    progress = ProgressLine(len(data.frames))
    with _predictions(args) as predictions:
        facts = (('flip post-processing', 'yes' if args.flip else 'no'),)
        evaluation = evaluate_set(data, predictions, facts=facts, progress=progress.reach)
    progress.close()
    return evaluation


def _data_set(args: argparse.Namespace) -> DataSet:
    """The set of the arguments."""
    if args.make3d is not None:
        from monodepth2_training.evaluation.make3d import make3d_set

        return make3d_set(args.make3d)
    from monodepth2_training.evaluation.kitti.raw import kitti_set
    from monodepth2_training.evaluation.kitti.split import WHERE_FROM, read_split

    if args.split is None:
        raise ConfigError(f'--kitti needs --split FILE, the list of test files: {WHERE_FROM}')
    return kitti_set(
        args.kitti, read_split(args.split), truth=args.kitti_truth, crop=args.kitti_crop
    )


def _predictions(args: argparse.Namespace) -> AbstractContextManager[Predictions]:
    """What is judged, closed at the end."""
    from contextlib import contextmanager

    from monodepth2_training.evaluation.set_predictions import (
        ModelPredictions,
        import_predictions,
    )

    @contextmanager
    def opened() -> Iterator[Predictions]:
        if args.predictions is not None:
            yield import_predictions(args.predictions, scale=args.scale)
            return
        from monodepth2_ros.inference.estimator import DepthEstimator

        estimator = DepthEstimator.load(
            args.model, device=args.device, flip=args.flip, threads=args.threads
        )
        try:
            yield ModelPredictions(estimator, args.model.name)
        finally:
            estimator.close()

    return opened()


def _odometry(args: argparse.Namespace) -> Evaluation:
    """Judge motion on sequences of KITTI odometry."""
    from monodepth2_training.evaluation.odometry.evaluation import evaluate_paths
    from monodepth2_training.evaluation.odometry.sequence import open_sequence

    names = [name.strip() for name in args.sequences.split(',') if name.strip()]
    sequences = [open_sequence(args.kitti_odometry, name) for name in names]
    if not sequences:
        raise ConfigError('--sequences names none: expected numbers such as 09,10')
    return evaluate_paths(_judged(args, sequences), model=args.model.name)


def _recorded(args: argparse.Namespace) -> Evaluation:
    """Judge motion by the odometry of a recording."""
    from monodepth2_ros.geometry.calibration_file import load_calibration
    from monodepth2_ros.recordings import open_recording
    from monodepth2_training.evaluation.odometry.evaluation import evaluate_paths
    from monodepth2_training.evaluation.odometry.recorded_path import recorded_path

    calibration = load_calibration(args.calibration) if args.calibration else None
    with open_recording(args.bag, calibration=calibration) as recording:
        path = recorded_path(recording, camera=args.camera, every=args.every, limit=args.limit)
        results = _judged(args, [path])
    facts = [
        ('camera', path.pictures.topic),
        ('pictures', str(len(path.poses))),
        ('camera mounted', path.mounting),
    ]
    if path.unreadable:
        left_out = f'{len(path.unreadable)}, no path leads over them: {path.unreadable[0]}'
        facts.append(('pictures that cannot be read', left_out))
    return evaluate_paths(results, model=args.model.name, facts=tuple(facts))


def _judged(
    args: argparse.Namespace, paths: Sequence[KittiSequence] | Sequence[RecordedPath]
) -> list[PathResult]:
    """Predict the motion along some paths and judge it."""
    import numpy as np

    from monodepth2_training.commands.progress import ProgressLine
    from monodepth2_training.evaluation.odometry.evaluation import judge_path
    from monodepth2_training.evaluation.odometry.motion_model import MotionModel

    model = MotionModel.load(args.model, device=args.device)
    progress = ProgressLine(sum(len(path.poses) - 1 for path in paths))
    results = []
    for path in paths:
        motions = []
        for motion in model.motions(path.read()):
            motions.append(motion)
            progress.step()
        results.append(judge_path(path.name, np.stack(motions), path.poses))
    progress.close()
    return results


def _submission(args: argparse.Namespace) -> Evaluation:
    """Write the pictures that KITTI's server judges; nothing can be said about them here."""
    from monodepth2_training.evaluation.kitti.server import pictures_folder, server_set
    from monodepth2_training.evaluation.submission import submit

    if args.submission is None:
        raise ConfigError('--kitti-server needs --submission OUT, a folder for the pictures')
    taken = [pictures_folder(args.kitti_server), *([args.predictions] if args.predictions else [])]
    if args.submission.resolve() in [folder.resolve() for folder in taken]:
        raise ConfigError(f'{args.submission} is the input: give another folder by --submission')
    with _predictions(args) as predictions:
        return submit(server_set(args.kitti_server), predictions, args.submission)
