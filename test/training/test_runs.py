# SPDX-License-Identifier: Apache-2.0
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from monodepth2_training.data.runs import runs_of


@pytest.mark.parametrize(
    ('holds', 'runs'),
    [
        ([], []),
        ([0, 0], []),
        ([1, 1], [[0, 2]]),
        ([0, 1, 1, 0, 1], [[1, 3], [4, 5]]),
    ],
)
def test_runs_begin_at_their_first_and_end_after_their_last(
    holds: list[int], runs: list[list[int]]
) -> None:
    assert runs_of(np.array(holds, bool)).tolist() == runs


@given(st.lists(st.booleans()))
def test_runs_hold_every_true_value_once_and_do_not_touch(holds: list[bool]) -> None:
    runs = runs_of(np.array(holds, bool)).tolist()
    covered = [index for begin, end in runs for index in range(begin, end)]
    assert covered == [index for index, value in enumerate(holds) if value]
    assert all(end < begin for (_, end), (begin, _) in pairwise(runs))
