# SPDX-License-Identifier: Apache-2.0
"""Training items out of a frame store, and the batch that they become."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class TripletBatch(NamedTuple):
    """B items with S sources each, collated; moves to a device as it is."""

    target: Tensor
    """uint8 [B, 3, H, W], RGB."""
    sources: Tensor
    """uint8 [B, S, 3, H, W], RGB, in the order of ``source_names``."""
    K: Tensor
    """float32 [B, 3, 3], intrinsics of the target's camera in pixels of H x W."""
    K_sources: Tensor
    """float32 [B, S, 3, 3], intrinsics of the sources' cameras in pixels of H x W."""
    T_target_to_partner: Tensor
    """float32 [B, 4, 4], translation in metres; the identity where there is no partner."""
    ids: Tensor
    """int64 [B, 2]: camera and frame index of the target; names a batch in messages."""
