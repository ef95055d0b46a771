# SPDX-License-Identifier: Apache-2.0
"""Whether the live camera is the one that a model was trained on, and what follows if not.

A network takes the size at which things appear for their distance. Behind a lens of another focal
length everything appears larger or smaller by f_live / f_train, both at the network's size, and
is therefore taken for nearer or farther by that factor: depth is multiplied by it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from monodepth2_ros.errors import ImageError
from monodepth2_ros.geometry.camera import PinholeCamera
from monodepth2_ros.model_description import TrainingCamera

MISMATCH_CHOICES = ('rescale', 'refuse', 'ignore')
"""What to do with a camera of another focal length: multiply depth, drop frames, or nothing."""

SAME_FOCAL = 0.02
"""Focal lengths that differ by less are the same."""

_SAME_SHAPE = 0.05


class CameraMismatchError(ImageError):
    """The image is of another camera than the model's, and that shall not be."""


@dataclass(frozen=True, kw_only=True)
class CameraMatch:
    """The live camera against that of the model."""

    factor: float = 1.0
    """What depth has to be multiplied by: f_live / f_train at the network's size."""
    differences: tuple[str, ...] = ()
    """What differs, one sentence each; empty if nothing does or nothing is known."""

    @property
    def other_focal(self) -> bool:
        """Whether the focal length differs by more than ``SAME_FOCAL``."""
        return abs(self.factor - 1.0) > SAME_FOCAL

    @property
    def rescaled(self) -> tuple[str, ...]:
        """The differences, with what ``rescale`` does about another focal length."""
        if not self.other_focal:
            return self.differences
        done = f'depth is multiplied by {self.factor:.3f}'
        return (f'{self.differences[0]}: {done}', *self.differences[1:])

    def applied(self, choice: str) -> float:
        """The factor under one of ``MISMATCH_CHOICES``.

        Raises:
            CameraMismatchError: the focal length differs and is to be refused.
        """
        if choice == 'refuse' and self.other_focal:
            raise CameraMismatchError(
                f"{self.differences[0]}: camera_mismatch is refuse; use the model's camera, "
                'train on this one, or set camera_mismatch to rescale'
            )
        return self.factor if choice == 'rescale' and self.other_focal else 1.0


def match_cameras(
    trained: TrainingCamera | None, live: PinholeCamera | None, *, width: int, height: int
) -> CameraMatch:
    """Compare two cameras.

    Args:
        trained: that of the model file; None if unknown.
        live: of what the network is shown, before it is resized to its input; None if unknown.
        width: columns of the network's input.
        height: rows of the network's input.

    Returns:
        a match without differences where one of them is unknown.
    """
    if trained is None or live is None:
        return CameraMatch()
    here, there = live.resized(width, height), trained.camera.resized(width, height)
    along, down = here.fx_px / there.fx_px, here.fy_px / there.fy_px
    factor = math.sqrt(along * down)
    found = []
    if abs(factor - 1.0) > SAME_FOCAL:
        found.append(
            f"the focal length is {math.sqrt(here.fx_px * here.fy_px):.0f} px at the network's "
            f'size, the model was trained at {math.sqrt(there.fx_px * there.fy_px):.0f} px'
        )
    if abs(along / down - 1.0) > _SAME_SHAPE:
        found.append(
            f'the picture of {live.width}x{live.height} is squeezed otherwise than that of '
            f'{trained.camera.width}x{trained.camera.height} in training'
        )
    if trained.distortion_model:
        found.append(
            f'the model was trained on pictures with {trained.distortion_model} distortion, '
            'these have none'
        )
    return CameraMatch(factor=factor, differences=tuple(found))
