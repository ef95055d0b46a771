# SPDX-License-Identifier: Apache-2.0
"""How far the depth of an exported network is from the model's, and how far it may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monodepth2_ros.errors import ExportError
from monodepth2_ros.geometry.depth import disparity_to_depth

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from monodepth2_ros.geometry.depth import DepthRange
    from monodepth2_ros.inference.engines import Engine

BOUNDS = {'float32': 1e-4, 'bfloat16': 5e-3, 'float16': 5e-3, 'int8': 2e-2}
"""Largest mean relative difference of depth by arithmetic."""


@dataclass(frozen=True, kw_only=True)
class Parity:
    """Relative differences |exported / float32 - 1| of depth over all pixels of some frames."""

    mean: float
    """Of all pixels."""
    percentile_99: float
    """Exceeded by one pixel in a hundred."""
    worst_frame: float
    """Mean of the frame that differs most."""
    frames: int
    """Frames compared."""
    bound: float
    """What ``mean`` may be."""

    def text(self) -> str:
        """What was measured, in words."""
        return (
            f'depth differs from float32 by {100.0 * self.mean:.4f} % on average '
            f'(bound {100.0 * self.bound:g} %), in 99 % of pixels by less than '
            f'{100.0 * self.percentile_99:.3f} %'
        )

    def check(self, what: str) -> None:
        """Refuse a network that differs too much.

        Raises:
            ExportError: naming both figures.
        """
        if not self.mean <= self.bound:
            raise ExportError(
                f'{what} changes depth by {100.0 * self.mean:.3f} % on average over '
                f'{self.frames} frames: expected at most {100.0 * self.bound:g} %, so nothing was '
                'written; take another precision, for int8 more frames of a longer recording, or '
                'allow it by --max-difference'
            )


def measure_parity(
    exact: Engine,
    exported: Engine,
    images: Sequence[torch.Tensor],
    *,
    depth_range: DepthRange,
    bound: float,
) -> Parity:
    """Compare two engines on images uint8 [1, 3, h, w]."""
    differences = []
    for image in images:
        expected = disparity_to_depth(exact.infer(image).astype(np.float64), depth_range)
        depth = disparity_to_depth(exported.infer(image).astype(np.float64), depth_range)
        differences.append(np.abs(depth / expected - 1.0))
    return Parity(
        mean=float(np.mean(differences)),
        percentile_99=float(np.percentile(differences, 99.0)),
        worst_frame=float(max(np.mean(each) for each in differences)),
        frames=len(images),
        bound=bound,
    )
