# SPDX-License-Identifier: Apache-2.0
"""Draws predicted paths over true ones, from above."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monodepth2_training.report.chart import BLUE, GREY, label, new_chart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from monodepth2_training.evaluation.odometry.trajectory import Trajectory

_ROW_IN = 3.4


def draw_trajectories(trajectories: Sequence[Trajectory]) -> str:
    """All paths as one SVG, two in a row."""
    columns = min(len(trajectories), 2)
    rows = -(-len(trajectories) // columns)
    with new_chart('trajectories', height_in=_ROW_IN * rows) as chart:
        for number, trajectory in enumerate(trajectories, 1):
            _draw(chart.figure.add_subplot(rows, columns, number), trajectory)
    return chart.svg


def _draw(axes: Axes, trajectory: Trajectory) -> None:
    """One path with its truth; dots mark the end."""
    for path, colour, width, name in (
        (trajectory.true_m, GREY, 3.5, 'true'),
        (trajectory.predicted_m, BLUE, 1.6, 'predicted, aligned'),
    ):
        axes.plot(path[:, 0], path[:, 1], color=colour, linewidth=width, label=name)
        axes.plot(path[-1, 0], path[-1, 1], 'o', color=colour, markersize=4.0)
    axes.set_aspect('equal', adjustable='datalim')
    x, y = trajectory.axes
    label(axes, trajectory.name, x=x, y=y)
    axes.legend(loc='best')
