# SPDX-License-Identifier: Apache-2.0
"""How fast a training step is, against the plain one, side by side on the same machine.

    PYTHONPATH=.:training python benchmarks/train_step.py --rounds 5

Prints a Markdown table. Each candidate has a process of its own, with the memory settings that it
brings, and they take turns, so that other load on the machine hits all of them; figures are
medians. The first round, which compiles, is reported apart. Where other work shares the cores,
processor time is the steadier figure: set ``OMP_WAIT_POLICY=passive``, or waiting threads count as
work. *Loss* is the objective alone, forward and backward, on the same disparities and poses;
*step* is networks, loss, backward and optimiser. *GPU GiB* is the most that tensors have taken.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

import torch
from monodepth2_training.allocator import keep_freed_memory
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


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to do a training step."""

    name: str
    """As the table calls it."""
    ours: bool = True
    """Whether the objective is ours, or the plain one."""
    compile: bool = False
    """Whether our objective is compiled."""
    fast: bool = False
    """Whether networks run in bfloat16, with channels-last weights and the fused optimiser."""
    keeps_memory: bool = False
    """Whether the process keeps freed memory, as ``monodepth2 train`` does."""


PLAIN = Way(name='plain, float32', ours=False)

LOSSES = (
    PLAIN,
    Way(name='eager', keeps_memory=True),
    Way(name='compiled', compile=True, keeps_memory=True),
)
"""Ways of the loss alone."""

STEPS = (
    PLAIN,
    Way(name='plain, memory kept', ours=False, keeps_memory=True),
    Way(name='compiled loss, float32', compile=True),
    Way(name='compiled loss, bfloat16 networks, channels last', compile=True, fast=True),
    Way(name='the same, memory kept', compile=True, fast=True, keeps_memory=True),
)
"""Ways of the whole step: plain, and with each means added."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """What one round came to."""

    loss: float
    """Value of the loss."""
    s: float
    """Time it took."""
    cpu_s: float
    """Processor time, over all threads."""
    gpu_gib: float
    """Most memory of the GPU that the process has held in tensors so far; 0 on a CPU."""


@dataclass
class Candidate:
    """A way in a process of its own, which works when it is told to."""

    way: Way
    pipe: Connection
    rounds: list[Round] = field(default_factory=list)
    """The first of them compiles; its loss is that before any weight has changed."""

    def measure(self) -> None:
        """Have one more round done."""
        self.pipe.send(True)
        self.rounds.append(self.pipe.recv())

    @property
    def times_s(self) -> list[float]:
        """Times of all rounds but the first."""
        return [round.s for round in self.rounds[1:]]

    @property
    def cpu_s(self) -> float:
        """Processor time of a round but the first; the median."""
        return statistics.median(round.cpu_s for round in self.rounds[1:])


def main() -> None:
    """Measure and print."""
    arguments = _arguments()
    groups = {
        what: [_start(arguments, what, way) for way in ways]
        for what, ways in (('loss', LOSSES), ('step', STEPS))
    }
    for _ in range(arguments.rounds + 1):
        for candidates in groups.values():
            for candidate in candidates:
                candidate.measure()
    for candidates in groups.values():
        for candidate in candidates:
            candidate.pipe.send(False)
    device = torch.device(arguments.device)
    print(f'{_machine(device)}. {arguments.size}, batch {arguments.batch}, 2 sources, 4 scales.\n')
    print(
        '| what | ms | least | times faster | CPU ms | times less | loss | off by | first s '
        '| GPU GiB |'
    )
    print('|---|---|---|---|---|---|---|---|---|---|')
    for what, candidates in groups.items():
        for candidate in candidates:
            print(_row(what, candidate, candidates[0]))


def _start(arguments: argparse.Namespace, what: str, way: Way) -> Candidate:
    """Start the process of a candidate."""
    context = multiprocessing.get_context('spawn')
    ours, theirs = context.Pipe()
    context.Process(target=_work, args=(arguments, what, way, theirs), daemon=True).start()
    return Candidate(way, ours)


def _work(arguments: argparse.Namespace, what: str, way: Way, pipe: Connection) -> None:
    """Do a round each time that the pipe asks for one, after one that brings the caches back."""
    if way.keeps_memory:
        keep_freed_memory()
    device = torch.device(arguments.device)
    width, height = (int(side) for side in arguments.size.split('x'))
    views = _views(arguments.batch, width, height, device)
    run = _loss_only(way, views) if what == 'loss' else _step(way, views)
    pipe.recv()
    pipe.send(_timed(run, device))
    while pipe.recv():
        run()
        pipe.send(_timed(run, device))


def _timed(run: Callable[[], float], device: torch.device) -> Round:
    """Do a round, and time it."""
    _wait(device)
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    loss = run()
    _wait(device)
    took_s, took_cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    gpu_gib = torch.cuda.max_memory_allocated(device) / 2**30 if device.type == 'cuda' else 0.0
    return Round(loss=loss, s=took_s, cpu_s=took_cpu_s, gpu_gib=gpu_gib)


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
        T_target_to_cameras=torch.eye(4, device=device).expand(batch, 2, 4, 4),
        travelled_units=torch.full((batch, 2), torch.nan, device=device),
    )


def _loss(way: Way) -> LossFunction:
    """The objective of a way."""
    if not way.ours:
        return lambda views, prediction: plain_loss(views, prediction, _DEPTH_RANGE)
    objective = Objective(LossConfig(), _DEPTH_RANGE, compile=way.compile)
    return lambda views, prediction: objective(views, prediction).total


def _model(views: Views) -> DepthPoseModel:
    """Networks with the same weights in every process."""
    torch.manual_seed(0)
    height, width = views.target.shape[-2:]
    return DepthPoseModel(ModelConfig(width=width, height=height)).to(views.target.device)


def _loss_only(way: Way, views: Views) -> Callable[[], float]:
    """Forward and backward of a loss on leaves of its own."""
    with torch.no_grad():
        prediction = _model(views)(views)
    leaves = Prediction(
        disparities=tuple(d.detach().clone().requires_grad_() for d in prediction.disparities),
        T_target_to_sources=prediction.T_target_to_sources.detach().clone().requires_grad_(),
        masks=None,
    )
    loss = _loss(way)

    def run() -> float:
        total = loss(views, leaves)
        total.backward()
        return float(total.detach())

    return run


def _step(way: Way, views: Views) -> Callable[[], float]:
    """One training step."""
    model = _model(views).train()
    if way.fast:
        model.to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(model.parameters(), 1e-4, fused=way.fast)
    loss = _loss(way)

    def run() -> float:
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(views.target.device.type, torch.bfloat16, enabled=way.fast):
            prediction = model(views)
        total = loss(views, prediction)
        total.backward()
        optimiser.step()
        return float(total.detach())

    return run


def _row(what: str, candidate: Candidate, plain: Candidate) -> str:
    median, least = statistics.median(candidate.times_s), min(candidate.times_s)
    cpu, first = candidate.cpu_s, candidate.rounds[0]
    faster, less = statistics.median(plain.times_s) / median, plain.cpu_s / cpu
    return (
        f'| {what}: {candidate.way.name} | {1e3 * median:.0f} | {1e3 * least:.0f} '
        f'| {faster:.2f} | {1e3 * cpu:.0f} | {less:.2f} '
        f'| {first.loss:.6f} | {abs(first.loss - plain.rounds[0].loss):.1e} | {first.s:.1f} '
        f'| {candidate.rounds[-1].gpu_gib:.2f} |'
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
