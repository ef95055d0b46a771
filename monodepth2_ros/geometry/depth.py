# SPDX-License-Identifier: Apache-2.0
"""The four words of depth, and the one formula that links them.

*Disparity* is the network's sigmoid output in (0, 1), without unit. *Inverse depth* is 1/m.
*Depth* is the z coordinate in the camera's optical frame, in metres. *Range* is the length of the
ray, in metres. For a model whose scale is unknown, read "network unit" for "metre".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import ConfigError

if TYPE_CHECKING:
    import torch

Array = TypeVar('Array', NDArray[np.float32], NDArray[np.float64], 'torch.Tensor')


@dataclass(frozen=True, kw_only=True)
class DepthRange:
    """The depths that disparity 1 and 0 stand for (Godard et al., ICCV 2019, section 4.1)."""

    min_depth_m: float = 0.1
    """Depth at disparity 1."""
    max_depth_m: float = 100.0
    """Depth at disparity 0."""

    def __post_init__(self) -> None:
        """Refuse an empty or non-positive range."""
        if not 0.0 < self.min_depth_m < self.max_depth_m < float('inf'):
            raise ConfigError(
                f'depth range {self.min_depth_m} to {self.max_depth_m} m is not usable: '
                'expected 0 < min_depth_m < max_depth_m'
            )


def disparity_to_inverse_depth(disparity: Array, depth_range: DepthRange) -> Array:
    """Map disparity to inverse depth: 1/max + (1/min - 1/max) * disparity.

    Args:
        disparity: any array or tensor of floats in [0, 1].
        depth_range: the depths at disparity 1 and 0.

    Returns:
        inverse depth in 1/m, of the same type and shape.
    """
    low = 1.0 / depth_range.max_depth_m
    high = 1.0 / depth_range.min_depth_m
    return low + (high - low) * disparity


def disparity_to_depth(disparity: Array, depth_range: DepthRange) -> Array:
    """Map disparity in [0, 1] to depth in metres: 1 / inverse depth; same type and shape."""
    return 1.0 / disparity_to_inverse_depth(disparity, depth_range)
