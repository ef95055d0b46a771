#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How fast the bare network is by engine, in one run, against PyTorch as one writes it first.

    .venv/bin/python benchmarks/engines.py --rounds 50 --busy

Prints a Markdown table. *Plain* is what every Python program does that has only read the paper's
code: float32 (on a GPU with TF32, as PyTorch has it), eager, all four scales. The engines take
turns, so that other work on the machine hits all of them; read the ratios. ``--busy`` measures
once more beside a process that keeps every core busy. Without ``--model`` a ResNet-18 at 640x192
with random weights is measured. Exports are made in a temporary folder; ``--no-compile`` leaves
out the one that takes half a minute.
"""

from __future__ import annotations

import argparse
import copy
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ.setdefault('GOMP_SPINCOUNT', '10000')

import torch
from live_report import machine
from plain_network import plain_arithmetic, run_plainly
from random_model import export_for_speed, write_random_model
from side_by_side import Times, busy_cores, take_turns

from monodepth2_ros.errors import Monodepth2Error
from monodepth2_ros.inference.engines.choice import EngineRequest, build_engine
from monodepth2_ros.inference.engines.device import choose_device
from monodepth2_ros.inference.engines.network import example_image
from monodepth2_ros.model_file import Model, load_model
from monodepth2_ros.yields import ignore_yields

_CPU = ('torch float32', 'torch float32 compiled', 'torch bfloat16', 'torch bfloat16 compiled')
_CPU += ('openvino float32', 'openvino bfloat16', 'openvino int8')
_GPU = ('torch float32', 'torch bfloat16', 'torch float16', 'tensorrt float16')


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A way to run the network."""

    name: str
    """As the table calls it."""
    run: Callable[[torch.Tensor], object]
    """Answers one image on the host with disparity on the host."""


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    args = _arguments(argv)
    # As the node does, before any engine starts threads.
    ignore_yields()
    with TemporaryDirectory(prefix='engines_') as folder:
        model = _model(args.model, Path(folder))
        image = example_image(model.depth_net)
        candidates = list(_candidates(model, args))
        runs = [partial(candidate.run, image) for candidate in candidates]
        quiet = take_turns(runs, rounds=args.rounds)
        busy: Sequence[Times | None] = [None] * len(runs)
        if args.busy:
            with busy_cores():
                busy = take_turns(runs, rounds=args.rounds)
    rows = [
        _row(candidate.name, alone, beside, plain_ms=quiet[0].p50_ms)
        for candidate, alone, beside in zip(candidates, quiet, busy, strict=True)
    ]
    page = _page(model, rows, args.rounds)
    print(page, end='')
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / 'engines.md').write_text(page, encoding='utf-8')


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument('--model', type=Path, help='model file')
    parser.add_argument('--rounds', type=int, default=50)
    parser.add_argument('--device', default='cpu', type=_device, help='auto, cpu, cuda or cuda:N')
    parser.add_argument('--threads', type=int, default=0, help='CPU threads; 0: as the node')
    parser.add_argument('--busy', action='store_true', help='also beside busy processes')
    parser.add_argument('--no-compile', action='store_true', help='leave out the compiled one')
    parser.add_argument('--out', type=Path, help='folder in which to write engines.md, too')
    return parser.parse_args(argv)


def _device(request: str) -> torch.device:
    return choose_device(request)[0]


def _model(path: Path | None, folder: Path) -> Model:
    """A copy of the model, beside which exports do not stay; or one of random weights."""
    target = folder / 'model.safetensors'
    if path is not None:
        return load_model(shutil.copy(path, target))
    write_random_model(target)
    return load_model(target)


def _candidates(model: Model, args: argparse.Namespace) -> Iterator[Candidate]:
    """The plain way, and every engine that this machine has; says why others are left out."""
    net = copy.deepcopy(model.depth_net).eval().to(args.device)
    plain = f'plain: torch {plain_arithmetic(args.device)}, eager, four scales'
    yield Candidate(name=plain, run=partial(run_plainly, net))
    for name in _CPU if args.device.type == 'cpu' else _GPU:
        if args.no_compile and name.endswith('compiled'):
            continue
        try:
            yield _engine(name, model, args)
        except Monodepth2Error as err:
            print(f'left out {name}: {err}', file=sys.stderr)


def _engine(name: str, model: Model, args: argparse.Namespace) -> Candidate:
    """Export what has to be, and load it as the node does."""
    library, precision, *compiled = name.split()
    if compiled or library == 'tensorrt' or precision == 'int8':
        export_for_speed(model.path, library, precision)
    wish = EngineRequest(
        engine=library, device=str(args.device), precision=precision, threads=args.threads
    )
    engine = build_engine(model, wish).engine
    return Candidate(name=f'{engine.name}, {engine.device_name}', run=engine.infer)


def _page(model: Model, rows: Sequence[str], rounds: int) -> str:
    """The machine, what was measured, and the table."""
    network = model.description.network
    size = f'{network.width}x{network.height}'
    head = ('engine', 'p50 ms', 'p90 ms', 'times faster', 'busy p50', 'busy p90', 'busy / quiet')
    lines = (
        '# The bare network by engine\n',
        f'`python benchmarks/engines.py {" ".join(sys.argv[1:])}`\n',
        f'{machine()}\n',
        f'{network.encoder} at {size}, {rounds} rounds in turn; busy / quiet is p90 by p50.\n',
        f'| {" | ".join(head)} |',
        f'|{"---|" * len(head)}',
        *rows,
    )
    return '\n'.join(lines) + '\n'


def _row(name: str, quiet: Times, busy: Times | None, *, plain_ms: float) -> str:
    faster = plain_ms / quiet.p50_ms
    row = f'| {name} | {quiet.p50_ms:.1f} | {quiet.p90_ms:.1f} | {faster:.1f} |'
    if busy is None:
        return f'{row} | | |'
    return f'{row} {busy.p50_ms:.1f} | {busy.p90_ms:.1f} | {busy.p90_ms / quiet.p50_ms:.1f} |'


if __name__ == '__main__':
    main()
