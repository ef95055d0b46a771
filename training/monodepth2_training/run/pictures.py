# SPDX-License-Identifier: Apache-2.0
"""Pictures of how training goes: what the network saw, and what it made of it, after each epoch.

One row a sample: target, disparity (near is bright), each source as seen from the target through
depth and pose, and the auto-mask (white counts). Without validation samples, training ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback

from monodepth2_ros.atomic_file import write_atomically
from monodepth2_ros.geometry.depth import disparity_to_depth
from monodepth2_ros.inference.colorize import colorize
from monodepth2_training.model.view_synthesis import (
    cast_rays,
    project,
    sample,
    sampling_positions,
)

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer
    from numpy.typing import NDArray

    from monodepth2_training.data.augmentation import Views
    from monodepth2_training.data.dataset import TripletBatch
    from monodepth2_training.model.depth_pose import Prediction
    from monodepth2_training.module import DepthTraining
    from monodepth2_training.run.log import RunLog


class RunPictures(Callback):
    """Draws the same few samples after each epoch, as a PNG and in TensorBoard."""

    def __init__(self, folder: Path, log: RunLog, samples: int) -> None:
        """Prepare; ``samples`` rows go to ``folder/epoch_NNNN.png`` and to the log's writer."""
        self._folder = folder
        self._log = log
        self._samples = samples
        self._batch: TripletBatch | None = None

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Take the first validation batch."""
        if batch_idx == 0:
            self._take(batch)

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Take a training batch for want of another."""
        if self._batch is None:
            self._take(batch)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw."""
        if self._batch is None or not self._samples or not trainer.is_global_zero:
            return
        picture = draw(cast('DepthTraining', pl_module), self._batch)
        name = f'epoch_{trainer.current_epoch + 1:04d}.png'
        self._folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self._folder / name, cv2.imencode('.png', picture)[1].tobytes())
        if self._log.writer is not None:
            rgb = picture[..., ::-1].copy()
            self._log.writer.add_image('samples', rgb, trainer.global_step, dataformats='HWC')

    def _take(self, batch: TripletBatch) -> None:
        """Keep copies of a batch's first samples."""
        self._batch = type(batch)(*(tensor[: self._samples].clone() for tensor in batch))


def draw(module: DepthTraining, batch: TripletBatch) -> NDArray[np.uint8]:
    """Draw a batch, uint8 BGR [B * H, (3 + S) * W, 3]; the module's mode is left as it was."""
    training = module.training
    module.eval()
    with torch.no_grad():
        views, prediction, terms = module.judge(batch)
        warped = _warps(module, views, prediction)
    module.train(training)
    depth = disparity_to_depth(prediction.disparities[0].float(), module.objective.depth_range)
    rows = []
    for item in range(len(batch.target)):
        tiles = [_bgr(views.target[item]), _coloured(depth[item, 0])]
        tiles += [_bgr(image) for image in warped[item]]
        tiles.append(_bgr(terms.automask[item].float().expand(3, -1, -1)))
        rows.append(np.concatenate(tiles, axis=1))
    return np.concatenate(rows)


def _warps(module: DepthTraining, views: Views, prediction: Prediction) -> torch.Tensor:
    """The sources as seen from the target, float [B, S, 3, H, W]."""
    T = prediction.T_target_to_sources.float()
    rays = cast_rays(views.K, views.K_sources, T, views.target.shape[-2:])
    disparity = prediction.disparities[0].float()
    steps_px = project(disparity_to_depth(disparity, module.objective.depth_range), rays)
    positions = sampling_positions(steps_px, rays.pixels)
    images = sample(views.sources.flatten(0, 1), positions.flatten(0, 1))
    return images.view(views.sources.shape)


def _bgr(image: torch.Tensor) -> NDArray[np.uint8]:
    """RGB float [3, H, W] in 0 to 1 as uint8 BGR [H, W, 3]."""
    pixels = (image.clamp(0.0, 1.0) * 255.0).round().byte().flip(0).permute(1, 2, 0)
    return np.ascontiguousarray(pixels.cpu().numpy())


def _coloured(depth: torch.Tensor) -> NDArray[np.uint8]:
    """Depth [H, W] as a picture, uint8 BGR [H, W, 3]."""
    return colorize(depth.cpu().numpy())
