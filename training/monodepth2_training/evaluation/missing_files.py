# SPDX-License-Identifier: Apache-2.0
"""Files of a data set that are not there: how many, the first few, and what to download."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class MissingFiles:
    """What was looked for in vain."""

    paths: Sequence[Path]
    """Each file, once."""
    total: int
    """How many files were looked for."""
    remedy: str
    """What to download, and where from."""

    def text(self) -> str:
        """All of it in a sentence; empty if nothing is missing."""
        if not self.paths:
            return ''
        first = ', '.join(str(path) for path in self.paths[:_SHOWN])
        more = len(self.paths) - _SHOWN
        tail = f' and {more} more' if more > 0 else ''
        return f'{len(self.paths)} of {self.total} files are missing ({first}{tail})'


def look_for(paths: Iterable[Path], *, remedy: str) -> MissingFiles:
    """Look for files."""
    wanted = list(dict.fromkeys(paths))
    missing = [path for path in wanted if not path.is_file()]
    return MissingFiles(paths=missing, total=len(wanted), remedy=remedy)
