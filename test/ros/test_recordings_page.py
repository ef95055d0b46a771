# SPDX-License-Identifier: Apache-2.0
"""docs/recordings.md says what the player, the recorder and their figures are."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from monodepth2_ros.nodes.parameter_table import ParameterTable
from monodepth2_ros.nodes.player_node import PlayerParameters
from monodepth2_ros.nodes.recorder_node import KNOWN_TYPES, RecorderParameters
from monodepth2_ros.recordings.transit import TransitSummary

PAGE = (Path(__file__).parents[2] / 'docs' / 'recordings.md').read_text(encoding='utf-8')
KINDS = {bool: 'bool', int: 'int', float: 'double', str: 'string', tuple: 'strings'}
TABLES = {
    'Playing': ParameterTable(PlayerParameters),
    'Recording': ParameterTable(RecorderParameters),
}


def rows(title: str) -> dict[str, list[str]]:
    """Cells of the parameters in a section, by name."""
    section = PAGE.partition(f'## {title}\n')[2].partition('\n## ')[0]
    lines = [line[2:-2].split(' | ') for line in section.splitlines() if line.startswith('| `')]
    return {cells[0].strip('`'): cells[1:] for cells in lines if len(cells) == 5}


def legal(table: ParameterTable, name: str) -> str:
    spec, default = table.spec(name), table.default(name)
    if isinstance(default, bool):
        return 'true, false'
    if spec.low is not None:
        return f'{spec.low:.10g} to {spec.high:.10g}'
    return ', '.join(spec.choices) or ('any texts' if isinstance(default, tuple) else 'any text')


def written(default: Any) -> str:
    if isinstance(default, bool):
        return f'`{str(default).lower()}`'
    if isinstance(default, tuple):
        return 'those above' if default else '`[]`'
    return f'`{default!r}`'


@pytest.mark.parametrize('title', TABLES)
def test_rows_tell_type_default_legal_values_and_meaning_of_all_there_are(title: str) -> None:
    table = TABLES[title]
    expected = {}
    for name in table.names():
        default, meaning = table.default(name), table.spec(name).description
        about = [KINDS[type(default)], written(default), legal(table, name)]
        expected[name] = [*about, f'{meaning[0].upper()}{meaning[1:]}.']
    assert rows(title) == expected


def test_the_page_names_every_topic_and_every_figure() -> None:
    figures = [field.name for field in fields(TransitSummary)]
    for name in (*KNOWN_TYPES, *figures, 'messages', 'stored'):
        assert f'`{name}`' in PAGE
