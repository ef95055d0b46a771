# SPDX-License-Identifier: Apache-2.0
"""The solids of the world: upright frustums (boxes, roofs, cabins), cylinders, ellipsoids.

Each solid stands in the world at ``centre``, turned by ``yaw`` about the vertical. A frustum is a
box whose sides may lean inwards: at height h above its base its half sizes are
``half - taper * h``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Shape(IntEnum):
    """Which surface is intersected."""

    FRUSTUM = 0
    CYLINDER = 1
    ELLIPSOID = 2


class Material(IntEnum):
    """How a surface is coloured."""

    SKY = 0
    GROUND = 1
    FACADE = 2
    ROOF = 3
    CAR_BODY = 4
    CAR_CABIN = 5
    PAINTED = 6
    BARK = 7
    FOLIAGE = 8
    SIGN = 9


@dataclass(frozen=True, kw_only=True)
class Solid:
    """One solid, in metres, with what its material needs."""

    shape: Shape
    """Its surface."""
    centre: tuple[float, float, float]
    """Centre in the world."""
    half: tuple[float, float, float]
    """Half sizes along its own axes at the base; radii of a cylinder or ellipsoid."""
    yaw: float = 0.0
    """Turn about the vertical, in radians."""
    taper: tuple[float, float] = (0.0, 0.0)
    """How far the x and y sides lean inwards per metre of height."""
    material: Material = Material.PAINTED
    """Its look."""
    colour: tuple[float, float, float] = (0.5, 0.5, 0.5)
    """Main linear RGB colour."""
    trim: tuple[float, float, float] = (0.8, 0.8, 0.8)
    """Second colour: window frames, lights."""
    detail: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """Material parameters; for a facade: window pitch, storey height, window share, style; for a
    sign: its kind, and the side of x from which its front is seen; for a car's body: 1 if it has
    its lamps on when it is dark."""
    seed: int = 0
    """Varies the pattern from solid to solid."""
    instance: int = 0
    """Object that the solid belongs to."""


@dataclass(frozen=True, kw_only=True)
class Solids:
    """Many solids as arrays of one length N; the fields are those of :class:`Solid`."""

    shape: NDArray[np.int64]
    """[N]"""
    centre: NDArray[np.float64]
    """[N, 3]"""
    half: NDArray[np.float64]
    """[N, 3]"""
    yaw: NDArray[np.float64]
    """[N]"""
    taper: NDArray[np.float64]
    """[N, 2]"""
    material: NDArray[np.int64]
    """[N]"""
    colour: NDArray[np.float64]
    """[N, 3]"""
    trim: NDArray[np.float64]
    """[N, 3]"""
    detail: NDArray[np.float64]
    """[N, 4]"""
    seed: NDArray[np.int64]
    """[N]"""
    instance: NDArray[np.int64]
    """[N]"""

    def __len__(self) -> int:
        return len(self.shape)

    @staticmethod
    def of(solids: list[Solid]) -> Solids:
        """Stack a list of solids, which may be empty."""
        columns: dict[str, NDArray[Any]] = {}
        for field, (width, dtype) in _COLUMNS.items():
            values = [getattr(solid, field) for solid in solids]
            columns[field] = np.array(values, dtype=dtype).reshape((len(solids), *width))
        return Solids(**columns)

    def take(self, index: NDArray[np.int64]) -> Solids:
        """The solids at ``index``, int64[M], in that order."""
        return Solids(**{field.name: getattr(self, field.name)[index] for field in fields(self)})

    @staticmethod
    def joined(groups: Sequence[Solids]) -> Solids:
        """The solids of one or more groups one after the other."""
        return Solids(
            **{
                field.name: np.concatenate([getattr(group, field.name) for group in groups])
                for field in fields(Solids)
            }
        )

    def corners(self) -> NDArray[np.float64]:
        """Corners of each solid's upright bounding box, float64 [N, 8, 3], in the world."""
        signs = np.array(
            [[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float
        )
        local = signs[None] * self.half[:, None]
        cos, sin = np.cos(self.yaw)[:, None], np.sin(self.yaw)[:, None]
        x = cos * local[..., 0] - sin * local[..., 1]
        y = sin * local[..., 0] + cos * local[..., 1]
        return np.stack([x, y, local[..., 2]], axis=-1) + self.centre[:, None]


_COLUMNS: dict[str, tuple[tuple[int, ...], type]] = {
    'shape': ((), np.int64),
    'centre': ((3,), np.float64),
    'half': ((3,), np.float64),
    'yaw': ((), np.float64),
    'taper': ((2,), np.float64),
    'material': ((), np.int64),
    'colour': ((3,), np.float64),
    'trim': ((3,), np.float64),
    'detail': ((4,), np.float64),
    'seed': ((), np.int64),
    'instance': ((), np.int64),
}
