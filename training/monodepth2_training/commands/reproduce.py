# SPDX-License-Identifier: Apache-2.0
"""``monodepth2 reproduce``: the paper's tables, with its figures beside ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from monodepth2_ros.errors import ConfigError, EvaluationError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from monodepth2_training.evaluation.data_set import DataSet
    from monodepth2_training.experiments.reproduction import Result, Train
    from monodepth2_training.experiments.tables import Row, Table

HELP = (
    'Rerun the experiments of a table of the paper and write its figures beside ours. Trainings '
    'are taken from RUNS/NAME/model.safetensors; those that are not there are trained on '
    '--train-on, or left out and said. RUNS gets table_N.md and table_N.json. The tables are the '
    'files of config/experiments.'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument('table', metavar='N', nargs='+', help='tables: 1 2 3 6 7 8 10 11 12')
    parser.add_argument('--out', metavar='RUNS', type=Path, required=True, help='folder of runs')
    parser.add_argument('--kitti', type=Path, metavar='FOLDER', help="KITTI's raw data")
    parser.add_argument('--split', type=Path, metavar='FILE', help='test files, as md2 or Eigen')
    parser.add_argument('--make3d', type=Path, metavar='FOLDER', help='Make3D, for table 3')
    parser.add_argument(
        '--train-on',
        type=Path,
        nargs='+',
        default=[],
        metavar='SOURCE',
        help='recordings or a frame store; each configuration is trained that has no model yet',
    )
    parser.add_argument(
        '--train-split',
        type=Path,
        metavar='FILE',
        help='train files, as md2 or Eigen; --train-on is then the folder of --kitti',
    )
    parser.add_argument('--row', default='', help='only the row of this name')
    parser.add_argument(
        '--set',
        dest='overrides',
        metavar='KEY=VALUE',
        action='append',
        default=[],
        help='change one setting of all trainings, as optimisation.epochs=1; this is written down',
    )
    parser.add_argument('--device', default='auto', help='auto (default), cpu, cuda or cuda:N')


def run(args: argparse.Namespace) -> int:
    """Run the tables one after the other."""
    from monodepth2_training.experiments.tables import read_table

    tables = {number: read_table(number) for number in args.table}
    sets = {number: _data_set(args, table) for number, table in tables.items()}
    args.out.mkdir(parents=True, exist_ok=True)
    unjudged = [
        number for number, table in tables.items() if not _run(args, number, table, sets[number])
    ]
    if unjudged:
        raise EvaluationError(
            f'no row of table {", ".join(unjudged)} was judged, so it was not written: there is '
            f'no model of it in {args.out}; train it with --train-on'
        )
    return 0


def _run(args: argparse.Namespace, number: str, table: Table, data: DataSet) -> bool:
    """Run the rows of a table that are asked for and write it; False if none can be judged."""
    from monodepth2_ros.atomic_file import write_atomically
    from monodepth2_training.experiments.reproduction import (
        stored_results,
        table_document,
        table_markdown,
    )

    rows, path = _rows(args, table), args.out / f'table_{number}.json'
    kept, before = stored_results(path, table, frames=len(data.frames)) if args.row else ({}, ())
    results = kept | {row.name: _result(args, row, table, data) for row in rows}
    if not any(results[row.name].figures for row in rows):
        return False
    ordered = [results[row.name] for row in table.rows if row.name in results]
    changes = list(dict.fromkeys((*before, *args.overrides)))
    text = table_markdown(number, table, ordered, data, changes=changes)
    document = table_document(number, table, ordered, data, changes=changes)
    write_atomically(path.with_suffix('.md'), text.encode())
    write_atomically(path, (json.dumps(document, indent=2) + '\n').encode())
    print(text)
    return True


def _rows(args: argparse.Namespace, table: Table) -> Sequence[Row]:
    """The rows that are asked for."""
    rows = [row for row in table.rows if args.row in ('', row.name)]
    if not rows:
        known = ', '.join(repr(row.name) for row in table.rows)
        raise ConfigError(f'--row {args.row!r} is not in this table: its rows are {known}')
    return rows


def _data_set(args: argparse.Namespace, table: Table) -> DataSet:
    """What a table is judged on."""
    data = _open_set(args, table)
    if not data.frames:
        missing = data.missing
        raise EvaluationError(f'{data.title} has no frame: {missing.text()}; {missing.remedy}')
    return data


def _open_set(args: argparse.Namespace, table: Table) -> DataSet:
    """The set of the arguments."""
    if table.data == 'make3d':
        from monodepth2_training.evaluation.make3d import make3d_set

        if args.make3d is None:
            raise ConfigError('this table is judged on Make3D: give --make3d FOLDER')
        return make3d_set(args.make3d)
    from monodepth2_training.evaluation.kitti.raw import kitti_set
    from monodepth2_training.evaluation.kitti.split import WHERE_FROM, read_split

    if args.kitti is None or args.split is None:
        raise ConfigError(f'this table is judged on KITTI: give --kitti and --split; {WHERE_FROM}')
    return kitti_set(args.kitti, read_split(args.split), truth=table.data.removeprefix('kitti_'))


def _result(args: argparse.Namespace, row: Row, table: Table, data: DataSet) -> Result:
    """Train a row's network if need be, and judge it."""
    from monodepth2_ros.inference.estimator import DepthEstimator
    from monodepth2_training.evaluation.set_predictions import ModelPredictions
    from monodepth2_training.experiments.reproduction import Result, ensure_model, judge_row

    model = ensure_model(args.out, row.training, _train(args) if args.train_on else None)
    if model is None:
        return Result(row=row, figures=None, note=f'not trained ({row.training})')
    estimator = DepthEstimator.load(model, device=args.device, flip=table.flip)
    try:
        return judge_row(row, data, ModelPredictions(estimator, row.training))
    finally:
        estimator.close()


def _train(args: argparse.Namespace) -> Train:
    """Train as ``monodepth2 train`` does."""
    import argparse as arguments

    from monodepth2_ros.errors import TrainingError
    from monodepth2_training.commands import train

    def run_training(name: str, folder: Path, weights: str) -> None:
        parser = arguments.ArgumentParser()
        train.add_arguments(parser)
        given = [*map(str, args.train_on), f'--out={folder}', f'--config={name}']
        given += [f'--split={args.train_split}'] if args.train_split else []
        # What starts from another training takes that one's weights, whatever others begin with.
        fixed = ('network.weights=',) if weights else ()
        given += [f'--set={change}' for change in args.overrides if not change.startswith(fixed)]
        given += [f'--device={args.device}', *([f'--init={weights}'] if weights else [])]
        if (folder / 'checkpoints').is_dir():
            given = [f'--out={folder}', '--resume', f'--device={args.device}']
        if train.run(parser.parse_args(given)):
            raise TrainingError(f'{name} was not trained to its end: see {folder}')

    return run_training
