#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Scores two guesses that never look at a picture on every lidar scan of a KITTI drive.

Usage: lidar_guesses.py RECORDING [--without N]

Needs no picture, so that all scans count. Points are projected as ``monodepth2 evaluate`` does,
into KITTI's 1242x375 picture: camera z, rounded pixel, nearest of several points, hidden kept.
Garg crop, 1e-3 to 80 m, each scan scaled to its median. The guesses are one depth everywhere, and
at each pixel the median of the other scans, or of all their points where none of them has one.
--without N leaves N scans out, evenly: what the figures owe to the number of scans.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from monodepth2_training.evaluation import truth
from monodepth2_training.evaluation.depth_errors import garg_crop
from monodepth2_training.evaluation.judgement import judge
from monodepth2_training.evaluation.median_map import MedianMap
from monodepth2_training.evaluation.scoring import FramePairs, pair

from monodepth2_ros.geometry.camera import Window
from monodepth2_ros.recordings import open_recording

_PICTURE = Window(x=0, y=0, width=1242, height=375)


def main() -> None:
    """Project, guess, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('recording', type=Path)
    parser.add_argument('--without', type=int, default=0, metavar='N')
    parser.add_argument('--truth', default='/velodyne_points')
    parser.add_argument('--camera', default='/camera/left/image_raw/compressed')
    args = parser.parse_args()
    scans = read_scans(args.recording, args.truth, args.camera)
    chosen = np.linspace(0, len(scans) - 1, len(scans) - args.without).round().astype(int)
    scans = [scans[number] for number in chosen]
    print(f'| guess, {len(scans)} scans | abs_rel | rmse | delta_1 |\n|---|---|---|---|')
    for name, guesses in (('one depth', scans), ('median map', usual_depths(scans))):
        found = judge(guesses, scale=None).scores['frame'].mean
        print(f'| {name} | {found.abs_rel:.4f} | {found.rmse:.4f} | {found.delta_1:.4f} |')


def read_scans(path: Path, topic: str, image_topic: str) -> list[FramePairs]:
    """The judged pixels of each scan, beside a guess of one everywhere."""
    crop = garg_crop(_PICTURE.height, _PICTURE.width)
    ones = np.ones(crop.shape, np.float32)
    with open_recording(path) as recording:
        calibration = recording.calibration(image_topic)
        if calibration is None:
            raise SystemExit(f'{path} has no camera_info beside {image_topic}')
        camera = calibration.checked().rectified_camera().cropped(_PICTURE)
        depths = truth.frames(recording, topic, image_topic, camera)
        pairs = (pair(str(stamp_ns), ones, depth_m, inside=crop) for stamp_ns, depth_m in depths)
        return [scan for scan in pairs if scan is not None]


def usual_depths(scans: Sequence[FramePairs]) -> list[FramePairs]:
    """For each scan the guess by the other scans."""
    places = MedianMap.of_frames(scans, cell_px=1)
    guesses = []
    for number, scan in enumerate(scans):
        others = np.concatenate([scan.true_m for n, scan in enumerate(scans) if n != number])
        usual = places.cells(without=number)
        guesses.append(scan.guessing(np.where(np.isfinite(usual), usual, np.median(others))))
    return guesses


if __name__ == '__main__':
    main()
