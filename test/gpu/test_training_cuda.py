# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from monodepth2_training.data.augmentation import AugmentationSettings, Views, augment
from monodepth2_training.data.dataset import TripletBatch
from monodepth2_training.loss.config import LossConfig
from monodepth2_training.loss.objective import LossTerms, Objective
from monodepth2_training.model.depth_pose import DepthPoseModel, ModelConfig, Prediction
from support.loss_scene import random_prediction, random_views, street

from monodepth2_ros.geometry.depth import DepthRange

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason='torch finds no usable CUDA device on this machine'
)


def _on_gpu(views: Views, prediction: Prediction) -> tuple[Views, Prediction]:
    moved = {name: value.to('cuda') for name, value in vars(views).items()}
    return replace(views, **moved), Prediction(
        disparities=tuple(d.detach().to('cuda').requires_grad_() for d in prediction.disparities),
        T_target_to_sources=prediction.T_target_to_sources.detach().to('cuda').requires_grad_(),
        masks=None,
    )


def _judged(views: Views, prediction: Prediction, *, compile: bool = False) -> LossTerms:
    objective = Objective(LossConfig(automasking=False), DepthRange(), compile=compile)
    terms = objective(views, prediction)
    terms.total.backward()
    return terms


@pytest.mark.parametrize('compile', [False, True], ids=['eager', 'compiled'])
def test_loss_and_gradients_are_the_cpus(compile: bool) -> None:
    views = random_views()
    on_cpu, (gpu_views, on_gpu) = (
        random_prediction(views),
        _on_gpu(views, random_prediction(views)),
    )
    expected, found = _judged(views, on_cpu), _judged(gpu_views, on_gpu, compile=compile)
    torch.testing.assert_close(found.total.cpu(), expected.total, rtol=1e-10, atol=0.0)
    for ours, theirs in zip(on_gpu.disparities, on_cpu.disparities, strict=True):
        torch.testing.assert_close(ours.grad.cpu(), theirs.grad, rtol=1e-6, atol=1e-12)


def test_augmentation_draws_the_same_on_both() -> None:
    shape, generator = (4, 3, 32, 64), torch.Generator().manual_seed(1)
    batch = TripletBatch(
        target=torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8),
        sources=torch.randint(0, 256, (4, 2, 3, 32, 64), generator=generator, dtype=torch.uint8),
        K=torch.eye(3).repeat(4, 1, 1),
        K_sources=torch.eye(3).repeat(4, 2, 1, 1),
        T_target_to_cameras=torch.eye(4).repeat(4, 2, 1, 1),
        travelled_units=torch.rand(4, 2, generator=generator),
        ids=torch.zeros(4, 2, dtype=torch.int64),
    )
    moved = TripletBatch(*(tensor.to('cuda') for tensor in batch))
    views = [
        augment(b, AugmentationSettings(), torch.Generator().manual_seed(7))
        for b in (batch, moved)
    ]
    for name, expected in vars(views[0]).items():
        torch.testing.assert_close(getattr(views[1], name).cpu(), expected, rtol=0.0, atol=1e-5)


@pytest.mark.parametrize('precision', [torch.float32, torch.bfloat16], ids=str)
def test_the_model_learns_a_street_on_the_gpu(precision: torch.dtype) -> None:
    torch.manual_seed(0)
    config = ModelConfig(width=320, height=96, weights='random')
    model = DepthPoseModel(config).to('cuda', memory_format=torch.channels_last)
    seen = street(DepthRange())[0]
    views = replace(seen, **{name: value.to('cuda') for name, value in vars(seen).items()})
    objective = Objective(LossConfig(automasking=False), DepthRange())
    optimizer = torch.optim.Adam(model.parameters(), 1e-4, fused=True)
    losses = []
    for _ in range(12):
        with torch.autocast('cuda', precision, enabled=precision != torch.float32):
            prediction = model(views)
        loss = objective(views, prediction).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert prediction.T_target_to_sources.dtype == torch.float32
    assert losses[-1] < 0.95 * losses[0]
