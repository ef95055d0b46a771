# SPDX-License-Identifier: Apache-2.0
"""Draws how training went: losses by term, auto-mask, learning rate and throughput."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator, PercentFormatter

from monodepth2_training.report.chart import BLUE, GREY, ORANGE, label, new_chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from monodepth2_training.report.record import RunRecord

    Floats = NDArray[np.float64]

MOST_POINTS = 300
"""Longer curves are drawn by the means of as many stretches."""


def draw_curves(record: RunRecord) -> str:
    """All curves of a run as one SVG; empty where nothing was written down."""
    if not record.steps:
        return ''
    with new_chart('curves', height_in=6.6) as chart:
        grid = chart.figure.add_gridspec(3, 2, height_ratios=(1.5, 1.0, 1.0))
        main = chart.figure.add_subplot(grid[0, :])
        _term(main, record, 'photometric')
        label(main, 'Photometric error', x=_x_name(record), y='mean over pixels and scales')
        main.legend(loc='upper right')
        panels = [chart.figure.add_subplot(grid[1 + i // 2, i % 2]) for i in range(4)]
        _term(panels[0], record, 'smoothness')
        label(panels[0], _smoothness_title(record))
        _term(panels[1], record, 'moving_share')
        label(panels[1], 'Share of pixels that the auto-mask keeps')
        panels[1].set_ylim(0.0, 1.03)
        panels[1].yaxis.set_major_formatter(PercentFormatter(1.0))
        _steps(panels[2], record, 'learning_rate', step=True)
        panels[2].set_yscale('log')
        label(panels[2], 'Learning rate', x=_x_name(record))
        _steps(panels[3], record, 'samples_per_s')
        panels[3].set_ylim(bottom=0.0)
        label(panels[3], 'Samples per second', x=_x_name(record))
        for axes in (main, *panels):
            axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
            axes.margins(x=0.02)
    return chart.svg


def draw_depths(medians: Floats, unit: str) -> str:
    """How far the middle of each picture is, as one SVG; ``medians`` are [N]."""
    with new_chart('depths', height_in=2.1) as chart:
        axes = chart.figure.add_subplot()
        axes.hist(medians, bins=min(30, max(5, len(medians) // 3)), color=BLUE, alpha=0.85)
        axes.axvline(float(np.median(medians)), color=ORANGE, linewidth=1.4)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        label(axes, 'Median depth of each picture', x=f'{unit} (line: median)', y='pictures')
    return chart.svg


def epochs_of(record: RunRecord) -> Floats:
    """Whole and broken epochs [N] behind each line of kind ``step``; steps if no epoch ended."""
    steps = np.array([entry['step'] for entry in record.steps], np.float64)
    if not record.epochs:
        return steps
    ends = np.array([0, *(entry['step'] for entry in record.epochs)], np.float64)
    epochs = np.array([0, *(entry['epoch'] for entry in record.epochs)], np.float64)
    beyond = np.maximum(steps - ends[-1], 0.0) / max(ends[-1] / epochs[-1], 1.0)
    return np.asarray(np.interp(steps, ends, epochs) + beyond, np.float64)


def thinned(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """A curve of at most ``MOST_POINTS`` points: means over stretches of equal length."""
    if len(x) <= MOST_POINTS:
        return x, y
    x_parts, y_parts = np.array_split(x, MOST_POINTS), np.array_split(y, MOST_POINTS)
    return np.array([p.mean() for p in x_parts]), np.array([p.mean() for p in y_parts])


def _x_name(record: RunRecord) -> str:
    return 'epoch' if record.epochs else 'step'


def _smoothness_title(record: RunRecord) -> str:
    """Name of the small panel of weighted terms."""
    return f'Smoothness, weighted by {record.config.loss.smoothness:g}'


def _term(axes: Axes, record: RunRecord, name: str) -> None:
    """One term in training, faint by step and clear by epoch, and in validation."""
    _steps(axes, record, name, faint=bool(record.epochs))
    epochs = [entry['epoch'] for entry in record.epochs]
    means = record.step_mean_per_epoch(name)
    if means and len(means) == len(epochs):
        middles = np.array(epochs) - 0.5
        axes.plot(middles, means, color=BLUE, marker='o', markersize=3.0, label='training, epoch')
    judged = [e for e in record.epochs if f'validation_{name}' in e]
    if judged:
        values = [entry[f'validation_{name}'] for entry in judged]
        at = [entry['epoch'] for entry in judged]
        axes.plot(at, values, color=ORANGE, marker='s', markersize=3.5, label='validation')


def _steps(
    axes: Axes, record: RunRecord, name: str, *, faint: bool = False, step: bool = False
) -> None:
    """One figure of training by step."""
    values = np.array([entry[name] for entry in record.steps], np.float64)
    x, y = epochs_of(record), values
    if not step:
        x, y = thinned(x, y)
    style = {'color': GREY, 'alpha': 0.45, 'linewidth': 0.8} if faint else {'color': BLUE}
    drawstyle = 'steps-pre' if step else 'default'
    axes.plot(x, y, drawstyle=drawstyle, label='training, steps', **style)  # type: ignore[arg-type]
