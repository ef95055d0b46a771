#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows what auto-masking and minimum reprojection are for, on generated drives with traffic.

Usage: ablate.py OUT [--pair] [--init MODEL] [--drives N] [--frames N] [--epochs N]
       [--variants NAME ...] [--set KEY=VALUE ...]

Each variant learns from the same drives, standstills and moving cars included, with one switch of
the loss turned off; from ImageNet weights, or from those of a model that already knows depth, so
that what shows is what the switch does to depth and not whether a short training gets under way.
``--pair`` adds the second camera of a rectified pair: from the side, more is hidden.
Depth is then judged in those drives, scaled to the truth's median:

- holes: share of the pixels of moving cars that are seen at more than twice their depth. A car
  that keeps our pace looks the same in each frame, as if it were infinitely far away;
- hidden: abs_rel of what stands still and only some of the other pictures (the neighbours, the
  second camera's) see, because something nearer hides it, beside abs_rel of what all of them see;
- at edges: abs_rel within four pixels of an occluding edge.

OUT/ablations.png shows camera, true depth and each variant's depth.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from monodepth2_training.evaluation.depth_errors import known_pixels, median_scaled
from monodepth2_training.world.drive import Drive, DriveFrame, DriveSettings
from numpy.typing import NDArray
from verbs import PAIR_BASELINE_M, call_verb, generated_drive, set_options

from monodepth2_ros.inference.colorize import colorize
from monodepth2_ros.inference.estimator import DepthEstimator

VARIANTS = {
    'full': (),
    'without auto-masking': ('loss.automasking=false',),
    'mean instead of minimum': ('loss.minimum_reprojection=false',),
}
_ALONE, _PAIR = 'edge_320x96', 'edge_stereo_320x96'
_WIDTH, _HEIGHT = 320, 96
_JUDGED_EVERY = 5
_HOLE = 2.0
_EDGE_RATIO = 1.25
_EDGE_PX = 4
_LEAST_CAR_PX = 150
_FAR_M = 1e3
_HIDDEN_BEHIND = 1.1


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What a variant gets wrong."""

    holes: float
    hidden: float
    seen: float
    at_edges: float

    def row(self) -> str:
        """A line of the table."""
        errors = ' | '.join(f'{error:.3f}' for error in (self.hidden, self.seen, self.at_edges))
        return f'{self.holes:.1%} | {errors}'


@dataclass(frozen=True, kw_only=True)
class JudgedFrame:
    """A frame with what is special in it, bool [H, W] each."""

    frame: DriveFrame
    cars: NDArray[np.bool_]
    """Moving cars."""
    hidden: NDArray[np.bool_]
    """Stands still; something nearer hides it from a part of the other pictures."""
    seen: NDArray[np.bool_]
    """Stands still, and all other pictures see it."""


def main() -> None:
    """Generate, train each variant, judge, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('out', type=Path)
    parser.add_argument('--pair', action='store_true', help='train with a second camera')
    parser.add_argument('--init', help='model file that all variants begin with')
    parser.add_argument('--drives', type=int, default=3)
    parser.add_argument('--frames', type=int, default=200)
    parser.add_argument('--epochs', type=int, default=8)
    parser.add_argument('--variants', nargs='+', default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument('--set', action='append', default=[], metavar='KEY=VALUE')
    args = parser.parse_args()
    seeds = range(1, args.drives + 1)
    baseline_m = PAIR_BASELINE_M if args.pair else 0.0
    world = {'width': _WIDTH, 'height': _HEIGHT, 'baseline_m': baseline_m}
    bags = [generated_drive(args.out, seed, frames=args.frames, **world) for seed in seeds]
    models = {name: _trained(args, name, bags) for name in args.variants}
    frames = [frame for seed in seeds for frame in _frames(seed, args.frames, baseline_m)]
    print('| variant | holes in moving cars | hidden from some | seen by all | at edges |')
    print('|---|---|---|---|---|')
    pictures = []
    for name, model in models.items():
        estimator = DepthEstimator.load(model)
        depths = [_scaled(estimator, judged.frame) for judged in frames]
        print(f'| {name} | {_judge(frames, depths).row()} |')
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
            *args.set,
        )
        sources = [str(bag) for bag in bags]
        epochs = ('--epochs', str(args.epochs))
        weights = ('--init', args.init) if args.init else ()
        config = _PAIR if args.pair else _ALONE
        words = (*epochs, *set_options(settings), *weights)
        call_verb('train', *sources, '--out', str(run), '--config', config, *words)
    return run / 'model.safetensors'


def _frames(seed: int, frames: int, baseline_m: float) -> Iterator[JudgedFrame]:
    """Some frames of a drive."""
    settings = DriveSettings(frames=frames, width=_WIDTH, height=_HEIGHT, seed=seed)
    drive = Drive(settings, torch.device('cpu'))
    beside = [_beside(drive, baseline_m)] if baseline_m else []
    for number in range(1, frames - 1, _JUDGED_EVERY):
        frame = drive.frame(number)
        cars = np.isin(frame.instance, list(drive.moving_instances))
        others = [drive.frame(number - 1), drive.frame(number + 1)]
        others += [second.frame(number) for second in beside]
        sights = [_sight(frame, other, drive.camera.K) for other in others]
        hidden = np.stack([hidden for hidden, _ in sights])
        in_view = np.stack([in_view for _, in_view in sights]).all(axis=0) & ~cars
        yield JudgedFrame(
            frame=frame,
            cars=cars,
            hidden=hidden.any(axis=0) & ~hidden.all(axis=0) & in_view,
            seen=~hidden.any(axis=0) & in_view,
        )


def _beside(drive: Drive, baseline_m: float) -> Drive:
    """The same drive as the second camera of its pair sees it."""
    second = Drive(drive.settings, torch.device('cpu'))
    mounting = replace(drive.rig.mounting, left_m=drive.rig.mounting.left_m - baseline_m)
    second.rig = replace(drive.rig, mounting=mounting)
    return second


def _sight(
    frame: DriveFrame, other: DriveFrame, K: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """What of a frame is hidden in another one, and what lies in that one's view, [H, W] each."""
    height, width = frame.depth_m.shape
    pixels = np.moveaxis(np.indices((height, width))[::-1], 0, -1).astype(np.float64)
    rays = np.concatenate([pixels, np.ones((height, width, 1))], axis=-1) @ np.linalg.inv(K).T
    T = np.linalg.inv(other.T_camera_to_odom) @ frame.T_camera_to_odom
    depth_m = np.minimum(frame.depth_m, _FAR_M)[..., None]
    points = (depth_m * rays) @ T[:3, :3].T + T[:3, 3]
    place = (points @ K.T)[..., :2] / points[..., 2:]
    inside = (place > -0.5) & (place < (width - 0.5, height - 0.5))
    # The farthest of nine pixels, so that an outline's own pixels do not count as hidden.
    there = cv2.dilate(np.minimum(other.depth_m, np.float32(_FAR_M)), np.ones((3, 3), np.uint8))
    u, v = np.moveaxis(place.astype(np.float32), -1, 0)
    nearest = cv2.remap(there, u, v, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    return nearest * _HIDDEN_BEHIND < points[..., 2], inside.all(axis=-1)


def _scaled(estimator: DepthEstimator, frame: DriveFrame) -> NDArray[np.float32]:
    """Predicted depth [H, W], scaled to the truth's median."""
    known = known_pixels(frame.depth_m)
    depth = estimator.infer(frame.rgb)
    _, factor = median_scaled(depth[known], frame.depth_m[known])
    return np.asarray(depth * np.float32(factor), np.float32)


def _judge(frames: list[JudgedFrame], depths: list[NDArray[np.float32]]) -> Figures:
    """Figures over all frames; a car counts once it is large enough to be seen."""
    holes, errors = [], {'hidden': [], 'seen': [], 'at_edges': []}
    for judged, depth in zip(frames, depths, strict=True):
        true_m = judged.frame.depth_m
        known = known_pixels(true_m)
        error = np.abs(depth - true_m) / np.where(known, true_m, np.float32(1.0))
        errors['hidden'].append(error[known & judged.hidden])
        errors['seen'].append(error[known & judged.seen])
        errors['at_edges'].append(error[known & _near_edges(true_m)])
        cars = judged.cars & known
        if np.count_nonzero(cars) >= _LEAST_CAR_PX:
            holes.append(np.mean(depth[cars] > _HOLE * true_m[cars]))
    means = {name: float(np.concatenate(parts).mean()) for name, parts in errors.items()}
    return Figures(holes=float(np.mean(holes)), **means)


def _near_edges(depth_m: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where depth jumps nearby, bool [H, W]."""
    finite = np.where(np.isfinite(depth_m), depth_m, np.float32(1e3))
    high = cv2.dilate(finite, np.ones((3, 3), np.uint8))
    low = cv2.erode(finite, np.ones((3, 3), np.uint8))
    jumps = (high > _EDGE_RATIO * low).astype(np.uint8)
    return cv2.dilate(jumps, np.ones((2 * _EDGE_PX + 1,) * 2, np.uint8)).astype(np.bool_)


def _draw(
    path: Path,
    frames: list[JudgedFrame],
    variants: list[list[NDArray[np.float32]]],
) -> None:
    """Rows of frames with the largest moving cars: camera, truth, each variant."""
    largest = np.argsort([-np.count_nonzero(judged.cars) for judged in frames])[:24:4]
    rows = []
    for index in largest:
        frame = frames[index].frame
        depths = [frame.depth_m, *(variant[index] for variant in variants)]
        colours = [colorize(d, min_depth_m=3.0, max_depth_m=60.0) for d in depths]
        rows.append(np.hstack([frame.rgb[..., ::-1], *colours]))
    cv2.imwrite(str(path), np.vstack(rows))


if __name__ == '__main__':
    main()
