# SPDX-License-Identifier: Apache-2.0
"""How fast a training step is, against the plain one, side by side on the same machine.

    PYTHONPATH=.:training python benchmarks/train_step.py --rounds 5

Prints a Markdown table. The candidates take turns, so that other load on the machine hits all of
them; figures are medians. The first round, which compiles, is reported apart. Where other work
shares the cores, processor time is the steadier figure: set ``OMP_WAIT_POLICY=passive``, or
waiting threads count as work. *Loss* is the objective alone, forward and backward, on the same
disparities and poses; *step* is networks, loss, backward and optimiser.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from monodepth2_training.data.augmentation import Views
from monodepth2_training.loss.config import LossConfig
from monodepth2_training.loss.objective import Objective
from monodepth2_training.model.depth_pose import DepthPoseModel, ModelConfig, Prediction
from monodepth2_training.world.drive import Drive, DriveSettings
from plain_step import plain_loss

from monodepth2_ros.geometry.depth import DepthRange
from monodepth2_ros.processor import processor

_DEPTH_RANGE = DepthRange()
LossFunction = Callable[[Views, Prediction], torch.Tensor]


@dataclass
class Candidate:
    """Something to time."""

    name: str
    """As the table calls it."""
    run: Callable[[], float]
    """Does the work once and gives the loss."""
    first_loss: float = 0.0
    """Loss of the first round, before any weight has changed."""
    first_s: float = 0.0
    """Time of the first round, compilation included."""
    times_s: list[float] = field(default_factory=list)
    """Times of the other rounds."""
    cpu_s: list[float] = field(default_factory=list)
    """Processor time of the other rounds, over all threads."""

    def measure(self, device: torch.device) -> None:
        """Time one more round."""
        _wait(device)
        began, began_cpu = time.perf_counter(), time.process_time()
        loss = self.run()
        _wait(device)
        took, took_cpu = time.perf_counter() - began, time.process_time() - began_cpu
        if self.first_s:
            self.times_s.append(took)
            self.cpu_s.append(took_cpu)
        else:
            self.first_s, self.first_loss = took, loss


def main() -> None:
    """Measure and print."""
    arguments = _arguments()
    device = torch.device(arguments.device)
    width, height = (int(side) for side in arguments.size.split('x'))
    views = _views(arguments.batch, width, height, device)
    groups = {
        'loss': _loss_candidates(views),
        'step': _step_candidates(views, width, height),
    }
    for _ in range(arguments.rounds + 1):
        for candidates in groups.values():
            for candidate in candidates:
                candidate.measure(device)
    print(f'{_machine(device)}. {width}x{height}, batch {arguments.batch}, 2 sources, 4 scales.\n')
    print('| what | ms | least | times faster | CPU ms | times less | loss | off by | first s |')
    print('|---|---|---|---|---|---|---|---|---|')
    for what, candidates in groups.items():
        for candidate in candidates:
            print(_row(what, candidate, candidates[0]))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument('--rounds', type=int, default=5, help='rounds that count')
    parser.add_argument('--batch', type=int, default=2, help='items')
    parser.add_argument('--size', default='640x192', help='columns x rows')
    parser.add_argument('--device', default='cpu', help='cpu or cuda')
    return parser.parse_args()


def _views(batch: int, width: int, height: int, device: torch.device) -> Views:
    """Triplets of a generated drive."""
    settings = DriveSettings(frames=3 * batch, width=width, height=height)
    drive = Drive(settings, torch.device('cpu'))
    rgb = torch.stack([torch.from_numpy(frame.rgb.copy()) for frame in drive])
    frames = (rgb.permute(0, 3, 1, 2).float() / 255.0).to(device)
    frames = frames.reshape(batch, 3, 3, height, width)
    target, sources = frames[:, 1].contiguous(), frames[:, [0, 2]].contiguous()
    K = torch.tensor(drive.camera.K, dtype=torch.float32, device=device).expand(batch, 3, 3)
    return Views(
        target=target,
        sources=sources,
        target_input=target,
        sources_input=sources,
        K=K,
        K_sources=K[:, None].expand(batch, 2, 3, 3),
        T_target_to_partner=torch.eye(4, device=device).expand(batch, 4, 4),
        travelled_units=torch.full((batch, 2), torch.nan, device=device),
    )


def _loss_candidates(views: Views) -> list[Candidate]:
    """The objective alone: plain, ours as written, ours compiled."""
    model = DepthPoseModel(
        ModelConfig(width=views.target.shape[-1], height=views.target.shape[-2])
    )
    with torch.no_grad():
        prediction = model.to(views.target.device)(views)
    return [
        Candidate(f'{name} loss', _loss_only(loss, views, prediction))
        for name, loss in (
            ('plain', _plain),
            ('eager', _ours(compile=False)),
            ('compiled', _ours(compile=True)),
        )
    ]


def _step_candidates(views: Views, width: int, height: int) -> list[Candidate]:
    """The whole step: plain, and with each means added."""
    return [
        Candidate('plain, float32', _step(_plain, views, width, height, fast=False)),
        Candidate(
            'compiled loss, float32', _step(_ours(compile=True), views, width, height, fast=False)
        ),
        Candidate(
            'compiled loss, bfloat16 networks, channels last',
            _step(_ours(compile=True), views, width, height, fast=True),
        ),
    ]


def _plain(views: Views, prediction: Prediction) -> torch.Tensor:
    return plain_loss(views, prediction, _DEPTH_RANGE)


def _ours(*, compile: bool) -> LossFunction:
    objective = Objective(LossConfig(), _DEPTH_RANGE, compile=compile)
    return lambda views, prediction: objective(views, prediction).total


def _loss_only(loss: LossFunction, views: Views, prediction: Prediction) -> Callable[[], float]:
    """Forward and backward of a loss on leaves of its own."""
    leaves = Prediction(
        disparities=tuple(d.detach().clone().requires_grad_() for d in prediction.disparities),
        T_target_to_sources=prediction.T_target_to_sources.detach().clone().requires_grad_(),
        masks=None,
    )

    def run() -> float:
        total = loss(views, leaves)
        total.backward()
        return float(total.detach())

    return run


def _step(
    loss: LossFunction, views: Views, width: int, height: int, *, fast: bool
) -> Callable[[], float]:
    """One training step of a model of its own, which begins with the same weights as the others.

    ``fast``: bfloat16 networks, channels-last weights and the fused optimiser.
    """
    torch.manual_seed(0)
    device = views.target.device
    model = DepthPoseModel(ModelConfig(width=width, height=height)).to(device).train()
    if fast:
        model.to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(model.parameters(), 1e-4, fused=fast)

    def run() -> float:
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=fast):
            prediction = model(views)
        total = loss(views, prediction)
        total.backward()
        optimiser.step()
        return float(total.detach())

    return run


def _row(what: str, candidate: Candidate, plain: Candidate) -> str:
    median, cpu = statistics.median(candidate.times_s), statistics.median(candidate.cpu_s)
    faster = statistics.median(plain.times_s) / median
    less = statistics.median(plain.cpu_s) / cpu
    off_by = abs(candidate.first_loss - plain.first_loss)
    return (
        f'| {what}: {candidate.name} | {1e3 * median:.0f} | {1e3 * min(candidate.times_s):.0f} '
        f'| {faster:.2f} | {1e3 * cpu:.0f} | {less:.2f} '
        f'| {candidate.first_loss:.6f} | {off_by:.1e} | {candidate.first_s:.1f} |'
    )


def _machine(device: torch.device) -> str:
    if device.type == 'cuda':
        return f'{torch.cuda.get_device_name(device)}, torch {torch.__version__}'
    return f'{processor().name}, {torch.get_num_threads()} threads, torch {torch.__version__}'


def _wait(device: torch.device) -> None:
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


if __name__ == '__main__':
    main()
