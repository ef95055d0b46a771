# SPDX-License-Identifier: Apache-2.0
"""What an extraction is asked to take from its recordings."""

from __future__ import annotations

from dataclasses import dataclass

from monodepth2_ros.errors import ConfigError
from monodepth2_ros.model_description import RESIZES

_LARGEST = 4096


@dataclass(frozen=True, kw_only=True)
class ExtractionSettings:
    """What to take from a recording, and at which size."""

    width: int = 640
    """Columns of the stored pictures: the network's."""
    height: int = 192
    """Rows of the stored pictures: the network's."""
    resize: str = 'bilinear'
    """One of ``model_description.RESIZES``."""
    cameras: tuple[str, ...] = ()
    """Image topics or namespaces; empty finds them."""
    stereo: bool = False
    """Whether both cameras of a rectified pair are taken."""
    odometry: str = ''
    """Topic of the odometry; empty finds it by type."""
    fps: float = 0.0
    """True frame rate of a video or image folder; 0 takes what it says itself."""
    keep_every: int = 1
    """Take every n-th picture."""
    max_frames: int = 0
    """Most pictures of each camera; 0 takes all."""
    start_s: float = 0.0
    """Seconds from the beginning of each recording to the first picture."""
    split: str = ''
    """List of frames of KITTI's raw data; the recording is then its root."""
    end_s: float = 0.0
    """Seconds from the beginning of each recording to the end; 0 takes all."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if any(side % 32 or not 32 <= side <= _LARGEST for side in (self.width, self.height)):
            raise ConfigError(
                f'size {self.width}x{self.height} is not usable: expected multiples of 32 up to '
                f'{_LARGEST}, since the network halves its input five times'
            )
        if self.resize not in RESIZES:
            raise ConfigError(
                f'resize {self.resize!r} is not known: expected one of {", ".join(RESIZES)}'
            )
        for name, least in (('keep_every', 1), ('max_frames', 0), ('fps', 0), ('start_s', 0)):
            if not least <= getattr(self, name) < float('inf'):
                raise ConfigError(
                    f'{name} {getattr(self, name)} is not usable: expected {least} or more'
                )
        if self.end_s and not self.start_s < self.end_s < float('inf'):
            raise ConfigError(f'end_s {self.end_s} is not usable: expected more than start_s')
        if len(self.cameras) > (2 if self.stereo else 1):
            raise ConfigError(f'{len(self.cameras)} cameras are named: expected one, or a pair')
