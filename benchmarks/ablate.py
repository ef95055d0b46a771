#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows what auto-masking and minimum reprojection are for, on generated drives with traffic.

Usage: ablate.py OUT [--init MODEL] [--drives N] [--frames N] [--epochs N] [--variants NAME ...]

Each variant learns from the same drives, standstills and moving cars included, with one switch of
the loss turned off; from ImageNet weights, or from those of a model that already knows depth, so
that what shows is what the switch does to depth and not whether a short training gets under way.
Depth is then judged in those drives, scaled to the truth's median:

- holes: share of the pixels of moving cars that are seen at more than twice their depth. A car
  that keeps our pace looks the same in each frame, as if it were infinitely far away;
- at edges: abs_rel within four pixels of an occluding edge, where a source does not see what the
  target sees, beside abs_rel elsewhere.

OUT/ablations.png shows camera, true depth and each variant's depth.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from monodepth2_training.evaluation.depth_errors import known_pixels, median_scaled
from monodepth2_training.world.drive import Drive, DriveFrame, DriveSettings
from numpy.typing import NDArray
from verbs import call_verb, generated_drive, set_options

from monodepth2_ros.inference.colorize import colorize
from monodepth2_ros.inference.estimator import DepthEstimator

VARIANTS = {
    'full': (),
    'without auto-masking': ('loss.automasking=false',),
    'mean instead of minimum': ('loss.minimum_reprojection=false',),
}
_CONFIG = 'edge_320x96'
_WIDTH, _HEIGHT = 320, 96
_JUDGED_EVERY = 5
_HOLE = 2.0
_EDGE_RATIO = 1.25
_EDGE_PX = 4
_LEAST_CAR_PX = 150


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What a variant gets wrong."""

    holes: float
    at_edges: float
    elsewhere: float


def main() -> None:
    """Generate, train each variant, judge, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('out', type=Path)
    parser.add_argument('--init', help='model file that all variants begin with')
    parser.add_argument('--drives', type=int, default=3)
    parser.add_argument('--frames', type=int, default=200)
    parser.add_argument('--epochs', type=int, default=8)
    parser.add_argument('--variants', nargs='+', default=list(VARIANTS), choices=list(VARIANTS))
    args = parser.parse_args()
    seeds = range(1, args.drives + 1)
    size = {'width': _WIDTH, 'height': _HEIGHT}
    bags = [generated_drive(args.out, seed, frames=args.frames, **size) for seed in seeds]
    models = {name: _trained(args, name, bags) for name in args.variants}
    frames = [frame for seed in seeds for frame in _frames(seed, args.frames)]
    print('| variant | holes in moving cars | abs_rel at edges | abs_rel elsewhere |')
    print('|---|---|---|---|')
    pictures = []
    for name, model in models.items():
        estimator = DepthEstimator.load(model)
        depths = [_scaled(estimator, frame) for frame, _ in frames]
        found = _judge(frames, depths)
        print(f'| {name} | {found.holes:.1%} | {found.at_edges:.3f} | {found.elsewhere:.3f} |')
        pictures.append(depths)
    _draw(args.out / 'ablations.png', frames, pictures)


def _trained(args: argparse.Namespace, name: str, bags: list[Path]) -> Path:
    """The model file of a variant."""
    run = args.out / name.replace(' ', '_')
    if not (run / 'model.safetensors').exists():
        settings = (
            'triplets.keep_standstill=true',
            f'optimisation.lr_drop_epoch={max(1, args.epochs * 3 // 4)}',
            *VARIANTS[name],
        )
        sources = [str(bag) for bag in bags]
        epochs = ('--epochs', str(args.epochs))
        weights = ('--init', args.init) if args.init else ()
        words = (*epochs, *set_options(settings), *weights)
        call_verb('train', *sources, '--out', str(run), '--config', _CONFIG, *words)
    return run / 'model.safetensors'


def _frames(seed: int, frames: int) -> list[tuple[DriveFrame, NDArray[np.bool_]]]:
    """Some frames of a drive, and where moving cars are in them."""
    settings = DriveSettings(frames=frames, width=_WIDTH, height=_HEIGHT, seed=seed)
    drive = Drive(settings, torch.device('cpu'))
    moving = list(drive.moving_instances)
    chosen = (drive.frame(number) for number in range(1, frames - 1, _JUDGED_EVERY))
    return [(frame, np.isin(frame.instance, moving)) for frame in chosen]


def _scaled(estimator: DepthEstimator, frame: DriveFrame) -> NDArray[np.float32]:
    """Predicted depth [H, W], scaled to the truth's median."""
    known = known_pixels(frame.depth_m)
    depth = estimator.infer(frame.rgb)
    _, factor = median_scaled(depth[known], frame.depth_m[known])
    return np.asarray(depth * np.float32(factor), np.float32)


def _judge(
    frames: list[tuple[DriveFrame, NDArray[np.bool_]]], depths: list[NDArray[np.float32]]
) -> Figures:
    """Figures over all frames; a car counts once it is large enough to be seen."""
    holes, at_edges, elsewhere = [], [], []
    for (frame, cars), depth in zip(frames, depths, strict=True):
        known = known_pixels(frame.depth_m)
        error = np.abs(depth - frame.depth_m)[known] / frame.depth_m[known]
        edges = _near_edges(frame.depth_m)[known]
        at_edges.append(error[edges].mean())
        elsewhere.append(error[~edges].mean())
        if np.count_nonzero(cars & known) >= _LEAST_CAR_PX:
            seen = cars & known
            holes.append(np.mean(depth[seen] > _HOLE * frame.depth_m[seen]))
    return Figures(
        holes=float(np.mean(holes)),
        at_edges=float(np.mean(at_edges)),
        elsewhere=float(np.mean(elsewhere)),
    )


def _near_edges(depth_m: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where depth jumps nearby, bool [H, W]."""
    finite = np.where(np.isfinite(depth_m), depth_m, np.float32(1e3))
    high = cv2.dilate(finite, np.ones((3, 3), np.uint8))
    low = cv2.erode(finite, np.ones((3, 3), np.uint8))
    jumps = (high > _EDGE_RATIO * low).astype(np.uint8)
    return cv2.dilate(jumps, np.ones((2 * _EDGE_PX + 1,) * 2, np.uint8)).astype(np.bool_)


def _draw(
    path: Path,
    frames: list[tuple[DriveFrame, NDArray[np.bool_]]],
    variants: list[list[NDArray[np.float32]]],
) -> None:
    """Rows of frames with the largest moving cars: camera, truth, each variant."""
    largest = np.argsort([-np.count_nonzero(cars) for _, cars in frames])[:24:4]
    rows = []
    for index in largest:
        frame = frames[index][0]
        depths = [frame.depth_m, *(variant[index] for variant in variants)]
        colours = [colorize(d, min_depth_m=3.0, max_depth_m=60.0) for d in depths]
        rows.append(np.hstack([frame.rgb[..., ::-1], *colours]))
    cv2.imwrite(str(path), np.vstack(rows))


if __name__ == '__main__':
    main()
