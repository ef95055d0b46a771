# SPDX-License-Identifier: Apache-2.0
"""A model's depth through cameras of other focal lengths, multiplied as the node does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from monodepth2_ros.inference.camera_match import match_cameras
from monodepth2_training.evaluation.evaluation import Doubt

if TYPE_CHECKING:
    from monodepth2_ros.geometry.camera import PinholeCamera
    from monodepth2_ros.model_description import ModelDescription

_UNKNOWN = Doubt(
    what='The camera of the pictures is not known: metres are as through that of the training.',
    advice='Believe them where the focal length is as large a share of the picture as there.',
    urgent=False,
)


class CameraFactor:
    """The factor for each picture's camera, and what a report says about all of them."""

    def __init__(self, description: ModelDescription) -> None:
        """Compare with the camera of this model."""
        self._description = description
        self._differences: dict[str, None] = {}
        self._is_unknown = False

    def of(self, camera: PinholeCamera | None) -> float:
        """What depth has to be multiplied by for the camera of a picture; 1 if it is unknown."""
        own, network = self._description, self._description.network
        match = match_cameras(own.camera, camera, width=network.width, height=network.height)
        self._differences |= dict.fromkeys(match.rescaled)
        tells_metres = own.camera is not None and own.scale is not None
        self._is_unknown |= camera is None and tells_metres
        return match.applied('rescale')

    @property
    def facts(self) -> Sequence[tuple[str, str]]:
        """In what the cameras so far differed from the model's."""
        return [('another camera', '; '.join(self._differences))] if self._differences else []

    @property
    def doubts(self) -> Sequence[Doubt]:
        """That metres hold only for the model's camera, if one so far was unknown."""
        return [_UNKNOWN] if self._is_unknown else []
