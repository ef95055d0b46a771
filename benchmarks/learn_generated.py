#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Learns from generated drives without labels, and judges depth and motion in other streets.

Usage: learn_generated.py OUT [--pair] [--drives N] [--frames N] [--set KEY=VALUE]

One camera alone, or with ``--pair`` a rectified pair: then depth first learns from the pair, which
also sees what moves or waits with the vehicle, and goes on together with the motion.

Generates drives through different streets, trains on all but the last two, and judges those two:
depth on every eighth frame against exact depth (1e-3 to 80 m, each frame scaled to the median of
its truth), the direction of predicted motion against the true one wherever the vehicle moves.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from judge import judge_model, table, true_frames
from monodepth2_training.config_files import read_config
from monodepth2_training.evaluation.odometry.motion_model import MotionModel
from monodepth2_training.evaluation.odometry.poses import motions_of
from monodepth2_training.evaluation.odometry.recorded_path import recorded_path
from verbs import PAIR_BASELINE_M, call_verb, generated_drive, set_options

from monodepth2_ros.recordings import open_recording

_JUDGED_EVERY = 8
_LEAST_STEP_M = 0.1
_TEST_SEEDS = (101, 102)
_TEST_FRAMES = 200


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One training."""

    name: str
    """Of its run's folder."""
    config: str
    """Name of its configuration."""
    changes: tuple[str, ...]
    """What differs from that configuration."""


_ALONE = (
    Stage(
        name='run',
        config='edge_320x96',
        changes=('optimisation.epochs=12', 'optimisation.lr_drop_epoch=8'),
    ),
)
_PAIR = (
    Stage(
        name='pair',
        config='edge_stereo_320x96',
        changes=(
            'mode=stereo',
            'triplets.keep_standstill=true',
            'optimisation.learning_rate=6e-4',
            'optimisation.epochs=5',
            'optimisation.lr_drop_epoch=4',
        ),
    ),
    Stage(
        name='run',
        config='edge_stereo_320x96',
        changes=(
            'network.pose_weights=imagenet',
            'optimisation.learning_rate=4e-4',
            'optimisation.epochs=2',
            'optimisation.lr_drop_epoch=1',
        ),
    ),
)


def main() -> None:
    """Generate, train, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('out', type=Path)
    parser.add_argument('--pair', action='store_true', help='train with a second camera')
    parser.add_argument('--drives', type=int, default=16, help='to train on')
    parser.add_argument('--frames', type=int, default=82, help='of each drive to train on')
    parser.add_argument('--set', action='append', default=[], metavar='KEY=VALUE')
    args = parser.parse_args()
    started_s = time.monotonic()
    stages = _PAIR if args.pair else _ALONE
    network = read_config(stages[-1].config, args.set).network
    size = {'width': network.width, 'height': network.height}
    baseline_m = PAIR_BASELINE_M if args.pair else 0.0
    training = [
        generated_drive(args.out, seed, frames=args.frames, baseline_m=baseline_m, **size)
        for seed in range(1, args.drives + 1)
    ]
    tests = [generated_drive(args.out, seed, frames=_TEST_FRAMES, **size) for seed in _TEST_SEEDS]
    generated_s = time.monotonic()
    run = _train(args, training, stages)
    trained_s = time.monotonic()
    _report(run / 'model.safetensors', training, tests)
    made_s, learnt_s = generated_s - started_s, trained_s - generated_s
    print(f'\ngenerated in {made_s:.0f} s, trained in {learnt_s:.0f} s')


def _train(args: argparse.Namespace, training: list[Path], stages: tuple[Stage, ...]) -> Path:
    """Train stage after stage, each from the weights of the one before; gives the last run."""
    weights: tuple[str, ...] = ()
    for stage in stages:
        run = args.out / stage.name
        model = run / 'model.safetensors'
        if not model.exists():
            sources = [str(drive) for drive in training]
            options = ('--config', stage.config, *set_options((*stage.changes, *args.set)))
            call_verb('train', *sources, '--out', str(run), *options, *weights)
        weights = ('--init', str(model))
    return run


def _report(model: Path, training: list[Path], tests: list[Path]) -> None:
    others = [f.true_m for drive in training for f in islice(true_frames(drive), 0, None, 4)]
    inside = np.ones(others[0].shape, np.bool_)
    judgements = {}
    for drive in tests:
        frames = list(islice(true_frames(drive), 0, None, _JUDGED_EVERY))
        judgements[drive.name] = judge_model(model, frames, others, inside, cell_px=1)
    print(table(judgements))
    angles = np.concatenate([_direction_errors_deg(model, drive) for drive in tests])
    print(
        f'\ndirection of motion: median {np.median(angles):.2f} degrees, 90 % below '
        f'{np.percentile(angles, 90):.2f}, over {len(angles)} steps'
    )


def _direction_errors_deg(model: Path, drive: Path) -> np.ndarray:
    """Angle between predicted and true translation, from each frame to the next."""
    with open_recording(drive) as recording:
        path = recorded_path(recording)
        predicted = np.stack(list(MotionModel.load(model).motions(path.read())))[:, :3, 3]
    true = motions_of(path.poses)[:, :3, 3]
    moves = np.linalg.norm(true, axis=1) >= _LEAST_STEP_M
    ours, true = predicted[moves], true[moves]
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(true, axis=1)
    return np.degrees(np.arccos(np.clip((ours * true).sum(axis=1) / lengths, -1.0, 1.0)))


if __name__ == '__main__':
    main()
