# SPDX-License-Identifier: Apache-2.0
"""Runs the rows of a table: trains what is missing, judges it, puts figures side by side."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from monodepth2_ros.errors import EvaluationError
from monodepth2_training.config_files import read_config
from monodepth2_training.evaluation.data_set import DataSet
from monodepth2_training.evaluation.documents import cell_text
from monodepth2_training.evaluation.set_evaluation import evaluate_set, missing_doubts
from monodepth2_training.evaluation.set_predictions import Predictions
from monodepth2_training.experiments.tables import RATIO_SPREAD, Row, Table

MODEL = 'model.safetensors'
"""Name of the model file in the folder of a training."""

Train = Callable[[str, Path, str], None]
"""Trains a configuration into a folder, from a file of weights if that is not empty."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came out for a row."""

    row: Row
    """The row."""
    figures: Mapping[str, float] | None
    """Ours, by ``tables.FIGURES``; None where there is no model."""
    note: str = ''
    """Why there is none."""


def ensure_model(runs: Path, name: str, train: Train | None) -> Path | None:
    """The model file of a training; trains it, and first what it starts from, if it is not there.

    Returns:
        None where there is no model and nothing to train on.
    """
    path = runs / name / MODEL
    if path.is_file() or train is None:
        return path if path.is_file() else None
    config = read_config(name)
    weights = ''
    if config.starts_from:
        weights = str(ensure_model(runs, config.starts_from, train) or '')
    train(name, runs / name, weights)
    return path


def judge_row(row: Row, data: DataSet, predictions: Predictions) -> Result:
    """Judge what a row's training has given."""
    depth = evaluate_set(data, predictions).depth
    judgement = depth.methods[0].judgement if depth else None
    if judgement is None or row.scaling not in judgement.scores:
        raise EvaluationError(
            f'row {row.name!r} is judged in metres, and {predictions.name} knows none: train it '
            'on a stereo recording'
        )
    figures = asdict(judgement.scores[row.scaling].mean)
    return Result(row=row, figures=figures | {RATIO_SPREAD: judgement.ratio_spread})


def stored_results(
    path: Path, table: Table, *, frames: int
) -> tuple[dict[str, Result], tuple[str, ...]]:
    """Read the document of a table that was written before, to add rows to it.

    Args:
        path: of the document; nothing is kept where there is none.
        table: the table.
        frames: on how many it is judged now.

    Returns:
        its results by the names of their rows, and the changes of its trainings.

    Raises:
        EvaluationError: it is no such document, or was judged on other frames.
    """
    if not path.is_file():
        return {}, ()
    try:
        document = json.loads(path.read_bytes())
        stored = {row['name']: (row['ours'], row['note']) for row in document['rows']}
        changes, before = tuple(document['changes']), document.get('frames', frames)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise EvaluationError(
            f'{path} is no table that rows can be added to: {err!r}; move it away'
        ) from err
    if before != frames:
        raise EvaluationError(
            f'{path} was judged on {before} frames, but {frames} are there now: rows would not '
            'compare; move it away, or give another --out'
        )
    results = {}
    for row in table.rows:
        ours, note = stored.get(row.name, (None, ''))
        if row.name in stored and (ours is None or set(ours) >= set(table.metrics)):
            results[row.name] = Result(row=row, figures=ours, note=note)
    return results, changes


def table_markdown(
    number: str,
    table: Table,
    results: Sequence[Result],
    data: DataSet,
    *,
    changes: Sequence[str] = (),
) -> str:
    """The paper's figures beside ours as Markdown."""
    lines = [f'# Table {number}: {table.title}', '']
    frames = f'{len(data.frames)} frames of {data.title}'
    lines += [f'Judged on {frames}{", with flip post-processing" if table.flip else ""}.', '']
    lines += [f'- **{doubt.what}** {doubt.advice}' for doubt in missing_doubts(data)]
    if changes:
        lines += [f'- **Not the experiments of the paper:** trained with {", ".join(changes)}.']
    lines += ['', f'| row | scaling | whose | {" | ".join(table.metrics)} |']
    lines += [f'|{"---|" * (3 + len(table.metrics))}']
    for result in results:
        lines += _row_lines(result, table.metrics)
    return '\n'.join(lines) + '\n'


def table_document(
    number: str,
    table: Table,
    results: Sequence[Result],
    data: DataSet,
    *,
    changes: Sequence[str] = (),
) -> dict[str, object]:
    """The same ready for JSON."""
    return {
        'table': number,
        'title': table.title,
        'data': table.data,
        'flip': table.flip,
        'frames': len(data.frames),
        'changes': list(changes),
        'rows': [
            {
                'name': result.row.name,
                'training': result.row.training,
                'scaling': result.row.scaling,
                'paper': dict(zip(table.metrics, result.row.paper, strict=False)),
                'ours': None
                if result.figures is None
                else {name: result.figures[name] for name in table.metrics},
                'note': result.note,
            }
            for result in results
        ],
    }


def _row_lines(result: Result, metrics: Sequence[str]) -> list[str]:
    """Two lines: the paper's, and ours or why there is none."""
    row, figures = result.row, result.figures
    paper = [cell_text(value) for value in row.paper] + ['-'] * (len(metrics) - len(row.paper))
    ours = [cell_text(figures[name]) if figures else '' for name in metrics]
    whose = 'ours' if figures else f'ours: {result.note}'
    return [
        f'| {row.name} | {row.scaling} | paper | {" | ".join(paper)} |',
        f'| | | {whose} | {" | ".join(ours)} |',
    ]
