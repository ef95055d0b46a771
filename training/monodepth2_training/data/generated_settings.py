# SPDX-License-Identifier: Apache-2.0
"""Which generated drives a run trains on in place of a recording."""

from __future__ import annotations

import re
from dataclasses import dataclass

from monodepth2_ros.errors import ConfigError

_DEVICE = re.compile(r'cpu|cuda(:\d+)?')


@dataclass(frozen=True, kw_only=True)
class GeneratedSettings:
    """Drives that are rendered while a run trains on them."""

    drives: int = 0
    """How many; 0 trains on recordings."""
    frames: int = 60
    """Pictures of each drive."""
    first_seed: int = 0
    """Seed of the first drive; the others count up from it."""
    variety: bool = True
    """Whether drives differ in weather, light, camera, people and faults of the picture, as with
    ``monodepth2 generate --variety``; else only in their streets."""
    rate_hz: float = 10.0
    """Pictures a second."""
    speed_m_s: float = 8.0
    """Usual speed of the vehicle."""
    baseline_m: float = 0.0
    """How far to its right a second camera sits; 0 for none. Stereo modes need it."""
    cameras: int = 2
    """How many sit so far apart, where ``baseline_m`` is not 0: 2, or 3 for mode ``trinocular``,
    the third as far to its left."""
    memory_gib: float = 2.0
    """Memory for rendered pictures; what does not fit is rendered anew in each epoch."""
    device: str = 'cpu'
    """Where pictures are rendered: ``cpu``, ``cuda`` for the GPU that is trained on, or
    ``cuda:N``; only ``cpu`` with worker processes."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant; ``world.drive`` judges the rest."""
        for name, low, high in (('drives', 0, 100_000), ('frames', 3, 20_000), ('cameras', 2, 3)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f'generated.{name} is {value}: expected {low} to {high}')
        if not 0.0 <= self.memory_gib < float('inf'):
            raise ConfigError(f'generated.memory_gib is {self.memory_gib}: expected 0 or more')
        if not _DEVICE.fullmatch(self.device):
            raise ConfigError(f'generated.device is {self.device!r}: expected cpu, cuda or cuda:N')
