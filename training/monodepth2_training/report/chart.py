# SPDX-License-Identifier: Apache-2.0
"""One quiet look for all charts, and charts as SVG that can stand in a page beside others."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, BLUE, ORANGE, GREY, LIGHT = '#22303c', '#2b6a99', '#d07a1f', '#7d8a96', '#d9dfe5'
"""Text; the main line; what is compared with it; notes; grids. They differ in print, too."""

WIDTH_IN = 7.4
"""Width of a chart: that of the printed page."""

_STYLE: dict[Any, Any] = {
    'font.family': 'sans-serif',
    'font.sans-serif': ['Helvetica', 'Arial', 'Liberation Sans', 'DejaVu Sans'],
    'font.size': 8.5,
    'text.color': INK,
    'axes.edgecolor': LIGHT,
    'axes.labelcolor': GREY,
    'axes.titlecolor': INK,
    'axes.titlesize': 9.0,
    'axes.titleweight': 'bold',
    'axes.titlelocation': 'left',
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.grid': True,
    'axes.axisbelow': True,
    'axes.formatter.useoffset': False,
    'grid.color': LIGHT,
    'grid.linewidth': 0.6,
    'xtick.color': GREY,
    'ytick.color': GREY,
    'xtick.major.size': 0.0,
    'ytick.major.size': 0.0,
    'ytick.minor.size': 0.0,
    'lines.linewidth': 1.6,
    'lines.solid_capstyle': 'round',
    'legend.frameon': False,
    'legend.fontsize': 8.0,
}


class Chart:
    """A figure that is being drawn; ``svg`` holds it once its ``with`` block has ended."""

    def __init__(self, figure: Figure) -> None:
        """Wrap an empty figure."""
        self.figure = figure
        self.svg = ''


@contextmanager
def new_chart(name: str, *, height_in: float) -> Iterator[Chart]:
    """Draw a chart in the report's style, without any global state of matplotlib's interface.

    Args:
        name: unique on the page, letters alone; makes names inside the SVG unique.
        height_in: its height in inches.
    """
    with mpl.rc_context():
        # Whatever the user's own matplotlibrc says.
        mpl.rcdefaults()
        mpl.rcParams.update({**_STYLE, 'svg.fonttype': 'path', 'svg.hashsalt': name})
        figure = Figure(figsize=(WIDTH_IN, height_in), layout='constrained')
        chart = Chart(figure)
        yield chart
        buffer = io.StringIO()
        figure.savefig(buffer, format='svg', metadata={'Date': None})
    chart.svg = _inline(buffer.getvalue(), name)


def label(axes: Axes, title: str, *, x: str = '', y: str = '') -> None:
    """Name a chart and its axes."""
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)


def _inline(document: str, name: str) -> str:
    """An SVG document as an element of a page: no prolog, no metadata, names of its own."""
    svg = document[document.index('<svg') :]
    svg = re.sub(r'<metadata>.*?</metadata>', '', svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', '', svg)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r'\1', svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r'\1', svg, count=1)
    svg = re.sub(r'id="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'(href="|url\()#', rf'\1#{name}-', svg)
    return svg.strip()
