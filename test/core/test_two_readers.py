# SPDX-License-Identifier: Apache-2.0
"""What lies behind damage is read without the index, nothing of it twice, nothing unasked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from monodepth2_ros.errors import RecordingError
from monodepth2_ros.recordings.two_readers import TwoReaders

IMAGE, OTHER = (SimpleNamespace(topic=topic) for topic in ('/image', '/other'))
STORED = [
    (IMAGE, 10, b'a'),
    (OTHER, 20, b'x'),
    (IMAGE, 20, b'b'),
    (IMAGE, 20, b'c'),
    (IMAGE, 30, b'd'),
]


class Reader:
    """Gives some messages, then fails if it is told to."""

    note, whole = 'something is damaged', False

    def __init__(self, stored: list, *, fails: bool = False) -> None:
        self.connections = [link for link in (IMAGE, OTHER) if any(s[0] is link for s in stored)]
        self._stored, self._fails = stored, fails

    def messages(self, links, start_ns, end_ns) -> Iterator:
        for stored in self._stored:
            if stored[0] in (links or self.connections) and stored[1] >= (start_ns or 0):
                yield stored
        if self._fails:
            raise ValueError('damaged')


def readers(indexed: Reader | None, recovered: Reader | None) -> TwoReaders:
    @contextmanager
    def opened(path: Path):
        if recovered is None:
            raise RecordingError('nothing was found')
        yield recovered

    return TwoReaders(
        Path('a.bag'),
        ExitStack(),
        indexed=lambda: indexed,
        by_index=Reader.messages,
        recovered=opened,
    )


@pytest.mark.parametrize('before', range(len(STORED) + 1))
def test_reading_goes_on_behind_damage_wherever_it_is(before: int):
    both = readers(Reader(STORED[:before], fails=True), Reader(STORED))
    if before == 0:
        both.first.connections = [IMAGE, OTHER]
    assert list(both.messages(lambda link: True, None, None)) == STORED
    assert both.notes == ['something is damaged']
    assert list(both.messages(lambda link: link is OTHER, None, None)) == [STORED[1]]


def test_without_damage_nothing_is_rebuilt_or_said():
    both = readers(Reader(STORED), None)
    assert list(both.messages(lambda link: True, None, None)) == STORED
    assert both.notes == []


def test_a_topic_that_is_lost_with_the_damage_brings_no_other():
    both = readers(Reader(STORED, fails=True), Reader([STORED[1]]))
    assert list(both.messages(lambda link: link is IMAGE, 30, None)) == [STORED[4]]


def test_a_file_that_neither_can_read_is_refused_with_both_reasons():
    with pytest.raises(RecordingError, match=r'^\(it has no index\): nothing was found$'):
        readers(None, None)


def test_damage_that_nothing_can_be_read_behind_is_raised():
    both = readers(Reader(STORED[:2], fails=True), None)
    stored = both.messages(lambda link: True, None, None)
    assert [next(stored), next(stored)] == STORED[:2]
    with pytest.raises(ValueError, match='damaged'):
        next(stored)
