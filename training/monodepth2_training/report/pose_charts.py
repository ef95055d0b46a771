# SPDX-License-Identifier: Apache-2.0
"""Draws predicted motion against odometry: the path, the direction's error, the scale by time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator

from monodepth2_training.report.chart import BLUE, GREY, ORANGE, label, new_chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from monodepth2_training.report.poses import PoseComparison


def draw_poses(comparison: PoseComparison) -> str:
    """The comparison of one camera as one SVG."""
    with new_chart('poses', height_in=4.9) as chart:
        grid = chart.figure.add_gridspec(2, 2, height_ratios=(1.35, 1.0))
        _draw_path(chart.figure.add_subplot(grid[0, :]), comparison)
        _draw_directions(chart.figure.add_subplot(grid[1, 0]), comparison)
        _draw_scale(chart.figure.add_subplot(grid[1, 1]), comparison)
    return chart.svg


def _draw_path(axes: Axes, comparison: PoseComparison) -> None:
    """Both paths from above, driving to the right."""
    for path, colour, name in (
        (comparison.path_odometry_m, GREY, 'odometry'),
        (comparison.path_predicted_m, BLUE, f'predicted, times {comparison.scale:.3g}'),
    ):
        width = 3.5 if colour == GREY else 1.6
        axes.plot(path[:, 0], path[:, 1], color=colour, linewidth=width, label=name)
        axes.plot(path[-1, 0], path[-1, 1], 'o', color=colour, markersize=4.0)
    axes.set_aspect('equal', adjustable='datalim')
    label(axes, 'Longest unbroken stretch from above', x='forward, m', y='left, m')
    axes.legend(loc='best')


def _draw_directions(axes: Axes, comparison: PoseComparison) -> None:
    """How the direction's error is spread."""
    errors = comparison.residual_deg
    top = max(float(np.percentile(errors, 98.0)), 1.0)
    axes.hist(np.minimum(errors, top), bins=24, range=(0.0, top), color=BLUE, edgecolor='white')
    axes.axvline(float(np.median(errors)), color=ORANGE, linewidth=1.4)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    label(axes, "Error of the step's direction", x='degrees (line: median)', y='steps')


def _draw_scale(axes: Axes, comparison: PoseComparison) -> None:
    """Metres per network unit over time."""
    time_s = (comparison.stamps_ns - comparison.stamps_ns.min()) / 1e9
    axes.plot(time_s, comparison.ratio, '.', color=BLUE, markersize=3.5, alpha=0.7)
    axes.axhline(comparison.scale, color=ORANGE, linewidth=1.4)
    axes.set_ylim(0.0, 1.15 * float(np.percentile(comparison.ratio, 98.0)))
    label(axes, 'Metres per network unit', x='time, s (line: median)')
