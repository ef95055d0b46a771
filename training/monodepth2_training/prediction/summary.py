# SPDX-License-Identifier: Apache-2.0
"""What a prediction run did, as text for people and as a document for programs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from monodepth2_ros.geometry.camera import PinholeCamera


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The result of a run over some pictures."""

    model: Path
    """Model file."""
    topic: str
    """Image topic of the camera in a bag; empty for other pictures."""
    out: Path
    """File or folder that was written."""
    formats: tuple[str, ...]
    """What was written of each picture."""
    images: int
    """Pictures that were written."""
    failures: tuple[str, ...]
    """Why each of the others was skipped."""
    scale: float | None
    """Metres per unit of network depth; None if unknown, and depth is relative."""
    device: str
    """Where the network ran."""
    rectified: bool
    """Whether pictures were rectified first, and depth belongs to the rectified ones."""
    camera: PinholeCamera | None
    """Camera that depth belongs to; None if unknown."""
    seconds: float
    """From the first picture to the last file, decoding and writing included."""

    @property
    def metric(self) -> bool:
        """Whether depth is in metres."""
        return self.scale is not None

    def document(self) -> dict[str, object]:
        """Everything, ready for JSON."""
        paths = {'model': str(self.model), 'out': str(self.out)}
        unit = {'depth_unit': 'm' if self.metric else 'relative'}
        return dataclasses.asdict(self) | paths | unit

    def text(self) -> str:
        """One line."""
        unit = f'metres at scale {self.scale:g}' if self.metric else 'relative depth'
        what = unit if self.formats != ('disparity',) else 'network output'
        pace = f'{1000.0 * self.seconds / max(self.images, 1):.0f} ms each on {self.device}'
        rectified = ', rectified' if self.rectified else ''
        written = f'{self.images} x {"+".join(self.formats)}'
        of_topic = f' of {self.topic}' if self.topic else ''
        return f'{written}{of_topic} -> {self.out}: {what}{rectified}, {pace}'
