# SPDX-License-Identifier: Apache-2.0
"""The model file of a run says whose it is, and may keep its weights in half the room."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from monodepth2_training.build import build_module
from monodepth2_training.checkpoints import save_checkpoint
from monodepth2_training.config import TrainingConfig
from monodepth2_training.data.frame_store import FrameStore
from monodepth2_training.run.model import LICENCE, write_model
from support.tiny_store import write_tiny_store
from support.tiny_training import tiny_config

from monodepth2_ros.model_file import load_model


@pytest.fixture(autouse=True)
def _leave_no_large_files(tmp_path: Path) -> Iterator[None]:
    yield
    shutil.rmtree(tmp_path)


@pytest.fixture(scope='module')
def store(tmp_path_factory: pytest.TempPathFactory) -> FrameStore:
    return FrameStore.open(write_tiny_store(tmp_path_factory.mktemp('store') / 'drive', frames=3))


@pytest.fixture(scope='module')
def state() -> dict[str, torch.Tensor]:
    return dict(build_module(tiny_config()).state_dict())


def _written(
    folder: Path,
    state: dict[str, torch.Tensor],
    store: FrameStore,
    config: TrainingConfig,
    **kept: str,
) -> Path:
    checkpoint: dict[str, Any] = {'state_dict': state, 'global_step': 3, 'provenance': kept}
    save_checkpoint(folder / 'epoch_0001.ckpt', checkpoint)
    path = folder / 'model.safetensors'
    write_model(path, folder / 'epoch_0001.ckpt', config, store, facts={})
    return path


def test_float16_takes_half_the_room_and_gives_nearly_the_same_weights(
    tmp_path: Path, store: FrameStore, state: dict[str, torch.Tensor]
) -> None:
    whole, half = tmp_path / 'whole', tmp_path / 'half'
    for folder in (whole, half):
        folder.mkdir()
    large = _written(whole, state, store, tiny_config())
    small = _written(half, state, store, tiny_config('model_file.precision=float16'))
    assert 0.48 < small.stat().st_size / large.stat().st_size < 0.55
    ours = load_model(small).depth_net.state_dict()
    for name, tensor in load_model(large).depth_net.state_dict().items():
        assert ours[name].dtype == tensor.dtype
        assert torch.allclose(ours[name], tensor, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ('change', 'inherited', 'said'),
    [
        ([], {}, LICENCE),
        ([], {'licence': 'MIT'}, f'{LICENCE}; the initial weights: MIT'),
        (['model_file.licence=Apache-2.0'], {'licence': 'MIT'}, 'Apache-2.0'),
    ],
)
def test_the_recordings_decide_the_licence_whatever_a_run_began_with(
    tmp_path: Path,
    store: FrameStore,
    state: dict[str, torch.Tensor],
    change: list[str],
    inherited: dict[str, str],
    said: str,
) -> None:
    path = _written(tmp_path, state, store, tiny_config(*change), **inherited)
    assert load_model(path).description.provenance['licence'] == said
