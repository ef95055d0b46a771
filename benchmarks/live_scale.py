# SPDX-License-Identifier: Apache-2.0
"""Draws the scale that the node would measure over a whole recording, by ground and by odometry.

python benchmarks/live_scale.py --model M --bag B --camera NAME --camera-height-m H --out scale.png
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np

from monodepth2_ros.inference.estimator import DepthEstimator
from monodepth2_ros.inference.scale_keeper import ScaleKeeper, ScaleSettings
from monodepth2_ros.inference.views import Views
from monodepth2_ros.recordings import Recording, cdr, choose_camera, open_recording
from monodepth2_ros.recordings.cameras import decode_frame

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monodepth2_ros.inference.running_scale import ScaleReading

SOURCES = ('ground_plane', 'odometry')
Readings = dict[str, list[tuple[float, 'ScaleReading']]]


class _Clock:
    """The recording's time."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def replay(
    recording: Recording, camera: str, estimator: DepthEstimator, height_m: float, odometry: str
) -> Readings:
    """Feed a recording to one keeper a source, and note what each says after every frame."""
    clock, views = _Clock(), Views()
    image = choose_camera(recording, camera).image
    calibration = recording.calibration(image)
    keepers = {
        source: ScaleKeeper(
            estimator.description,
            ScaleSettings(source=source, camera_height_m=height_m),
            clock_s=clock,
        )
        for source in SOURCES
    }
    found: Readings = {source: [] for source in SOURCES}
    for message in recording.messages([image, odometry]):
        stamp_ns = cdr.header_stamp_ns(message.data)
        if message.topic == odometry:
            place = cdr.parse(message).pose.pose.position
            for keeper in keepers.values():
                keeper.way.add(stamp_ns, (place.x, place.y, place.z))
            continue
        rgb = decode_frame(message)
        height, width = rgb.shape[:2]
        view = views.view(calibration, width=width, height=height, rectify='auto')
        rgb = view.rectifier.rectify(rgb) if view.rectifier else rgb
        seen = estimator.prepare(rgb, view.window)
        disparity = estimator.run(seen)
        clock.now_s = stamp_ns / 1e9
        for source, keeper in keepers.items():
            keeper.stamp_ns = stamp_ns
            keeper.begin(view)
            keeper.watch(seen[0].permute(1, 2, 0).numpy(), disparity, view)
            since_s = (stamp_ns - recording.start_ns) / 1e9
            found[source].append((since_s, keeper.measured))
    return found


def draw(found: Readings, others: Mapping[str, float], out: Path) -> None:
    """Draw value and spread over time; frozen moments are dots."""
    mpl.use('Agg')
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9.0, 4.0), layout='constrained')
    for colour, (source, readings) in zip(('C0', 'C1'), found.items(), strict=True):
        known = [(t, r) for t, r in readings if r.is_known]
        times = np.array([t for t, _ in known])
        values = np.array([r.value for _, r in known])
        spread = values * np.array([r.spread for _, r in known])
        axes.plot(times, values, color=colour, label=source)
        axes.fill_between(times, values - spread, values + spread, color=colour, alpha=0.15)
        frozen = np.array([bool(r.frozen) for _, r in known])
        axes.plot(times[frozen], values[frozen], '.', color=colour, markersize=3, alpha=0.7)
    for style, (name, value) in zip(('--', ':'), others.items(), strict=False):
        axes.axhline(value, color='0.3', linestyle=style, linewidth=1.0, label=name)
    axes.set(xlabel='s since the start', ylabel='m per network unit')
    axes.set_ylim(bottom=0.0)
    axes.legend(loc='lower right', title='dots: frozen; bands: spread')
    figure.savefig(out, dpi=120)


def main() -> None:
    """Replay and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--model', type=Path, required=True)
    parser.add_argument('--bag', type=Path, required=True)
    parser.add_argument('--camera', default='')
    parser.add_argument('--camera-height-m', type=float, required=True)
    parser.add_argument('--odometry', default='/odom', help='a nav_msgs/Odometry topic')
    parser.add_argument('--lidar-scale', type=float, help='to draw beside, from monodepth2 scale')
    parser.add_argument('--out', type=Path, required=True)
    args = parser.parse_args()
    estimator = DepthEstimator.load(args.model, device='cpu')
    with open_recording(args.bag) as recording:
        found = replay(recording, args.camera, estimator, args.camera_height_m, args.odometry)
    others = {}
    if estimator.description.scale is not None:
        others['model file'] = estimator.description.scale.value
    if args.lidar_scale:
        others['lidar'] = args.lidar_scale
    draw(found, others, args.out)
    for source, readings in found.items():
        values = [r.value for _, r in readings if r.is_known]
        frozen = sum(bool(r.frozen) for _, r in readings) / len(readings)
        middle = f'median {np.median(values):.4g}' if values else 'no scale'
        print(f'{source}: {middle}, {len(readings)} frames, frozen in {frozen:.0%}')


if __name__ == '__main__':
    main()
