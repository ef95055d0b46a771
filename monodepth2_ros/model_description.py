# SPDX-License-Identifier: Apache-2.0
"""What a model file says about its network: input, depth range, camera, scale and origin."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field

from monodepth2_ros.errors import ConfigError
from monodepth2_ros.geometry.camera import PinholeCamera
from monodepth2_ros.geometry.depth import DepthRange
from monodepth2_ros.networks.depth_net import DepthNetConfig
from monodepth2_ros.typed_document import decode

RESIZES = ('bilinear', 'lanczos')
"""How an image is brought to the input's size: torch's antialiased bilinear, PIL's Lanczos."""


@dataclass(frozen=True, kw_only=True)
class TrainingCamera:
    """The camera whose images the network was trained on, at their own size."""

    camera: PinholeCamera
    """Size and intrinsics of the images, in pixels."""
    distortion_model: str = ''
    """Distortion left in the training images; empty when they were rectified."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Turns network depth into metres: depth_m = value * network depth."""

    value: float
    """Metres per unit of network depth."""
    spread: float
    """Relative standard deviation of the scale over the frames it was found on; 0 if unknown."""
    frames: int
    """Number of frames it was found on; 0 if by convention."""
    method: str
    """How it was obtained, in words."""

    def __post_init__(self) -> None:
        """Refuse a scale that cannot be a ratio of lengths."""
        usable = math.isfinite(self.value) and self.value > 0 and math.isfinite(self.spread)
        if not usable or self.spread < 0 or self.frames < 0 or not self.method:
            raise ConfigError(
                f'scale {self.value} with spread {self.spread} over {self.frames} frames by '
                f'{self.method!r} is not usable: expected value > 0, spread >= 0, frames >= 0 and '
                'a method in words'
            )


@dataclass(frozen=True, kw_only=True)
class ModelDescription:
    """Everything needed to run a network and to judge what comes out of it."""

    network: DepthNetConfig
    """Architecture and input size."""
    depth_range: DepthRange = field(default_factory=DepthRange)
    """Network depths at disparity 1 and 0, in metres only once multiplied by the scale."""
    resize: str = 'bilinear'
    """One of ``RESIZES``: how images were resized to the network's input in training."""
    camera: TrainingCamera | None = None
    """Camera of the training images; None if unknown."""
    scale: Scale | None = None
    """Network depth to metres; None if unknown: depth is relative."""
    provenance: dict[str, str] = field(default_factory=dict)
    """Where the weights come from: versions, data, seed, licence; all free text."""

    def __post_init__(self) -> None:
        """Refuse an unknown resize."""
        if self.resize not in RESIZES:
            raise ConfigError(
                f'resize {self.resize!r} is not known: expected one of {", ".join(RESIZES)}'
            )


def description_to_document(description: ModelDescription) -> dict[str, object]:
    """The description as nested mappings, lists, numbers and strings, ready for JSON."""
    return dataclasses.asdict(description)


def description_from_document(document: object) -> ModelDescription:
    """The inverse of ``description_to_document``.

    Raises:
        ConfigError: a key is unknown or missing, or a value is out of range.
        CalibrationError: the training camera's intrinsics are unusable.
    """
    return decode(ModelDescription, document, 'description')
