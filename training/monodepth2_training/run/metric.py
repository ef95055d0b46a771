# SPDX-License-Identifier: Apache-2.0
"""The scale that a run ends with, measured on samples that it was not trained on.

The velocity term leaves predicted motion some percent short; the odometry of held-out samples
tells by how much.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from monodepth2_ros.model_description import Scale
from monodepth2_training.checkpoints import load_checkpoint
from monodepth2_training.data.network_unit import baseline_m, stereo_unit_m
from monodepth2_training.data.triplets import source_names
from monodepth2_training.model.depth_pose import DepthPoseModel
from monodepth2_training.scale.by_odometry import MOST_SAMPLES, metres_per_unit
from monodepth2_training.scale.estimate import estimate_scale

if TYPE_CHECKING:
    from monodepth2_training.config import TrainingConfig
    from monodepth2_training.data.frame_store import FrameStore
    from monodepth2_training.data.triplets import Split
    from monodepth2_training.run.odometry import RunOdometry

NOT_LEARNT = 0.2
"""A network unit that is off by more than this share has not been learnt."""

_MODEL = 'model.'


def trained_scale(
    config: TrainingConfig, store: FrameStore, odometry: RunOdometry | None, *, samples: int
) -> Scale | None:
    """The scale of networks that have learnt from so many samples; None if it is not known."""
    if config.mode != 'mono':
        unit_m = stereo_unit_m(store.cameras)
        method = f'stereo baseline of {baseline_m(store.cameras):.4g} m'
    elif odometry is not None:
        unit_m, method = odometry.unit_m, 'learnt from odometry (velocity term)'
    else:
        return None
    return Scale(value=unit_m, spread=0.0, frames=samples, method=method)


def checked_scale(
    config: TrainingConfig,
    store: FrameStore,
    split: Split,
    odometry: RunOdometry | None,
    checkpoint: Path,
) -> Scale | None:
    """The scale of a run; one that was learnt from odometry as validation samples show it.

    Raises:
        CheckpointError: the checkpoint is damaged.
    """
    scale = trained_scale(config, store, odometry, samples=len(split.training))
    if scale is None or odometry is None or config.mode != 'mono' or not split.validation:
        return scale
    step = -(-len(split.validation) // MOST_SAMPLES)
    chosen, distances_m = split.validation[::step], odometry.validation_m[::step]
    ratios = metres_per_unit(_model(config, checkpoint), store, chosen, distances_m)
    found = estimate_scale(ratios.ravel(), scale.method)
    if found is None:
        return scale
    off = abs(found.value - scale.value) / scale.value
    learnt = off <= max(NOT_LEARNT, found.spread)
    method = f'{scale.method}, measured by odometry on {found.frames} validation steps'
    if not learnt:
        method += ': the term is not learnt yet, train longer'
    return dataclasses.replace(found.scale(), method=method)


def _model(config: TrainingConfig, checkpoint: Path) -> DepthPoseModel:
    """The networks of a checkpoint, without a predictive mask, in evaluation mode on the CPU."""
    model = DepthPoseModel(
        config.network, sources=source_names(config.mode), depth_range=config.depth_range
    )
    state = load_checkpoint(checkpoint)['state_dict']
    model.load_state_dict({name: state[_MODEL + name] for name in model.state_dict()})
    return model.eval()
