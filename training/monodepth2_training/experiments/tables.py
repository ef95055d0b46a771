# SPDX-License-Identifier: Apache-2.0
"""What a table of the paper consists of, read from ``config/experiments/table_N.yaml``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from monodepth2_ros.errors import ConfigError
from monodepth2_ros.typed_document import decode, nearest
from monodepth2_training.config_files import config_folders
from monodepth2_training.evaluation.depth_errors import METRICS
from monodepth2_training.evaluation.judgement import SCALINGS

RATIO_SPREAD = 'ratio_spread'
"""Relative standard deviation over the frames of the factor from prediction to truth."""

FIGURES = (*METRICS, RATIO_SPREAD)
"""What tables may have of a model."""

DATA = ('kitti_lidar', 'kitti_improved', 'make3d')
"""What tables are judged on."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One training of a table."""

    name: str
    """What the paper calls it."""
    training: str
    """The configuration, of config/training."""
    paper: tuple[float, ...]
    """The paper's figures: of the table's metrics, in their order, maybe not of the last ones."""
    scaling: str = 'frame'
    """One of ``SCALINGS``: where the factor to metres comes from."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table."""

    title: str
    """What it is about."""
    data: str
    """One of ``DATA``."""
    metrics: tuple[str, ...]
    """Which figures it has, of ``FIGURES``."""
    rows: tuple[Row, ...]
    """In the paper's order."""
    flip: bool = False
    """Whether depth of a picture and of its mirror image is merged."""

    def __post_init__(self) -> None:
        """Refuse unknown names and figures without a metric."""
        _check('data', self.data, DATA)
        for metric in self.metrics:
            _check('metric', metric, FIGURES)
        for row in self.rows:
            _check('scaling', row.scaling, SCALINGS)
            if len(row.paper) > len(self.metrics):
                raise ConfigError(
                    f'row {row.name!r} has {len(row.paper)} figures, but there are '
                    f'{len(self.metrics)} metrics'
                )


def known_tables() -> dict[str, Path]:
    """The file of each table by its number."""
    folders = [folder.with_name('experiments') for folder in config_folders()]
    found = {path.stem.removeprefix('table_'): path for f in folders for path in f.glob('*.yaml')}
    return dict(sorted(found.items(), key=lambda item: item[0].zfill(3)))


def read_table(number: str) -> Table:
    """Read the table of a number.

    Raises:
        ConfigError: there is no such table, or its file does not fit.
    """
    path = known_tables().get(number)
    if path is None:
        raise ConfigError(f'there is no table {number!r}: {nearest(number, known_tables())}')
    try:
        document = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as err:
        raise ConfigError(f'{path} cannot be read: {err}') from err
    return decode(Table, document, path.name)


def _check(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse what is not among the choices."""
    if value not in choices:
        raise ConfigError(f'{name} {value!r} is not known: {nearest(value, choices)}')
