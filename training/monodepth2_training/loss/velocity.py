# SPDX-License-Identifier: Apache-2.0
"""How far predicted motion is from the way that the odometry travelled: what makes depth metric.

The photometric error is blind to a factor common to depth and motion. This term ties the motion
to metres, and through it depth (Guizilini et al., CVPR 2020, velocity supervision).
"""

from __future__ import annotations

import torch
from torch import distributed

from monodepth2_training.run.processes import has_others


def velocity_error(
    T_target_to_sources: torch.Tensor, travelled_units: torch.Tensor
) -> torch.Tensor:
    """Mean | |t| - travelled |, over the sources whose travelled distance is known.

    Args:
        T_target_to_sources: float [B, S, 4, 4], translation in network units.
        travelled_units: float [B, S] in network units; NaN where it is not known.

    Returns:
        scalar; 0 where nothing is known.
    """
    known = torch.isfinite(travelled_units)
    t = T_target_to_sources[..., :3, 3]
    # A source that is left out, and one that has not moved, must not give a gradient of NaN.
    moves = known & (t != 0.0).any(dim=-1)
    lengths = torch.where(moves[..., None], t, torch.ones_like(t)).norm(dim=-1)
    lengths = torch.where(moves, lengths, torch.zeros_like(lengths))
    wanted = torch.where(known, travelled_units.to(t.dtype), torch.zeros_like(lengths))
    return (lengths - wanted).abs().sum() / known.sum().clamp(min=1)


def share_of_known(travelled_units: torch.Tensor) -> torch.Tensor | float:
    """What this process's term is multiplied by, so that a known step counts alike in all.

    The mean over processes is then that over all known steps, however they fall. All processes
    have to call it.

    Args:
        travelled_units: float [B, S]; NaN where it is not known.

    Returns:
        scalar, on the device of ``travelled_units`` where there are several processes.
    """
    if not has_others():
        return 1.0
    known = torch.isfinite(travelled_units).sum().float()
    everywhere = known.clone()
    distributed.all_reduce(everywhere)
    return known * distributed.get_world_size() / everywhere.clamp(min=1.0)
