# SPDX-License-Identifier: Apache-2.0
"""Recovers the messages of an SQLite (``.db3``) bag that is cut off or damaged.

Tables are told by the shape of their rows, since the tree that names them may be lost: messages
are (id, topic, stamp, bytes), topics (id, name, type, format, [QoS, [hash]]).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from functools import partial

from monodepth2_ros.recordings.recovery import Link, RecoveredFile, Survey
from monodepth2_ros.recordings.sqlite_pages import Row, SqlitePages
from monodepth2_ros.recordings.stretches import Found, Stretch

_ROWS_AT_ONCE = 64
_MESSAGE_COLUMNS = 4
_TOPIC_COLUMNS = range(4, 7)


class RecoveredSqlite(RecoveredFile):
    """What can be read of a damaged ``.db3`` file."""

    def _survey(
        self,
    ) -> tuple[Survey, Mapping[int, Link], Collection[Stretch], Mapping[int, int]]:
        self._pages = SqlitePages(self._stream)
        survey = Survey(size=self._pages.size, cut_off=self._pages.cut_off)
        links: dict[int, Link] = {}
        counts = Counter[int]()
        stretches, leaves, stamps_ns = [], list[int](), list[int]()
        for leaf in self._pages.leaves():
            found = self._look_into(leaf, survey, links, counts)
            if found:
                leaves.append(leaf)
                stamps_ns += found
            if len(stamps_ns) >= _ROWS_AT_ONCE:
                stretches.append(Stretch.over(tuple(leaves), stamps_ns))
                leaves, stamps_ns = [], []
        if stamps_ns:
            stretches.append(Stretch.over(tuple(leaves), stamps_ns))
        # Where the end is missing, the rows that are there do not tell how many there were.
        survey.expected = 0 if survey.cut_off else survey.expected
        return survey, links, stretches, counts

    def _look_into(
        self, leaf: int, survey: Survey, links: dict[int, Link], counts: Counter[int]
    ) -> list[int]:
        """Count what a page holds; the stamps of its whole messages."""
        stamps_ns = []
        for row in self._pages.rows(leaf):
            if row is None:
                survey.places += 1
            elif _is_message(row):
                survey.expected = max(survey.expected, row.number)
                whole = self._pages.payload(row) is not None
                survey.left_out += not whole
                if whole:
                    counts[row.columns[1].integer(row.local)] += 1
                    stamps_ns.append(row.columns[2].integer(row.local))
            elif _is_topic(row):
                link = _link(self._pages.payload(row) or row.local, row)
                if link.topic.startswith('/'):
                    links[row.number] = link
        return stamps_ns

    def _read(self, stretch: Stretch, links: Collection[int]) -> Iterator[Found]:
        for leaf in stretch.place:
            for row in self._pages.rows(leaf):
                if row and _is_message(row):
                    link = row.columns[1].integer(row.local)
                    if link in links:
                        stamp_ns = row.columns[2].integer(row.local)
                        yield Found(stamp_ns, link, partial(self._data, row))

    def _data(self, row: Row) -> bytes | None:
        payload = self._pages.payload(row)
        return None if payload is None else payload[row.columns[3].start :]


def _is_message(row: Row) -> bool:
    if len(row.columns) != _MESSAGE_COLUMNS:
        return False
    number, topic, stamp, data = row.columns
    in_leaf = stamp.end <= len(row.local)
    return number.type == 0 and topic.is_integer and stamp.is_integer and data.is_blob and in_leaf


def _is_topic(row: Row) -> bool:
    number, *texts = row.columns
    return (
        len(row.columns) in _TOPIC_COLUMNS
        and number.type == 0
        and all(column.is_text for column in texts)
    )


def _link(payload: bytes, row: Row) -> Link:
    texts = [
        payload[column.start : column.end].decode('utf-8', 'replace') for column in row.columns
    ]
    return Link(topic=texts[1], type=texts[2], format=texts[3], qos=''.join(texts[4:5]))
