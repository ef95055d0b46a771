# SPDX-License-Identifier: Apache-2.0
"""Turns the figures of ``run`` into a Markdown page and a picture."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from live_traffic import Figures, Source

from monodepth2_ros.processor import processor

_VERSIONS = ('torch', 'openvino', 'numpy', 'opencv-python-headless', 'ros-jazzy-rclpy')


@dataclass(kw_only=True)
class Results:
    """Everything that one run of the benchmark measured; filled as it goes."""

    command: str
    """The command line that measured it."""
    model: str
    """The network, in words."""
    bare: dict[str, Any] = field(default_factory=dict)
    """What ``bare_network`` printed."""
    one_by_one: dict[tuple[str, Source], Figures] = field(default_factory=dict)
    """By node (depth, plain, echo) and source: each frame sent once the last was answered."""
    without_pause: dict[tuple[str, Source], Figures] = field(default_factory=dict)
    """The same: one frame sent for each answer, so that one always waits."""
    at_rate: dict[tuple[float, Source], Figures] = field(default_factory=dict)
    """The depth node by rate in Hz and source."""
    busy: dict[str, tuple[Figures, Figures]] = field(default_factory=dict)
    """By node, frame by frame: quiet, and beside processes that keep every core busy."""
    stage_source: Source
    """With which source, frame by frame, stages were looked at."""
    stages: dict[str, str] = field(default_factory=dict)
    """The depth node's own times by stage."""
    start_up: dict[str, float] = field(default_factory=dict)
    """Seconds by part."""
    soak: list[tuple[int, float]] = field(default_factory=list)
    """Frames answered, and memory of the node in MiB."""


def machine() -> str:
    """Processor, cores, versions and load, in one line."""
    versions = [f'{name} {metadata.version(name)}' for name in _VERSIONS if _installed(name)]
    return (
        f'{processor().name}, {os.cpu_count()} cores, Python '
        f'{platform.python_version()}, {", ".join(versions)}; load average '
        f'{os.getloadavg()[0]:.1f} at the end'
    )


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def write(results: Results, out: Path) -> Path:
    """Write ``live.md`` and ``live.png`` into a folder; gives the page's path."""
    out.mkdir(parents=True, exist_ok=True)
    parts = [_head(results)]
    for values, table in (
        (results.bare, _bare_table),
        (results.one_by_one, _node_table),
        (results.without_pause, _pause_table),
        (results.at_rate, _rate_table),
        (results.busy, _busy_table),
        (results.stages, _stage_table),
        (results.start_up, _start_table),
        (results.soak, _soak_table),
    ):
        if values:
            parts.append(table(results))
    page = out / 'live.md'
    if results.one_by_one:
        _draw(results, out / 'live.png')
        parts.insert(1, '![time of a frame](live.png)\n')
    page.write_text('\n'.join(parts), encoding='utf-8')
    return page


def _head(results: Results) -> str:
    where = f'; networks on {results.bare["device"]}' if results.bare else ''
    return (
        '# The whole node, live\n\n'
        f'`{results.command}`\n\n{machine()}{where}\n\n'
        f'{results.model}; depth at the size of the image, cloud at stride 2 with 16 bytes a '
        'point, no picture. Times run from the stamp of an image in one process to the '
        'arrival of the last answer there, through DDS with the Fast DDS profile. *Plain* is '
        '`plain_node.py`: eager float32 at four scales (on a GPU with TF32, as PyTorch has it), '
        'conversion as by cv_bridge, a structured array for each cloud. *Echo* computes nothing: '
        "it is the transport alone. CPU is the node's process, all threads. Read ratios: the "
        'milliseconds are of this machine.\n'
    )


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [f'## {title}\n', f'| {" | ".join(columns)} |', f'|{"---|" * len(columns)}']
    lines += [f'| {" | ".join(str(cell) for cell in row)} |' for row in rows]
    return '\n'.join(lines) + '\n'


def _bare_table(results: Results) -> str:
    bare = results.bare
    best, plain = bare['best'], bare['plain']
    rows = [
        (name, f'{each["p50_ms"]:.1f}', f'{each["p90_ms"]:.1f}', f'{each["cpu_ms"]:.1f}', times)
        for name, each, times in (
            (f'eager {bare["plain_arithmetic"]}, four scales', plain, '1'),
            (bare['engine'], best, f'**{plain["p50_ms"] / best["p50_ms"]:.1f}**'),
        )
    ]
    columns = ('engine', 'ms (median)', 'ms (p90)', 'CPU ms', 'times faster')
    return _table('The network alone', columns, rows)


def _node_table(results: Results) -> str:
    rows = []
    for source in dict.fromkeys(source for _, source in results.one_by_one):
        node = results.one_by_one['depth', source]
        plain = results.one_by_one.get(('plain', source))
        echo = results.one_by_one.get(('echo', source))
        rows.append((source.name, *_node_cells(node), *_beside(node, plain, echo, results.bare)))
    columns = (
        *('input', 'ms (median)', 'p95', 'p95 / median', 'CPU ms'),
        *('transport ms', 'transport CPU ms', 'CPU / (1.5 network + transport)'),
        *('plain ms', 'times faster', 'CPU saved (times)'),
    )
    return _table('Frame by frame: each is sent once the last is answered', columns, rows)


