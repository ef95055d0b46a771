# SPDX-License-Identifier: Apache-2.0
"""Reads a storage file by its index, and from the first damage on by one rebuilt from the file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

from rosbags import rosbag1, rosbag2
from rosbags.interfaces import Connection

from monodepth2_ros.errors import RecordingError
from monodepth2_ros.recordings.recovery import RecoveredFile

Stored = Iterator[tuple[Connection, int, bytes]]
"""Connection, stamp in ns and data of messages, as rosbags gives them."""

IndexedReader: TypeAlias = rosbag1.Reader | rosbag2.Reader
Links = list[Connection]


class TwoReaders:
    """A file with an index that may be damaged.

    Attributes:
        first: the reader that is asked first, and knows the topics.
        notes: what was lost, once damage was met.
    """

    def __init__(
        self,
        path: Path,
        stack: ExitStack,
        *,
        indexed: Callable[[], IndexedReader | None],
        by_index: Callable[[IndexedReader, Links, int | None, int | None], Stored],
        recovered: Callable[[Path], RecoveredFile],
    ) -> None:
        """Open a file for as long as ``stack`` is open.

        Args:
            path: the file.
            stack: closes it.
            indexed: opens it by its index; None where it has none.
            by_index: streams the messages of some topics between two stamps with it.
            recovered: opens it without.

        Raises:
            RecordingError: nothing in it can be read, and why either way.
        """
        self.notes: list[str] = []
        self._path, self._stack = path, stack
        self._stream, self._open_recovered = by_index, recovered
        self._cause: Exception | None = None
        self._recovery: RecoveredFile | None = None
        self._indexed: IndexedReader | None = None
        try:
            self._indexed = indexed()
        except Exception as err:
            self._cause = err
        self.first = self._recovered() if self._indexed is None else self._indexed

    def messages(
        self, wanted: Callable[[Connection], bool], start_ns: int | None, end_ns: int | None
    ) -> Stored:
        """Stream messages in time order, behind damage those that the rebuilt index finds.

        Args:
            wanted: whether to give the messages of a connection.
            start_ns: first stamp to give.
            end_ns: first stamp not to give.

        Raises:
            Exception: damage that nothing can be read behind.
        """
        stamp, given = start_ns, Counter[str]()
        if self._indexed is not None and self._recovery is None:
            links = _links(self._indexed, wanted)
            for link, stamp_ns, data in self._by_index(self._indexed, links, start_ns, end_ns):
                if stamp_ns != stamp:
                    given.clear()
                    stamp = stamp_ns
                given[link.topic] += 1
                yield link, stamp_ns, data
            if self._cause is None:
                return
        try:
            reader = self._recovered()
        except RecordingError as err:
            raise self._cause or err from err
        links = _links(reader, wanted)
        for link, stamp_ns, data in reader.messages(links, stamp, end_ns) if links else ():
            if stamp_ns == stamp and given[link.topic] > 0:
                given[link.topic] -= 1
            else:
                yield link, stamp_ns, data

    def _by_index(
        self, reader: IndexedReader, links: Links, start_ns: int | None, end_ns: int | None
    ) -> Stored:
        """Messages by the index, up to damage, which becomes the cause of a recovery."""
        try:
            # Readers take an empty list for all.
            yield from self._stream(reader, links, start_ns, end_ns) if links else ()
        except Exception as err:
            self._cause = err

    def _recovered(self) -> RecoveredFile:
        """The file without its index: from the first damage on it is read so."""
        if self._recovery is None:
            try:
                recovery = self._stack.enter_context(self._open_recovered(self._path))
            except (RecordingError, OSError) as err:
                raise RecordingError(f'({_reason(self._cause)}): {err}') from err
            self._recovery = recovery
            if self._cause is not None or not recovery.whole:
                self.notes.append(recovery.note)
        return self._recovery


def _links(
    reader: IndexedReader | RecoveredFile, wanted: Callable[[Connection], bool]
) -> list[Connection]:
    return [link for link in reader.connections if wanted(link)]


def _reason(cause: Exception | None) -> str:
    return 'it has no index' if cause is None else str(cause) or type(cause).__name__
