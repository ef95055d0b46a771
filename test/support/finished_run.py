# SPDX-License-Identifier: Apache-2.0
"""Folders as ``monodepth2 train`` leaves them: random weights and curves that are made up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import torch
from monodepth2_training.config_files import write_config
from monodepth2_training.data import store_document
from monodepth2_training.data.frame_store import FrameStore
from monodepth2_training.data.triplets import source_names
from monodepth2_training.model.depth_pose import DepthPoseModel
from monodepth2_training.run.folder import RunFolder
from monodepth2_training.run.metric import trained_scale
from monodepth2_training.run.source import RunSource
from support.tiny_store import write_tiny_store
from support.tiny_training import tiny_config

from monodepth2_ros.model_description import ModelDescription
from monodepth2_ros.model_file import save_model

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from monodepth2_training.config import TrainingConfig

STEPS_PER_EPOCH = 6
SPEED_M_S = 8.0


def write_finished_run(
    path: Path,
    *overrides: str,
    validation: Sequence[float] = (0.12, 0.10, 0.09),
    model: bool = True,
    odometry: bool = True,
    stereo: bool = False,
) -> Path:
    """Write a run of as many epochs as ``validation`` has errors."""
    config = tiny_config('triplets.validation=0.3', *overrides)
    folder = RunFolder(path)
    folder.make()
    write_config(config, folder.config)
    store = write_tiny_store(path / 'frames', frames=40, stereo=stereo)
    if odometry:
        add_odometry(store, cameras=2 if stereo else 1)
    folder.write_source(RunSource(frame_store=str(store)))
    folder.metrics.write_text(''.join(f'{json.dumps(e)}\n' for e in _entries(validation)))
    if model:
        write_random_model(folder.model, config, FrameStore.open(store))
    return path


def add_odometry(store: Path, *, cameras: int) -> None:
    """Let the vehicle drive straight ahead at ``SPEED_M_S`` in all pictures of a store."""
    for camera in range(cameras):
        path = store_document.index_path(store, camera)
        records = np.fromfile(path, store_document.RECORD)
        records['odometry'] = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, SPEED_M_S)
        elapsed_s = (records['stamp_ns'] - records['stamp_ns'][0]) / 1e9
        records['odometry'][:, 0] = SPEED_M_S * elapsed_s
        records.tofile(path)


def write_random_model(path: Path, config: TrainingConfig, store: FrameStore) -> None:
    """Write the model file of networks that have learnt nothing."""
    torch.manual_seed(3)
    networks = DepthPoseModel(config.network, sources=source_names(config.mode))
    scale = trained_scale(config, store, None, samples=0)
    description = ModelDescription(network=config.network.depth_net(), scale=scale)
    save_model(path, description, networks.depth_net.state_dict(), networks.pose_state())


def _entries(validation: Sequence[float]) -> list[dict[str, object]]:
    """The lines of ``metrics.jsonl``."""
    entries: list[dict[str, object]] = []
    for epoch, error in enumerate(validation):
        begin = epoch * STEPS_PER_EPOCH
        terms = {'total': error + 0.02, 'photometric': error + 0.01, 'smoothness': 0.001}
        terms |= {'mask_regularisation': 0.0, 'moving_share': 0.8}
        entries += [
            {
                'kind': 'step',
                'epoch': epoch,
                'step': begin + step + 1,
                **terms,
                'learning_rate': 1e-4,
                'samples_per_s': 12.0,
            }
            for step in range(STEPS_PER_EPOCH)
        ]
        judged = {f'validation_{name}': value for name, value in terms.items()}
        judged['validation_photometric'] = error
        end = {'kind': 'epoch', 'epoch': epoch + 1, 'step': begin + STEPS_PER_EPOCH}
        entries.append({**end, **judged, 'skipped_steps': 0.0, 'seconds': 5.0})
    return entries
