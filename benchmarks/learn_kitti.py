#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Learns from a stereo drive without labels, and judges depth by the drive's own lidar.

Usage: learn_kitti.py RECORDING OUT [--init MODEL] [--config NAME] [--end-s S] [--set KEY=VALUE]

Trains on both cameras up to --end-s, from ImageNet's weights or from a model file (``demo`` is the
one that comes with the demo), which is then judged as well. Judges the left camera's depth on the
lidar frames before (seen) and after (unseen), in the KITTI protocol: the 1242x375 picture, Garg
crop, 1e-3 to 80 m, each frame scaled to the median of its truth. The usual depth of each place
comes from the lidar of the seen frames; where these are judged themselves, that favours the guess.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import numpy as np
from judge import judge_model, table, true_frames
from monodepth2_training.config import TrainingConfig
from monodepth2_training.evaluation.depth_errors import garg_crop
from monodepth2_training.evaluation.true_frames import TrueFrame
from monodepth2_training.run.beginning import begin_config
from verbs import call_verb, set_options, size_options

_WIDTH, _HEIGHT = 1242, 375


def main() -> None:
    """Extract, train, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('recording', type=Path)
    parser.add_argument('out', type=Path)
    parser.add_argument('--init', default='', help='model file to begin with, or demo')
    parser.add_argument('--config', help='default edge_stereo_320x96; fine_tune with --init')
    parser.add_argument(
        '--end-s', type=float, default=26.8, help='KITTI 0039: frame 259 and before'
    )
    parser.add_argument('--set', action='append', default=[], metavar='KEY=VALUE')
    args = parser.parse_args()
    args.config = args.config or ('' if args.init else 'edge_stereo_320x96')
    config = begin_config(args.config, args.init, args.set, holds_pair=lambda: True)
    seconds = _train(args, config)
    processor_s = sum(getrusage(RUSAGE_CHILDREN)[:2])
    frames = list(true_frames(args.recording))
    seen = [frame for frame in frames if frame.stamp_s < args.end_s]
    unseen = [frame for frame in frames if frame.stamp_s >= args.end_s]
    inside = np.zeros(frames[0].true_m.shape, np.bool_)
    inside[:_HEIGHT, :_WIDTH] = garg_crop(_HEIGHT, _WIDTH)
    models = {'after': args.out / 'run' / 'model.safetensors'}
    if args.init:
        models = {'before': Path(config.network.weights), **models}
    judgements = {
        f'{kind}, {when}': judge_model(model, frames, _truths(seen), inside, cell_px=8)
        for when, model in models.items()
        for kind, frames in (('seen', seen), ('unseen', unseen))
    }
    print(f'\nlearnt from the pictures before {args.end_s} s')
    print(f'in {seconds:.0f} s, {processor_s:.0f} s of processor time\n')
    print(table(judgements))


def _truths(frames: list[TrueFrame]) -> list[np.ndarray]:
    return [frame.true_m for frame in frames]


def _train(args: argparse.Namespace, config: TrainingConfig) -> float:
    """Extract and train, unless there is a model already; how long training took."""
    run, store = args.out / 'run', args.out / 'frames'
    started_s = time.monotonic()
    if not (run / 'model.safetensors').exists():
        options = ('--stereo', '--end-s', str(args.end_s))
        size = size_options(config.network.width, config.network.height)
        call_verb('extract', str(args.recording), str(store), *options, *size)
        beginning = ('--init', args.init) if args.init else ()
        named = ('--config', args.config) if args.config else ()
        options = (*beginning, *named, *set_options(args.set))
        call_verb('train', str(store), '--out', str(run), *options)
    return time.monotonic() - started_s


if __name__ == '__main__':
    main()
