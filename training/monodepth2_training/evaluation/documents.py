# SPDX-License-Identifier: Apache-2.0
"""An evaluation as JSON for programs and as Markdown for people: see docs/evaluation.md."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from monodepth2_ros import __version__
from monodepth2_training.evaluation.depth_errors import METRICS
from monodepth2_training.evaluation.verdict import SCALING_TITLES, verdict

if TYPE_CHECKING:
    from monodepth2_training.evaluation.depth_errors import DepthErrors
    from monodepth2_training.evaluation.evaluation import (
        DepthResult,
        Evaluation,
        FigureTable,
        Method,
    )
    from monodepth2_training.evaluation.judgement import Part

SCHEMA = 1
"""Version of the JSON; grows when a key changes its meaning or goes away."""


def document(evaluation: Evaluation) -> dict[str, object]:
    """Everything but pictures and pixels, ready for JSON: NaN is written as null."""
    return {
        'schema': SCHEMA,
        'software': f'monodepth2_ros {__version__}',
        'title': evaluation.title,
        'kind': evaluation.kind,
        'verdict': verdict(evaluation),
        'facts': dict(evaluation.facts),
        'doubts': [dataclasses.asdict(doubt) for doubt in evaluation.doubts],
        'depth': None if evaluation.depth is None else _depth(evaluation.depth),
        'tables': {table.name: _table(table) for table in evaluation.tables},
    }


def markdown(evaluation: Evaluation) -> str:
    """The figures as Markdown."""
    lines = [f'# {evaluation.title}', '', verdict(evaluation), '']
    for doubt in evaluation.doubts:
        lines.append(f'- **{doubt.what}** {doubt.advice}')
    lines += ['', *_table_lines(('', ''), evaluation.facts)]
    if evaluation.depth is not None:
        lines += _depth_lines(evaluation.depth)
    for table in evaluation.tables:
        rows = ([cell_text(cell) for cell in row] for row in table.rows)
        lines += [f'## {table.title}', '', *_table_lines(table.header, rows)]
        lines += [table.note, ''] if table.note else []
    return '\n'.join(lines).rstrip() + '\n'


def error_cells(errors: DepthErrors) -> list[str]:
    """The errors of one row as text, in the order of ``METRICS``."""
    return [cell_text(getattr(errors, name)) for name in METRICS]


def cell_text(cell: str | float | None) -> str:
    """A figure with three digits behind the point; a dash where there is none."""
    if cell is None or (isinstance(cell, float) and not math.isfinite(cell)):
        return '-'
    if isinstance(cell, float):
        return f'{cell:.3f}' if abs(cell) < 100.0 else f'{cell:.1f}'
    return str(cell)


def _depth(depth: DepthResult) -> dict[str, object]:
    judged = depth.methods[0].judgement
    return {
        'min_depth_m': depth.limits.min_depth_m,
        'max_depth_m': depth.limits.max_depth_m,
        'methods': [_method(method) for method in depth.methods],
        'frames': [
            {
                'name': frame.name,
                'pixels': len(frame.true_m),
                'ratio': frame.ratio,
                'pixel_ratio': frame.pixel_ratio,
                'errors': {
                    scaling: _errors(scores.frames[number])
                    for scaling, scores in judged.scores.items()
                },
            }
            for number, frame in enumerate(depth.frames)
        ],
    }


def _method(method: Method) -> dict[str, object]:
    judgement = method.judgement
    return {
        'name': method.name,
        'ratio': judgement.ratio,
        'ratio_spread': judgement.ratio_spread,
        'pixel_ratio': judgement.pixel_ratio,
        'pixel_ratio_spread': judgement.pixel_ratio_spread,
        'errors': {name: _errors(scores.mean) for name, scores in judgement.scores.items()},
        'ranges': {name: _parts(parts) for name, parts in judgement.ranges.items()},
        'regions': {name: _parts(parts) for name, parts in judgement.regions.items()},
    }


def _parts(parts: Sequence[Part]) -> list[dict[str, object]]:
    return [
        {
            'name': part.name,
            'frames': part.frames,
            'share': part.share,
            'errors': _errors(part.errors),
        }
        for part in parts
    ]


def _errors(errors: DepthErrors) -> dict[str, float | None]:
    values = dataclasses.asdict(errors)
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _table(table: FigureTable) -> list[dict[str, str | float | None]]:
    """Rows of a table by the names of its columns."""
    return [
        {
            name: None if isinstance(cell, float) and not math.isfinite(cell) else cell
            for name, cell in zip(table.header, row, strict=True)
        }
        for row in table.rows
    ]


def _depth_lines(depth: DepthResult) -> list[str]:
    lines = []
    for scaling, title in SCALING_TITLES.items():
        methods = [m for m in depth.methods if scaling in m.judgement.scores]
        rows = [[m.name, *error_cells(m.judgement.scores[scaling].mean)] for m in methods]
        if scaling in depth.methods[0].judgement.scores:
            lines += [f'## {title}', '', *_table_lines(('', *METRICS), rows)]
            parts = depth.methods[0].judgement.ranges[scaling]
            rows = [[part.name, *error_cells(part.errors)] for part in parts]
            lines += _table_lines(('true depth', *METRICS), rows)
    return lines


def _table_lines(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    cells = (' | '.join(cell.replace('|', '\\|') for cell in row) for row in rows)
    return [
        f'| {" | ".join(header)} |',
        f'|{"---|" * len(header)}',
        *(f'| {row} |' for row in cells),
        '',
    ]
