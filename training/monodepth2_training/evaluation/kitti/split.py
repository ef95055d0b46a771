# SPDX-License-Identifier: Apache-2.0
"""Lists of test files: in md2's form and in Eigen's, one frame a line.

| form | a line |
|---|---|
| md2 | ``2011_09_26/2011_09_26_drive_0002_sync 0000000069 l`` |
| Eigen | ``2011_09_26/2011_09_26_drive_0002_sync/image_02/data/0000000069.png`` and maybe more |

No list is shipped: those of the papers are in the repositories of their authors.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from monodepth2_ros.errors import EvaluationError

WHERE_FROM = (
    'the Eigen split is splits/eigen/test_files.txt (697 lines), that of the improved truth '
    'splits/eigen_benchmark/test_files.txt (652 lines) of github.com/nianticlabs/monodepth2'
)
"""Where people get the lists."""

_CAMERAS = {'l': 2, 'r': 3}
_MD2 = re.compile(r'(?P<drive>\S+)\s+(?P<frame>\d+)(?:\s+(?P<side>[lr]))?')
_EIGEN = re.compile(r'(?P<drive>\S+)/image_0(?P<camera>[23])/data/(?P<frame>\d+)\.(?:png|jpg)\b.*')


@dataclass(frozen=True, kw_only=True)
class SplitEntry:
    """One frame of a list."""

    drive: str
    """Folder of the drive below KITTI's root: ``day/drive_sync``."""
    frame: int
    """Number of the frame in the drive."""
    camera: int
    """2 left colour, 3 right colour."""

    @property
    def day(self) -> str:
        """Folder with the calibration."""
        return self.drive.partition('/')[0]

    @property
    def name(self) -> str:
        """What the frame is called."""
        return f'{self.drive} {self.frame:010d} {"l" if self.camera == 2 else "r"}'


def read_split(path: Path) -> tuple[SplitEntry, ...]:
    """Read a list of frames in either form; empty lines are left out.

    Raises:
        EvaluationError: the list cannot be read, is empty, or has a line of another form.
    """
    try:
        lines = path.read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as err:
        raise EvaluationError(f'{path} cannot be read ({err}); {WHERE_FROM}') from err
    entries = [_entry(line.strip(), path, n) for n, line in enumerate(lines, 1) if line.strip()]
    if not entries:
        raise EvaluationError(f'{path} names no frame: expected one a line; {WHERE_FROM}')
    return tuple(entries)


def _entry(line: str, path: Path, number: int) -> SplitEntry:
    """One line of either form."""
    eigen = _EIGEN.fullmatch(line)
    if eigen:
        return SplitEntry(
            drive=eigen['drive'], frame=int(eigen['frame']), camera=int(eigen['camera'])
        )
    found = _MD2.fullmatch(line)
    if found is None:
        raise EvaluationError(
            f'{path}, line {number}: {line!r} is no frame: expected "day/drive_sync frame l", or '
            '"day/drive_sync/image_02/data/frame.png"'
        )
    return SplitEntry(
        drive=found['drive'], frame=int(found['frame']), camera=_CAMERAS[found['side'] or 'l']
    )
