# SPDX-License-Identifier: Apache-2.0
"""Rigid motions from six numbers, and their inverse, exact in value and gradient also at rest.

A motion is an axis-angle vector in radians and a translation; ``T = [R t; 0 1]`` maps
``p`` to ``R p + t``. Everything is element-wise, so that autocast leaves it in float32.
"""

from __future__ import annotations

import torch

_NEAR_ZERO_RAD2 = 1e-6
"""Squared angle below which series replace quotients; their error is below 1e-14 there."""


def rotation(axis_angle: torch.Tensor) -> torch.Tensor:
    """Turn axis-angle vectors into rotation matrices (Rodrigues' formula).

    ``R = cos(a) I + sin(a)/a [v]x + (1 - cos(a))/a^2 v v'`` with ``a = |v|``.

    Args:
        axis_angle: float [..., 3], radians; half precision is widened to float32.

    Returns:
        float [..., 3, 3], at least float32, with a finite gradient everywhere.
    """
    v = _wide(axis_angle)
    angle2 = (v * v).sum(-1)[..., None, None]
    sine, versine = _sine_over_angle(angle2), _versine_over_angle2(angle2)
    outer = v[..., :, None] * v[..., None, :]
    identity = torch.eye(3, dtype=v.dtype, device=v.device)
    return (1.0 - versine * angle2) * identity + sine * _cross_matrix(v) + versine * outer


def rigid_transform(axis_angle: torch.Tensor, translation: torch.Tensor) -> torch.Tensor:
    """Build transforms that rotate first and then translate.

    Args:
        axis_angle: float [..., 3], radians.
        translation: float [..., 3], in the unit of the scene.

    Returns:
        float [..., 4, 4], at least float32.
    """
    return _assemble(rotation(axis_angle), _wide(translation))


def invert_rigid(T: torch.Tensor) -> torch.Tensor:
    """Invert rigid transforms float [..., 4, 4]: ``[R' -R't; 0 1]``."""
    R, t = T[..., :3, :3], T[..., :3, 3]
    return _assemble(R.transpose(-1, -2), -(R * t[..., :, None]).sum(-2))


def _assemble(R: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """[R t; 0 1] of [..., 3, 3] and [..., 3]."""
    upper = torch.cat((R, t[..., None]), dim=-1)
    last = torch.eye(4, dtype=R.dtype, device=R.device)[3]
    return torch.cat((upper, last.expand(*R.shape[:-2], 1, 4)), dim=-2)


def _cross_matrix(v: torch.Tensor) -> torch.Tensor:
    """The matrix [..., 3, 3] whose product with p is the cross product v x p."""
    x, y, z = v.unbind(-1)
    zero = torch.zeros_like(x)
    rows = torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), dim=-1)
    return rows.reshape(*v.shape, 3)


def _sine_over_angle(angle2: torch.Tensor) -> torch.Tensor:
    """sin(a) / a of a^2."""
    near, angle = _split(angle2)
    return torch.where(near, 1.0 - angle2 / 6.0, angle.sin() / angle)


def _versine_over_angle2(angle2: torch.Tensor) -> torch.Tensor:
    """(1 - cos(a)) / a^2 of a^2, by half the angle, where nothing cancels."""
    near, angle = _split(angle2)
    half = (0.5 * angle).sin() / (0.5 * angle)
    return torch.where(near, 0.5 - angle2 / 24.0, 0.5 * half * half)


def _split(angle2: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Where the angle is nearly zero, and the angle, 1 there: the root's gradient stays finite."""
    near = angle2 < _NEAR_ZERO_RAD2
    return near, torch.where(near, torch.ones_like(angle2), angle2).sqrt()


def _wide(x: torch.Tensor) -> torch.Tensor:
    """At least float32."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
