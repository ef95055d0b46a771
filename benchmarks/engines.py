#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How fast the bare network is by engine, in one run, against PyTorch as one writes it first.

    .venv/bin/python benchmarks/engines.py --rounds 50 --busy

Prints a Markdown table. *Plain* is what every Python program does that has only read the paper's
code: float32, eager, all four scales. The engines take turns, so that other work on the machine
hits all of them; read the ratios. ``--busy`` measures once more beside a process that keeps every
core busy. Without ``--model`` a ResNet-18 at 640x192 with random weights is measured. Exports are
made in a temporary folder; ``--no-compile`` leaves out the one that takes half a minute.
"""

from __future__ import annotations

import argparse
import copy
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ.setdefault('OMP_WAIT_POLICY', 'passive')

import torch
from live_report import machine
from monodepth2_training.export.exporting import ExportRequest, export
from monodepth2_training.export.frames import ExportFrames, generated_frames

from monodepth2_ros.errors import Monodepth2Error
from monodepth2_ros.inference.engines.choice import EngineRequest, build_engine
from monodepth2_ros.inference.engines.network import example_image
from monodepth2_ros.inference.estimator import DepthEstimator
from monodepth2_ros.model_description import ModelDescription
from monodepth2_ros.model_file import Model, load_model, save_model
from monodepth2_ros.networks.depth_net import DepthNet, DepthNetConfig

_WARM_UPS = 3
_SPIN = 'while True: pass'
_CPU = ('torch float32', 'torch bfloat16', 'torch bfloat16 compiled', 'openvino float32')
_CPU += ('openvino bfloat16', 'openvino int8')
_GPU = ('torch float32', 'torch bfloat16', 'torch float16', 'tensorrt float16')


@dataclass
class Candidate:
    """A way to run the network."""

    name: str
    """As the table calls it."""
    run: Callable[[torch.Tensor], object]
    """Answers one image on the host with disparity on the host."""
    quiet_ms: list[float] = field(default_factory=list)
    """Times of all rounds."""
    busy_ms: list[float] = field(default_factory=list)
    """The same beside busy processes."""


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    args = _arguments(argv)
    with TemporaryDirectory(prefix='engines_') as folder:
        model = _model(args.model, Path(folder))
        image = example_image(model.depth_net)
        candidates = list(_candidates(model, args))
        _measure(candidates, image, args.rounds, busy=False)
        if args.busy:
            with _busy_cores():
                _measure(candidates, image, args.rounds, busy=True)
    page = _page(model, candidates, args.rounds)
    print(page, end='')
    if args.out is not None:
        (args.out / 'engines.md').write_text(page, encoding='utf-8')


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument('--model', type=Path, help='model file')
    parser.add_argument('--rounds', type=int, default=50)
    parser.add_argument('--device', default='cpu', choices=('cpu', 'cuda'))
    parser.add_argument('--threads', type=int, default=0, help='CPU threads; 0: as the node')
    parser.add_argument('--busy', action='store_true', help='also beside busy processes')
    parser.add_argument('--no-compile', action='store_true', help='leave out the compiled one')
    parser.add_argument('--out', type=Path, help='folder in which to write engines.md, too')
    return parser.parse_args(argv)


def _model(path: Path | None, folder: Path) -> Model:
    """A copy of the model, beside which exports do not stay; or one of random weights."""
    target = folder / 'model.safetensors'
    if path is not None:
        return load_model(shutil.copy(path, target))
    torch.manual_seed(0)
    config = DepthNetConfig()
    save_model(target, ModelDescription(network=config), DepthNet(config).state_dict())
    return load_model(target)


def _candidates(model: Model, args: argparse.Namespace) -> Iterator[Candidate]:
    """The plain way, and every engine that this machine has; says why others are left out."""
    net = copy.deepcopy(model.depth_net).eval().to(args.device)
    yield Candidate('plain: torch float32, eager, four scales', lambda image: _plain(net, image))
    estimator = DepthEstimator.load(model.path, device='cpu')
    generated = generated_frames(estimator)
    frames = ExportFrames(
        calibration=generated.check, check=generated.check, origin=generated.origin
    )
    for name in _CPU if args.device == 'cpu' else _GPU:
        if args.no_compile and name.endswith('compiled'):
            continue
        try:
            yield _engine(name, model, frames, args)
        except Monodepth2Error as err:
            print(f'left out {name}: {err}', file=sys.stderr)


def _engine(name: str, model: Model, frames: ExportFrames, args: argparse.Namespace) -> Candidate:
    """Export what has to be, and load it as the node does."""
    library, precision, *compiled = name.split()
    if compiled or library == 'tensorrt' or precision == 'int8':
        # Random weights differ more than trained ones; this measures speed.
        request = ExportRequest(format=library, precision=precision, max_difference=1.0)
        export(model, request, frames)
    wish = EngineRequest(
        engine=library, device=args.device, precision=precision, threads=args.threads
    )
    engine = build_engine(model, wish).engine
    return Candidate(f'{engine.name}, {engine.device_name}', engine.infer)


def _plain(net: DepthNet, image: torch.Tensor) -> object:
    with torch.no_grad():
        device = next(net.parameters()).device
        return [scale.cpu() for scale in net(image.contiguous().to(device).float() / 255.0)]


def _measure(candidates: list[Candidate], image: torch.Tensor, rounds: int, *, busy: bool) -> None:
    """Let the candidates take turns."""
    for index in range(rounds + _WARM_UPS):
        for candidate in candidates:
            began_s = time.perf_counter()
            candidate.run(image)
            took_ms = 1e3 * (time.perf_counter() - began_s)
            if index >= _WARM_UPS:
                (candidate.busy_ms if busy else candidate.quiet_ms).append(took_ms)


@contextmanager
def _busy_cores() -> Iterator[None]:
    """Keep every core busy with a process of its own."""
    spinning = [
        subprocess.Popen([sys.executable, '-c', _SPIN]) for _ in range(os.cpu_count() or 1)
    ]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def _page(model: Model, candidates: list[Candidate], rounds: int) -> str:
    """The machine, what was measured, and the table."""
    network = model.description.network
    size = f'{network.width}x{network.height}'
    head = ('engine', 'p50 ms', 'p90 ms', 'times faster', 'busy p50', 'busy p90', 'busy / quiet')
    plain = statistics.median(candidates[0].quiet_ms)
    lines = (
        f'{machine()}\n',
        f'{network.encoder} at {size}, {rounds} rounds in turn; busy / quiet is p90 by p50.\n',
        f'| {" | ".join(head)} |',
        f'|{"---|" * len(head)}',
        *(_row(each, plain) for each in candidates),
    )
    return '\n'.join(lines) + '\n'


def _row(candidate: Candidate, plain_ms: float) -> str:
    p50, p90 = _percentiles(candidate.quiet_ms)
    row = f'| {candidate.name} | {p50:.1f} | {p90:.1f} | {plain_ms / p50:.1f} |'
    if not candidate.busy_ms:
        return f'{row} | | |'
    busy50, busy90 = _percentiles(candidate.busy_ms)
    return f'{row} {busy50:.1f} | {busy90:.1f} | {busy90 / p50:.1f} |'


def _percentiles(values: list[float]) -> tuple[float, float]:
    """Median and 90th percentile."""
    return statistics.median(values), statistics.quantiles(values, n=10)[-1]


if __name__ == '__main__':
    main()
