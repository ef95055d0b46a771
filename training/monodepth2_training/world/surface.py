# SPDX-License-Identifier: Apache-2.0
"""Points of solids that pixels see: where, which way they face, how large the pixel is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from monodepth2_ros.geometry.camera import PinholeCamera
from monodepth2_training.world.intersect import Rays, Scalar
from monodepth2_training.world.solids import Shape, Solids

Vector = tuple[Scalar, Scalar, Scalar]

FACE_X, FACE_Y, FACE_Z = 0, 1, 2
"""The sides of a frustum: ends, long sides, top."""

_COLUMNS = {
    name: number
    for number, name in enumerate(
        (
            *('cx', 'cy', 'cz', 'hx', 'hy', 'hz', 'cos', 'sin', 'taper_x', 'taper_y'),
            *('red', 'green', 'blue', 'trim_red', 'trim_green', 'trim_blue'),
            *('detail_0', 'detail_1', 'detail_2', 'detail_3', 'seed', 'shape', 'material'),
        )
    )
}


class SolidTable:
    """Properties of all solids as float32 columns on one device, looked up per pixel."""

    def __init__(self, solids: Solids, device: torch.device) -> None:
        """Copy the properties of M solids."""
        columns = np.column_stack(
            [
                solids.centre,
                solids.half,
                np.cos(solids.yaw),
                np.sin(solids.yaw),
                solids.taper,
                solids.colour,
                solids.trim,
                solids.detail,
                solids.seed,
                solids.shape,
                solids.material,
            ]
        )
        self._table = torch.from_numpy(np.ascontiguousarray(columns.T, dtype=np.float32)).to(
            device
        )

    def get(self, name: str, solid: torch.Tensor) -> torch.Tensor:
        """One property of each solid named in int64[N]: float32[N]."""
        return self._table[_COLUMNS[name]].index_select(0, solid)

    def colour(self, solid: torch.Tensor, prefix: str = '') -> torch.Tensor:
        """Linear RGB, float32[3, N]; ``prefix`` 'trim_' asks for the second colour."""
        first = _COLUMNS[f'{prefix}red']
        return self._table[first : first + 3].index_select(1, solid)


@dataclass(frozen=True, kw_only=True)
class SurfacePoints:
    """N points; every tensor is [N], float32 and in metres where nothing else is said."""

    pixel: torch.Tensor
    """int64, index into the flattened picture."""
    solid: torch.Tensor
    """int64, which solid."""
    x: torch.Tensor
    """World x."""
    y: torch.Tensor
    """World y."""
    z: torch.Tensor
    """World z."""
    local: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
    """The point in the solid's axes."""
    normal: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
    """Unit normal in the world."""
    face: torch.Tensor
    """int64, side of a frustum."""
    u: torch.Tensor
    """First surface coordinate."""
    v: torch.Tensor
    """Second surface coordinate; on upright sides the height above the base."""
    du: torch.Tensor
    """Extent of the pixel along u."""
    dv: torch.Tensor
    """Extent of the pixel along v."""

    def part(self, index: torch.Tensor) -> SurfacePoints:
        """The points at int64[M] ``index``."""
        values: dict[str, Any] = {}
        for name, value in vars(self).items():
            many = isinstance(value, tuple)
            items = [item.index_select(0, index) for item in (value if many else (value,))]
            values[name] = tuple(items) if many else items[0]
        return replace(self, **values)


