# SPDX-License-Identifier: Apache-2.0
"""The encoders by name, as configurations and model files name them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monodepth2_ros.errors import ConfigError
from monodepth2_ros.networks.efficientnet_lite_encoder import EfficientNetLiteEncoder
from monodepth2_ros.networks.resnet_encoder import RESNETS, ResnetEncoder

if TYPE_CHECKING:
    from monodepth2_ros.networks.encoder import Encoder

EFFICIENTNET_LITE0 = 'efficientnet_lite0'
"""The light encoder: a third of ResNet-18's weights, a fifth of its arithmetic."""

ENCODERS = (*RESNETS, EFFICIENTNET_LITE0)
"""Names of the encoders that can be built."""


def check_encoder(name: str) -> None:
    """Raise ConfigError unless ``name`` is one of ``ENCODERS``."""
    if name not in ENCODERS:
        raise ConfigError(f'encoder {name!r} is not known: expected one of {", ".join(ENCODERS)}')


def build_encoder(name: str, *, images: int = 1) -> Encoder:
    """Build an encoder with random weights.

    Args:
        name: one of ``ENCODERS``.
        images: how many RGB images are stacked in the input; a pose network takes 2.

    Raises:
        ConfigError: the name is not known.
    """
    check_encoder(name)
    if name == EFFICIENTNET_LITE0:
        return EfficientNetLiteEncoder(images=images)
    return ResnetEncoder(name, images=images)
