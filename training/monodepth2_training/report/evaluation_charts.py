# SPDX-License-Identifier: Apache-2.0
"""Draws predicted against true depth: pixel by pixel, by distance, and over the frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from monodepth2_training.report.chart import BLUE, GREY, INK, LIGHT, ORANGE, label, new_chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from monodepth2_training.evaluation.evaluation import DepthResult

    Floats = NDArray[np.float32]

_TITLES = {'metric': 'in metres', 'recording': 'one factor', 'frame': 'each frame scaled'}
_BINS = 90
_STEPS = 18
_FEWEST = 50
_TICKS_M = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)


def draw_scatter(depth: DepthResult) -> str:
    """Predicted over true depth of all pixels, under each scaling, as one SVG."""
    scalings = list(depth.methods[0].judgement.scores)
    true = np.concatenate([frame.true_m for frame in depth.frames])
    low, high = (float(edge) for edge in np.percentile(true, (0.2, 99.8)))
    edges = np.geomspace(low / 1.3, high * 1.3, _BINS + 1)
    with new_chart('scatter', height_in=2.75) as chart:
        for axes, scaling in zip(
            np.atleast_1d(chart.figure.subplots(1, len(scalings))), scalings, strict=True
        ):
            counts, _, _ = np.histogram2d(true, _scaled(depth, scaling), bins=(edges, edges))
            axes.pcolormesh(
                edges,
                edges,
                np.where(counts > 0, counts, np.nan).T,
                norm=LogNorm(),
                cmap='Blues',
                rasterized=True,
            )
            axes.plot(edges[[0, -1]], edges[[0, -1]], color=ORANGE, linewidth=1.0)
            _metres(axes, edges)
            axes.set_aspect('equal')
            label(axes, _TITLES[scaling].capitalize(), x='true depth, m', y='predicted depth, m')
    return chart.svg


def draw_calibration(depth: DepthResult) -> str:
    """How far predictions are off at each distance, under each scaling, as one SVG."""
    scalings = list(depth.methods[0].judgement.scores)
    true = np.concatenate([frame.true_m for frame in depth.frames])
    low, high = (float(edge) for edge in np.percentile(true, (0.2, 99.8)))
    edges = np.geomspace(low, high, _STEPS + 1)
    step = np.digitize(true, edges) - 1
    with new_chart('calibration', height_in=2.6) as chart:
        panels = np.atleast_1d(chart.figure.subplots(1, len(scalings), sharey=True))
        for axes, scaling in zip(panels, scalings, strict=True):
            ratio = _scaled(depth, scaling) / true
            at, bands = [], []
            for number in range(_STEPS):
                inside = ratio[step == number]
                if len(inside) >= _FEWEST:
                    at.append(float(np.sqrt(edges[number] * edges[number + 1])))
                    bands.append(np.percentile(inside, (10.0, 50.0, 90.0)))
            _draw_bands(axes, np.array(at), np.array(bands).reshape(-1, 3), edges)
            label(axes, _TITLES[scaling].capitalize(), x='true depth, m')
        panels[0].set_ylabel('predicted / true')
    return chart.svg


def draw_frames(depth: DepthResult) -> str:
    """Error and scale of each frame in order, as one SVG."""
    judgement = depth.methods[0].judgement
    frames = np.arange(len(depth.frames))
    with new_chart('frames', height_in=3.4) as chart:
        errors, scale = chart.figure.subplots(2, 1, sharex=True)
        for method, colour in zip(depth.methods, (BLUE, ORANGE, GREY), strict=False):
            values = [found.abs_rel for found in method.judgement.scores['frame'].frames]
            errors.plot(frames, values, '.-', color=colour, linewidth=1.0, label=method.name)
        errors.set_ylim(0.0, 1.3 * errors.get_ylim()[1])
        errors.legend(loc='upper right', ncols=3)
        label(errors, 'abs_rel of each frame, scaled to its truth')
        ratios = judgement.scores['frame'].factors
        scale.plot(frames, ratios, '.-', color=BLUE, linewidth=1.0)
        scale.axhline(judgement.ratio, color=ORANGE, linewidth=1.2)
        scale.set_ylim(0.0, 1.15 * max(ratios))
        scale.xaxis.set_major_locator(MaxNLocator(integer=True))
        label(scale, 'Truth over prediction', x='frame (line: median)')
    return chart.svg


def draw_ranges(depth: DepthResult) -> str:
    """abs_rel of the model and of the guesses by true depth, as one SVG."""
    parts = [method.judgement.ranges['frame'] for method in depth.methods]
    places = np.arange(len(parts[0]))
    width = 0.8 / len(parts)
    with new_chart('ranges', height_in=2.3) as chart:
        axes = chart.figure.add_subplot()
        for number, (method, colour) in enumerate(
            zip(depth.methods, (BLUE, ORANGE, LIGHT), strict=False)
        ):
            values = [part.errors.abs_rel for part in parts[number]]
            axes.bar(places + number * width, values, width, color=colour, label=method.name)
        axes.set_xticks(places + 0.4 - width / 2, [part.name for part in parts[0]])
        axes.grid(visible=False, axis='x')
        axes.legend(loc='best')
        label(axes, 'abs_rel by true depth, each frame scaled')
    return chart.svg


def _scaled(depth: DepthResult, scaling: str) -> Floats:
    """Predicted depth [N] of all pixels in metres, not clamped."""
    factors = depth.methods[0].judgement.scores[scaling].factors
    parts = [
        frame.depth * np.float32(factor)
        for frame, factor in zip(depth.frames, factors, strict=True)
    ]
    return np.concatenate(parts)


def _draw_bands(
    axes: Axes, at: NDArray[np.float64], bands: NDArray[np.float64], edges: NDArray[np.float64]
) -> None:
    """Median and the middle four fifths."""
    axes.axhline(1.0, color=ORANGE, linewidth=1.0)
    axes.fill_between(at, bands[:, 0], bands[:, 2], color=BLUE, alpha=0.18, linewidth=0.0)
    axes.plot(at, bands[:, 1], '.-', color=BLUE)
    axes.set_ylim(0.0, 2.0)
    axes.set_xscale('log')
    _ticks(axes, edges)


def _metres(axes: Axes, edges: NDArray[np.float64]) -> None:
    """Both axes logarithmic, with ticks that people read."""
    axes.set_xscale('log')
    axes.set_yscale('log')
    _ticks(axes, edges)
    ticks = [tick for tick in _TICKS_M if edges[0] <= tick <= edges[-1]]
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_yticklabels([f'{tick:g}' for tick in ticks], color=INK)


def _ticks(axes: Axes, edges: NDArray[np.float64]) -> None:
    ticks = [tick for tick in _TICKS_M if edges[0] <= tick <= edges[-1]]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f'{tick:g}' for tick in ticks], color=INK)
