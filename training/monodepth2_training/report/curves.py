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


def draw_error(record: RunRecord) -> str:
    """The photometric error in training and validation as one SVG."""
    with new_chart('error', height_in=2.7) as chart:
        axes = chart.figure.add_subplot()
        _term(axes, record, 'photometric')
        label(axes, 'Photometric error', x=_x_name(record), y='mean over pixels and scales')
        axes.legend(loc='upper right')
        _tick_epochs(axes)
    return chart.svg


def draw_progress(record: RunRecord) -> str:
    """Smoothness, auto-mask, learning rate and throughput as one SVG."""
    with new_chart('progress', height_in=3.5) as chart:
        (smooth, kept), (rate, speed) = chart.figure.subplots(2, 2, sharex=True)
        _term(smooth, record, 'smoothness')
        label(smooth, f'Smoothness, weighted by {record.config.loss.smoothness:g}')
        _term(kept, record, 'moving_share')
        label(kept, 'Share of pixels that the auto-mask keeps')
        kept.set_ylim(0.0, 1.03)
        kept.yaxis.set_major_formatter(PercentFormatter(1.0))
        _steps(rate, record, 'learning_rate', step=True)
        rate.set_yscale('log')
        label(rate, 'Learning rate', x=_x_name(record))
        _steps(speed, record, 'samples_per_s')
        speed.set_ylim(bottom=0.0)
        label(speed, 'Samples per second', x=_x_name(record))
        _tick_epochs(rate)
    return chart.svg


def draw_depths(medians: Floats, unit: str) -> str:
    """How far the middle of each picture is, as one SVG; ``medians`` are [N]."""
    with new_chart('depths', height_in=2.1) as chart:
        axes = chart.figure.add_subplot()
        axes.hist(medians, bins=min(30, max(5, len(medians) // 3)), color=BLUE, edgecolor='white')
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


def _tick_epochs(axes: Axes) -> None:
    """Whole numbers below the time axis."""
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    axes.margins(x=0.02)


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
    axes.plot(x, y, drawstyle=drawstyle, label='training, steps', **style)
