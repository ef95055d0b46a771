# SPDX-License-Identifier: Apache-2.0
"""An evaluation as JSON and Markdown that any reader takes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from monodepth2_training.evaluation.depth_errors import METRICS, DepthErrors, depth_errors
from monodepth2_training.evaluation.documents import cell_text, document, error_cells, markdown
from monodepth2_training.evaluation.evaluation import Doubt, Evaluation, FigureTable

NAN = float('nan')


def evaluation(**changes: Any) -> Evaluation:
    table = FigureTable(
        name='motion',
        title='Motion',
        header=('path', 'metres'),
        rows=(('a|b', 1.5), ('c', NAN), ('d', float('inf'))),
        note='by odometry',
    )
    given = {
        'title': 'x on y',
        'kind': 'bag',
        'facts': (('model', 'x'), ('odd', 'one | two')),
        'doubts': (Doubt(what='It is dark.', advice='Wait.', urgent=False),),
        'tables': (table,),
    }
    return Evaluation(**given | changes)


def test_the_json_is_that_of_the_standard_with_null_for_what_is_not_a_number() -> None:
    text = json.dumps(document(evaluation()), allow_nan=False)
    rows = json.loads(text)['tables']['motion']
    assert rows == [
        {'path': 'a|b', 'metres': 1.5},
        {'path': 'c', 'metres': None},
        {'path': 'd', 'metres': None},
    ]
    assert json.loads(text)['depth'] is None


def test_a_bar_in_a_name_does_not_break_a_markdown_table() -> None:
    lines = markdown(evaluation()).splitlines()
    tables = [line for line in lines if line.startswith('|')]
    columns = {line.replace('\\|', '').count('|') for line in tables}
    assert columns == {3}
    assert '| a\\|b | 1.500 |' in lines
    assert '| odd | one \\| two |' in lines


def test_doubts_stand_before_figures() -> None:
    text = markdown(evaluation())
    places = [text.index(words) for words in ('**It is dark.** Wait.', '## Motion', 'by odometry')]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ('cell', 'text'),
    [
        (0.12345, '0.123'),
        (99.9994, '99.999'),
        (100.0, '100.0'),
        (-1234.56, '-1234.6'),
        (NAN, '-'),
        (float('-inf'), '-'),
        (None, '-'),
        (7, '7'),
        ('words', 'words'),
    ],
)
def test_figures_have_as_many_digits_as_mean_something(
    cell: str | float | None, text: str
) -> None:
    assert cell_text(cell) == text


def test_errors_come_in_the_order_of_the_table_and_a_dash_for_none() -> None:
    found = depth_errors(np.float32([1.0, 2.0]), np.float32([1.0, 4.0]))
    assert error_cells(found)[METRICS.index('abs_rel')] == '0.250'
    assert error_cells(found)[METRICS.index('delta_1')] == '0.500'
    nothing = DepthErrors(**dict.fromkeys(METRICS, NAN))
    assert error_cells(nothing) == ['-'] * len(METRICS)
