# SPDX-License-Identifier: Apache-2.0
"""Where rays meet solids: closed formulas on tensors that broadcast, on CPU and GPU alike.

A ray is ``origin + t * direction``; the origin is given relative to the solid's centre. Misses and
hits behind the origin are +Inf. Directions need no unit length, so a direction with camera z = 1
makes t the depth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

Scalar = torch.Tensor | float
Index = tuple[slice, slice] | tuple[torch.Tensor, ...]

_FAR = float('inf')
_TINY = 1e-12


@dataclass(frozen=True, kw_only=True)
class Rays:
    """Origins and directions by component; plain numbers stand for the same value on every ray."""

    ox: Scalar
    """Origin, x."""
    oy: Scalar
    """Origin, y."""
    oz: Scalar
    """Origin, z."""
    dx: Scalar
    """Direction, x."""
    dy: Scalar
    """Direction, y."""
    dz: Scalar
    """Direction, z."""

    def at(self, index: Index) -> Rays:
        """The rays at an index of their common shape; a view where the index is made of slices."""
        return Rays(
            **{
                name: value[index] if isinstance(value, torch.Tensor) else value
                for name, value in vars(self).items()
            }
        )

    def seen_from(self, centre: tuple[float, float, float], yaw: float) -> Rays:
        """The same rays in the axes of a solid at ``centre``, turned by ``yaw`` about z."""
        cos, sin = math.cos(yaw), math.sin(yaw)
        ox, oy = self.ox - centre[0], self.oy - centre[1]
        return Rays(
            ox=ox * cos + oy * sin,
            oy=oy * cos - ox * sin,
            oz=self.oz - centre[2],
            dx=self.dx * cos + self.dy * sin,
            dy=self.dy * cos - self.dx * sin,
            dz=self.dz,
        )


def slab(origin: Scalar, direction: Scalar, half: Scalar) -> tuple[torch.Tensor, torch.Tensor]:
    """Entry and exit of the space between the planes at -half and +half."""
    inverse = 1.0 / (torch.as_tensor(direction) + _TINY)
    middle = inverse * -origin
    reach = inverse.abs() * half
    return middle - reach, middle + reach


def leaning_slab(
    origin: Scalar, direction: Scalar, height: Scalar, rise: Scalar, half: Scalar, taper: Scalar
) -> tuple[torch.Tensor, torch.Tensor]:
    """Entry and exit of |a| <= half - taper * h, along which a and the height h change linearly.

    Args:
        origin: a at t = 0.
        direction: da/dt.
        height: h at t = 0, above the base.
        rise: dh/dt.
        half: half size at the base.
        taper: shrinkage per unit of height.
    """
    near, far = torch.tensor(-_FAR), torch.tensor(_FAR)
    room = half - taper * height
    for sign in (1.0, -1.0):
        # Inside is slope * t <= room: the ray leaves where the slope is positive, else enters.
        slope = torch.as_tensor(sign * direction + taper * rise) + _TINY
        crossing = (room - sign * origin) / slope
        leaving = slope > 0
        near = torch.maximum(near, torch.where(leaving, -_FAR, crossing))
        far = torch.minimum(far, torch.where(leaving, crossing, _FAR))
    return near, far


def frustum_entries(
    rays: Rays, half: tuple[float, float, float], taper: tuple[float, float]
) -> tuple[tuple[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]:
    """Entry through the x, y and z sides, and the common exit, of rays in the frustum's axes."""
    near_z, far_z = slab(rays.oz, rays.dz, half[2])
    if taper == (0.0, 0.0):
        near_x, far_x = slab(rays.ox, rays.dx, half[0])
        near_y, far_y = slab(rays.oy, rays.dy, half[1])
    else:
        height = rays.oz + half[2]
        near_x, far_x = leaning_slab(rays.ox, rays.dx, height, rays.dz, half[0], taper[0])
        near_y, far_y = leaning_slab(rays.oy, rays.dy, height, rays.dz, half[1], taper[1])
    return (near_x, near_y, near_z), torch.minimum(torch.minimum(far_x, far_y), far_z)


def frustum(
    rays: Rays, half: tuple[float, float, float], taper: tuple[float, float]
) -> torch.Tensor:
    """First hit with an upright frustum from outside."""
    (near_x, near_y, near_z), far = frustum_entries(rays, half, taper)
    near = torch.maximum(torch.maximum(near_x, near_y), near_z)
    return torch.where((near <= far) & (near > 0), near, _FAR)


def cylinder(rays: Rays, half: tuple[float, float, float]) -> torch.Tensor:
    """First hit with the side of an upright cylinder of radius half[0]; its ends are open."""
    a = torch.as_tensor(rays.dx * rays.dx + rays.dy * rays.dy)
    b = rays.ox * rays.dx + rays.oy * rays.dy
    c = rays.ox * rays.ox + rays.oy * rays.oy - half[0] ** 2
    t = (-b - torch.sqrt(b * b - a * c)) / a
    inside = (rays.oz + t * rays.dz).abs() <= half[2]
    return torch.where(inside & (t > 0), t, _FAR)


def cylinder_span(
    rays: Rays, radius: Scalar, half_height: Scalar
) -> tuple[torch.Tensor, torch.Tensor]:
    """Entry and exit of a closed upright cylinder; NaN or exit before entry where rays miss."""
    a = torch.as_tensor(rays.dx * rays.dx + rays.dy * rays.dy)
    b = rays.ox * rays.dx + rays.oy * rays.dy
    c = rays.ox * rays.ox + rays.oy * rays.oy - radius * radius
    root = torch.sqrt(b * b - a * c)
    near_z, far_z = slab(rays.oz, rays.dz, half_height)
    return torch.maximum((-b - root) / a, near_z), torch.minimum((-b + root) / a, far_z)


def ellipsoid(
    rays: Rays, half: tuple[Scalar, Scalar, Scalar]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Front and back hit with an ellipsoid of radii ``half``."""
    dx, dy, dz = rays.dx / half[0], rays.dy / half[1], rays.dz / half[2]
    ox, oy, oz = rays.ox / half[0], rays.oy / half[1], rays.oz / half[2]
    a = torch.as_tensor(dx * dx + dy * dy + dz * dz)
    b = ox * dx + oy * dy + oz * dz
    root = torch.sqrt(b * b - a * (ox * ox + oy * oy + oz * oz - 1.0))
    front, back = (-b - root) / a, (-b + root) / a
    return torch.where(front > 0, front, _FAR), torch.where(back > 0, back, _FAR)
