# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from monodepth2_ros.errors import ConfigError
from monodepth2_ros.typed_document import decode, nearest


@dataclass(frozen=True, kw_only=True)
class Inner:
    ratio: float
    on: bool = False


@dataclass(frozen=True, kw_only=True)
class Outer:
    count: int
    name: str = 'x'
    sizes: tuple[int, ...] = ()
    inner: Inner | None = None
    labels: dict[str, str] = field(default_factory=dict)


def test_a_document_becomes_nested_dataclasses() -> None:
    document = {
        'count': 3,
        'sizes': [1, 2],
        'inner': {'ratio': 2, 'on': True},
        'labels': {'a': 'b'},
    }
    assert decode(Outer, document, 'run') == Outer(
        count=3, sizes=(1, 2), inner=Inner(ratio=2.0, on=True), labels={'a': 'b'}
    )


def test_fields_with_a_default_may_be_left_out() -> None:
    assert decode(Outer, {'count': 1, 'inner': None}, 'run') == Outer(count=1)


def test_a_whole_number_serves_as_a_float_and_becomes_one() -> None:
    assert isinstance(decode(Inner, {'ratio': 2}, 'run').ratio, float)


@pytest.mark.parametrize(
    ('document', 'message'),
    [
        ({}, "run lacks the key 'count'"),
        ({'count': 1, 'nmae': 'y'}, "run has an unknown key 'nmae': did you mean 'name'?"),
        ({'count': 1, 'zzz': 0}, "unknown key 'zzz': known are count, inner, labels, name, sizes"),
        ({'count': '1'}, "run.count is '1': expected a value of type int"),
        ({'count': 1.0}, 'run.count is 1.0: expected a value of type int'),
        ({'count': True}, 'run.count is True: expected a value of type int'),
        ({'count': 1, 'inner': {'ratio': 'a'}}, "run.inner.ratio is 'a': expected a value of"),
        ({'count': 1, 'inner': {'ratio': 1, 'on': 1}}, 'run.inner.on is 1: expected a value of t'),
        ({'count': 1, 'sizes': [1, 'b']}, "run.sizes[1] is 'b': expected a value of type int"),
        ({'count': 1, 'sizes': 5}, 'run.sizes is 5: expected a value of type tuple'),
        (
            {'count': 1, 'labels': {'a': None}},
            'run.labels.a is None: expected a value of type str',
        ),
        ([1], 'run is [1]: expected a mapping'),
    ],
)
def test_a_misfit_is_refused_by_place_value_and_type(document: Any, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        decode(Outer, document, 'run')
    assert message in str(refused.value)


def test_nearest_lists_all_names_when_none_is_near() -> None:
    assert nearest('q', ['alpha', 'beta']) == 'known are alpha, beta'