def _node_cells(node: Figures) -> tuple[str, ...]:
    spread = node.p95_ms / node.p50_ms
    return f'{node.p50_ms:.1f}', f'{node.p95_ms:.1f}', f'{spread:.2f}', f'{node.cpu_ms:.1f}'


def _beside(
    node: Figures, plain: Figures | None, echo: Figures | None, bare: Mapping[str, Any]
) -> tuple[str, ...]:
    transport, share = ('–', '–'), '–'
    if echo is not None:
        transport = f'{echo.p50_ms:.1f}', f'{echo.cpu_ms:.1f}'
        if bare:
            share = f'{node.cpu_ms / (1.5 * bare["best"]["cpu_ms"] + echo.cpu_ms):.2f}'
    if plain is None:
        return *transport, share, '–', '–', '–'
    return (
        *(*transport, share, f'{plain.p50_ms:.1f}'),
        *(f'**{plain.p50_ms / node.p50_ms:.1f}**', f'{plain.cpu_ms / node.cpu_ms:.1f}'),
    )


def _pause_table(results: Results) -> str:
    rows = []
    for (name, source), node in results.without_pause.items():
        plain = results.without_pause.get(('plain', source))
        if name == 'depth' and plain is not None:
            times = f'**{node.rate_hz / plain.rate_hz:.1f}**'
            lost = node.lost, plain.lost
            rates = f'{node.rate_hz:.1f}', f'{plain.rate_hz:.1f}'
            rows.append((source.name, *rates, times, f'{node.cpu_ms:.1f}', *lost))
    columns = ('input', 'Hz', 'plain Hz', 'times the frames', 'CPU ms', 'lost', 'plain lost')
    return _table('Without a pause: an image always waits while another is in work', columns, rows)


def _rate_table(results: Results) -> str:
    rows = [
        (
            *(source.name, f'{rate_hz:g}', f'{each.sent}', f'{len(each.latencies_ms)}'),
            *_latency_cells(each),
            ', '.join(f'{n} {cause}' for cause, n in each.dropped.items()) or 'none',
            f'{each.lost}',
        )
        for (rate_hz, source), each in results.at_rate.items()
    ]
    columns = (
        *('input', 'Hz', 'sent', 'answered', 'ms (median)', 'p95', 'CPU ms a frame'),
        *('dropped, by cause', 'unexplained'),
    )
    return _table('A camera at a fixed rate', columns, rows)


def _latency_cells(each: Figures) -> tuple[str, str, str]:
    if not each.latencies_ms:
        return '–', '–', f'{each.cpu_ms:.1f}'
    return f'{each.p50_ms:.1f}', f'{each.p95_ms:.1f}', f'{each.cpu_ms:.1f}'


def _busy_table(results: Results) -> str:
    rows = []
    for name, (quiet, busy) in results.busy.items():
        times = (quiet.p50_ms, busy.p50_ms, busy.p90_ms)
        cells = (f'{each:.1f}' for each in times)
        rows.append((name, *cells, f'**{busy.p90_ms / quiet.p50_ms:.1f}**'))
    columns = ('node', 'quiet: ms (median)', 'busy: ms (median)', 'busy: p90', 'busy p90 / quiet')
    return _table('Beside processes that keep every core busy', columns, rows)


def _stage_table(results: Results) -> str:
    title = f'Stages of {results.stage_source.name}, frame by frame, as diagnostics tell'
    return _table(title, ('stage', 'ms'), list(results.stages.items()))


def _start_table(results: Results) -> str:
    rows = [(part, f'{seconds:.2f}') for part, seconds in results.start_up.items()]
    return _table('Start to first depth', ('part', 's'), rows)


def _soak_table(results: Results) -> str:
    rows = [(frames, f'{mib:.1f}') for frames, mib in results.soak]
    return _table('Memory over many frames', ('frames', 'MiB'), rows)


def _draw(results: Results, path: Path) -> None:
    """Bars of the median time by input, whiskers to p95."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    sources = list(dict.fromkeys(source for _, source in results.one_by_one))
    figure, axes = pyplot.subplots(figsize=(9, 0.55 * len(sources) + 1.6))
    for offset, (node, colour) in zip(
        (-0.27, 0.0, 0.27),
        (('plain', '#b0b0b0'), ('depth', '#1f77b4'), ('echo', '#9ecae1')),
        strict=True,
    ):
        known = [(i, results.one_by_one.get((node, s))) for i, s in enumerate(sources)]
        bars = [(i, each) for i, each in known if each is not None]
        heights = [each.p50_ms for _, each in bars]
        whiskers = [[0.0] * len(bars), [each.p95_ms - each.p50_ms for _, each in bars]]
        places = [i + offset for i, _ in bars]
        label = {'plain': 'plain loop', 'depth': 'depth_node', 'echo': 'transport alone'}[node]
        axes.barh(places, heights, 0.25, xerr=whiskers, color=colour, label=label, capsize=2)
    axes.set_yticks(range(len(sources)), [source.name for source in sources])
    axes.invert_yaxis()
    axes.set_xlabel('stamp to last answer in another process, ms (median, whisker p95)')
    axes.legend(loc='best', frameon=False)
    axes.spines[['top', 'right']].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
