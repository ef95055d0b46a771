# SPDX-License-Identifier: Apache-2.0
"""Which recordings were taken with the same cameras, and which cameras may share a store.

A vehicle that is calibrated anew, as KITTI's on each day, has new intrinsics. Each calibration
becomes cameras of its own in the store, so that every picture is used with the one it was taken
with. A network knows one focal length, though, so that another lens is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from monodepth2_ros.errors import CalibrationError

if TYPE_CHECKING:
    from monodepth2_ros.recordings import Recording
    from monodepth2_training.data.camera_plan import CameraPlan

_SAME_PX, _SAME_M, _SAME_SHARE = 1e-3, 1e-4, 1e-6
_MOST_FOCAL_DIFFERENCE = 0.02
"""Of the focal length relative to the picture; docs/conventions.md calls more another camera."""


def same_rigs(recordings: Sequence[Recording], plans: Sequence[Sequence[CameraPlan]]) -> list[int]:
    """For each recording the number of the first one that was taken with the same cameras.

    Raises:
        CalibrationError: cameras differ by more than their calibration.
    """
    firsts: list[int] = []
    for number, cameras in enumerate(plans):
        same = (first for first in dict.fromkeys(firsts) if _are_same(plans[first], cameras))
        firsts.append(next(same, number))
        for one, two in zip(plans[0], cameras, strict=True):
            _check_kind(recordings[0], one, recordings[number], two)
    return firsts


def _are_same(some: Sequence[CameraPlan], others: Sequence[CameraPlan]) -> bool:
    return all(
        (a.source.width, a.source.height) == (b.source.width, b.source.height)
        and abs(a.source.K - b.source.K).max() <= _SAME_PX
        and abs(a.position_m - b.position_m) <= _SAME_M
        and _prepared_alike(a, b)
        for a, b in zip(some, others, strict=True)
    )


def _prepared_alike(one: CameraPlan, other: CameraPlan) -> bool:
    """Whether both make the same of a picture: raw and rectified ones may end up with one P."""
    a, b = one.drive.calibration, other.drive.calibration
    if (one.window, a.image_size) != (other.window, b.image_size):
        return False
    if one.rectifier is None or other.rectifier is None:
        return one.rectifier is other.rectifier
    forms = [(c.distortion_model, c.binning_x, c.binning_y, c.region, len(c.D)) for c in (a, b)]
    first, second = ((*c.D, *c.K, *c.R, *c.P) for c in (a, b))
    same_form = forms[0] == forms[1]
    return same_form and np.allclose(first, second, rtol=_SAME_SHARE, atol=_SAME_SHARE)


def _check_kind(first: Recording, one: CameraPlan, other: Recording, two: CameraPlan) -> None:
    """Refuse a recording whose camera has another lens than that of the first one."""
    a, b = one.source, two.source
    size_a, size_b = np.array([a.width, a.height]), np.array([b.width, b.height])
    focal_a, focal_b = np.array([a.fx_px, a.fy_px]) / size_a, np.array([b.fx_px, b.fy_px]) / size_b
    if abs(focal_b / focal_a - 1.0).max() > _MOST_FOCAL_DIFFERENCE:
        raise CalibrationError(
            f'{other.path} was taken with another camera than {first.path}: {two.drive.name} '
            f'gives {b.width}x{b.height} pixels with fx {b.fx_px:g}, {one.drive.name} '
            f'{a.width}x{a.height} with fx {a.fx_px:g}; extract it into a store of its own'
        )