@dataclass(frozen=True, kw_only=True)
class View:
    """A camera, its axes and its rays, flattened to one dimension."""

    right: tuple[float, float, float]
    """World direction of one pixel to the right at depth 1."""
    down: tuple[float, float, float]
    """World direction of one pixel down at depth 1."""
    origin: tuple[float, float, float]
    """Camera centre in the world."""
    dx: torch.Tensor
    """float32[H*W] direction of each ray."""
    dy: torch.Tensor
    """float32[H*W]"""
    dz: torch.Tensor
    """float32[H*W]"""

    def directions(self, pixel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Directions of the rays at int64[N] pixels, float32[N] each."""
        return (
            self.dx.index_select(0, pixel),
            self.dy.index_select(0, pixel),
            self.dz.index_select(0, pixel),
        )

    @staticmethod
    def of(camera: PinholeCamera, T_camera_to_world: NDArray[np.float64], rays: Rays) -> View:
        """The view of a camera whose rays are given."""
        rx, ry, rz = (T_camera_to_world[:3, 0] / camera.fx_px).tolist()
        qx, qy, qz = (T_camera_to_world[:3, 1] / camera.fy_px).tolist()
        ox, oy, oz = T_camera_to_world[:3, 3].tolist()
        directions = [torch.as_tensor(d).reshape(-1) for d in (rays.dx, rays.dy, rays.dz)]
        return View(
            right=(rx, ry, rz),
            down=(qx, qy, qz),
            origin=(ox, oy, oz),
            dx=directions[0],
            dy=directions[1],
            dz=directions[2],
        )


def plane_extent(
    axis: Vector,
    normal: Vector,
    direction: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    t: torch.Tensor,
    view: View,
) -> torch.Tensor:
    """Extent of a pixel along a surface axis: how far a hit with the tangent plane moves.

    Args:
        axis: unit vector in the surface, components float32[N] or numbers.
        normal: unit normal of the surface.
        direction: ray directions, float32[N] each.
        t: ray parameters, float32[N].
        view: the camera.

    Returns:
        float32[N] metres, the sum over a step right and a step down.
    """
    facing = torch.as_tensor(_dot(normal, direction))
    facing = torch.where(facing.abs() < 1e-3, 1e-3, facing)
    slip = _dot(axis, direction) / facing
    right = _dot(axis, view.right) - slip * _dot(normal, view.right)
    down = _dot(axis, view.down) - slip * _dot(normal, view.down)
    return t * (torch.as_tensor(right).abs() + torch.as_tensor(down).abs())


def _dot(a: Vector, b: Vector) -> Scalar:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def solid_points(
    pixel: torch.Tensor, solid: torch.Tensor, t: torch.Tensor, view: View, table: SolidTable
) -> SurfacePoints:
    """Describe the hits of int64[N] pixels with int64[N] solids at float32[N] depths."""
    dx, dy, dz = view.directions(pixel)
    x, y, z = view.origin[0] + t * dx, view.origin[1] + t * dy, view.origin[2] + t * dz
    cos, sin = table.get('cos', solid), table.get('sin', solid)
    rx, ry = x - table.get('cx', solid), y - table.get('cy', solid)
    local = (rx * cos + ry * sin, ry * cos - rx * sin, z - table.get('cz', solid))
    half = tuple(table.get(name, solid) for name in ('hx', 'hy', 'hz'))
    face, nx, ny, nz = _local_normal(local, half, solid, table)
    normal = (nx * cos - ny * sin, nx * sin + ny * cos, nz)
    ends, top = face == FACE_X, face == FACE_Z
    u = torch.where(ends, local[1], local[0])
    v = torch.where(top, local[1], local[2] + half[2])
    axis_u = (torch.where(ends, -sin, cos), torch.where(ends, cos, sin), 0.0)
    axis_v = (torch.where(top, -sin, 0.0), torch.where(top, cos, 0.0), torch.where(top, 0.0, 1.0))
    direction = (dx, dy, dz)
    return SurfacePoints(
        pixel=pixel,
        solid=solid,
        x=x,
        y=y,
        z=z,
        local=local,
        normal=normal,
        face=face,
        u=u,
        v=v,
        du=plane_extent(axis_u, normal, direction, t, view),
        dv=plane_extent(axis_v, normal, direction, t, view),
    )


def _local_normal(
    local: tuple[torch.Tensor, ...],
    half: tuple[torch.Tensor, ...],
    solid: torch.Tensor,
    table: SolidTable,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    taper_x, taper_y = table.get('taper_x', solid), table.get('taper_y', solid)
    height = local[2] + half[2]
    past_x = local[0].abs() - half[0] + taper_x * height
    past_y = local[1].abs() - half[1] + taper_y * height
    top = local[2].abs() - half[2] > torch.maximum(past_x, past_y)
    ends = (past_x > past_y) & ~top
    sides = ~(ends | top)
    face = torch.where(ends, FACE_X, torch.where(top, FACE_Z, FACE_Y))
    nx = torch.where(ends, local[0].sign(), 0.0)
    ny = torch.where(sides, local[1].sign(), 0.0)
    nz = torch.where(ends, taper_x, torch.where(sides, taper_y, local[2].sign()))
    shape = table.get('shape', solid)
    round_ = shape != float(Shape.FRUSTUM)
    ball = shape == float(Shape.ELLIPSOID)
    nx = torch.where(round_, local[0] / half[0].square(), nx)
    ny = torch.where(round_, local[1] / half[1].square(), ny)
    nz = torch.where(round_, torch.where(ball, local[2] / half[2].square(), 0.0), nz)
    face = torch.where(round_ & top, FACE_Y, face)
    scale = torch.rsqrt(nx * nx + ny * ny + nz * nz)
    return face, nx * scale, ny * scale, nz * scale
