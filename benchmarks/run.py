# SPDX-License-Identifier: Apache-2.0
"""``make bench``: the network alone, the whole node through DDS, and a plain node beside it.

Writes ``live.md`` and ``live.png`` to ``benchmarks/results``. On a quiet machine all of it takes
some twenty minutes; ``make bench ARGS=--quick`` takes three and proves only that it works.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import rclpy
from live_report import Results, write
from live_traffic import Figures, Source, Traffic
from monodepth2_training.allocator import keep_freed_memory
from node_under_test import ROOT, NodeUnderTest
from side_by_side import busy_cores

_ENVIRONMENT = {
    # Without the profile most images get lost: docs/deployment.md.
    'FASTRTPS_DEFAULT_PROFILES_FILE': str(ROOT / 'config' / 'fastdds_large_messages.xml'),
    'FASTDDS_DEFAULT_PROFILES_FILE': str(ROOT / 'config' / 'fastdds_large_messages.xml'),
    'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
    'ROS_DOMAIN_ID': '91',
}
_SIZES = ('640x480', '1242x375', '1280x720', '1920x1080')
_STAGES = '1242x375'
_HZ = 10.0
_CAMERA = f'depth, a camera at {_HZ:.0f} Hz'
_SOAK = Source(width=640, height=480)
_SOAK_SAMPLES = 20


def main() -> None:
    """Measure what was asked for and write the page."""
    args = _arguments()
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # Else a third of what the listener takes is page faults of messages that it has let go.
    keep_freed_memory()
    rclpy.init()
    results = Results(
        command=f'python benchmarks/run.py {" ".join(sys.argv[1:])}'.strip(),
        model=str(args.model or 'ResNet-18 at 640x192 with random weights'),
        stage_source=Source.of_size(_STAGES if _STAGES in args.sizes else args.sizes[0]),
    )
    with tempfile.TemporaryDirectory() as folder:
        os.environ['XDG_CACHE_HOME'] = folder
        bench = Bench(args, Path(folder), results)
        for mode in args.modes:
            print(f'[bench] {mode}', flush=True)
            getattr(bench, mode)()
            page = write(results, args.out)
    print(page.read_text(encoding='utf-8'))
    print(f'[bench] written: {page}')
    os._exit(0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else '')
    modes = ('bare', 'engines', 'nodes', 'rates', 'busy', 'start', 'soak')
    parser.add_argument('--modes', nargs='+', choices=modes, default=[*modes[:-1]])
    parser.add_argument('--sizes', nargs='+', help=f'sizes of the images; {" ".join(_SIZES)}')
    parser.add_argument('--frames', type=int, help='frames of each case; 300')
    parser.add_argument('--soak-frames', type=int, default=20_000)
    parser.add_argument('--rates', nargs='+', type=float, default=[10.0, 30.0])
    parser.add_argument('--model', type=Path, help='model file; random weights by default')
    parser.add_argument('--engine', default='auto')
    parser.add_argument('--device', default='auto')
    parser.add_argument('--precision', default='auto', help='int8 of --model: export it first')
    parser.add_argument('--threads', type=int, default=0)
    parser.add_argument('--jpeg-decoder', default='cpu', help='cpu or gpu')
    parser.add_argument('--prefix', default='', help="put before depth_node, as 'nice -n -10'")
    parser.add_argument('--raw-only', action='store_true', help='no JPEG')
    parser.add_argument('--quick', action='store_true', help='few frames, two sizes')
    parser.add_argument('--out', type=Path, default=ROOT / 'benchmarks' / 'results')
    args = parser.parse_args()
    args.frames = args.frames or (20 if args.quick else 300)
    args.sizes = args.sizes or (_SIZES[1:3] if args.quick else _SIZES)
    if args.engine == 'openvino' and args.device == 'auto':
        args.device = 'cpu'  # The plain node, too, where the depth node will run.
    if args.quick:
        args.modes = [mode for mode in args.modes if mode != 'engines']
    return args


class Bench:
    """One run: its options, a folder for what it makes, and the results so far."""

    def __init__(self, args: argparse.Namespace, folder: Path, results: Results) -> None:
        self._args, self._folder, self._results = args, folder, results
        self._model = str(
            args.model or _random_model(folder / 'random.safetensors', args.precision)
        )

    def bare(self) -> None:
        """The network alone."""
        args = self._args
        command = [sys.executable, str(ROOT / 'benchmarks' / 'bare_network.py'), self._model]
        command += [str(args.frames), args.engine, args.device, args.precision, str(args.threads)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr[-2000:])
        self._results.bare = json.loads(done.stdout.splitlines()[-1])

    def engines(self) -> None:
        """Every engine, by its own benchmark and to its own page."""
        args = self._args
        command = [sys.executable, str(ROOT / 'benchmarks' / 'engines.py')]
        command += ['--model', self._model, '--out', str(args.out)]
        command += ['--device', args.device, '--threads', str(args.threads)]
        subprocess.run(command, check=False)

    def nodes(self) -> None:
        """Each node with each source, frame by frame and without a pause."""
        kinds = (False,) if self._args.raw_only else (False, True)
        for jpeg in kinds:
            sources = [Source.of_size(size, jpeg=jpeg) for size in self._args.sizes]
            for name in ('depth', 'plain', 'echo'):
                self._measure(name, sources)

    def _measure(self, name: str, sources: list[Source]) -> None:
        with self._started(name, jpeg=sources[0].jpeg) as (node, traffic):
            for source in sources:
                traffic.wait_for(node, source)
                figures = traffic.one_by_one(node, source, self._args.frames)
                self._results.one_by_one[name, source] = figures
                if name == 'depth' and source == self._results.stage_source:
                    status = traffic.status().items()
                    self._results.stages = {k: v for k, v in status if k.startswith('stage')}
                told = f'{figures.p50_ms:.1f} ms'
                # The echo answers faster than anybody takes its answers.
                if name != 'echo':
                    without = traffic.without_pause(node, source, self._args.frames)
                    self._results.without_pause[name, source] = without
                    told += f', {without.rate_hz:.1f} Hz'
                print(f'[bench] {name}, {source.name}: {told}', flush=True)

    def rates(self) -> None:
        """The depth node at fixed rates, every frame accounted for."""
        source = Source.of_size('1242x375')
        with self._started('depth') as (node, traffic):
            traffic.wait_for(node, source)
            for rate_hz in self._args.rates:
                figures = traffic.at_rate(node, source, self._args.frames, rate_hz=rate_hz)
                self._results.at_rate[rate_hz, source] = figures

    def busy(self) -> None:
        """Depth and plain node quiet, then beside a busy process for each core."""
        source, frames = Source.of_size(self._args.sizes[0]), self._args.frames
        busy = self._results.busy
        for name in ('depth', 'plain'):
            with self._started(name) as (node, traffic):
                traffic.wait_for(node, source)
                one_by_one = partial(traffic.one_by_one, node, source, frames)
                busy[name] = _quiet_and_busy(one_by_one)
                # The plain node cannot keep up with a camera.
                if name == 'depth':
                    at_rate = partial(traffic.at_rate, node, source, frames, rate_hz=_HZ)
                    busy[_CAMERA] = _quiet_and_busy(at_rate)

    def start(self) -> None:
        """From nothing to the first depth; the second of two starts, with all caches warm."""
        source = Source.of_size('1242x375')
        for _ in range(2):
            with self._started('start') as (node, traffic):
                total_s = traffic.wait_for(node, source)
        log = (self._folder / 'start.log').read_text()
        parts = re.findall(r'^start-up (.+): ([\d.]+)$', log, re.MULTILINE)
        known = {part: float(seconds) for part, seconds in parts}
        known['interpreter, discovery and first frame'] = total_s - sum(known.values())
        self._results.start_up = known | {'all': total_s}

    def soak(self) -> None:
        """Memory over many frames."""
        step = max(1, self._args.soak_frames // _SOAK_SAMPLES)
        with self._started('depth') as (node, traffic):
            traffic.wait_for(node, _SOAK)
            for index in range(_SOAK_SAMPLES):
                traffic.one_by_one(node, _SOAK, step)
                self._results.soak.append(((index + 1) * step, node.resident_mib()))

    @contextmanager
    def _started(
        self, name: str, *, jpeg: bool = False
    ) -> Iterator[tuple[NodeUnderTest, Traffic]]:
        traffic = Traffic(jpeg=jpeg)
        try:
            log = self._folder / f'{name}.log'
            prefix = shlex.split(self._args.prefix) if name == 'depth' else []
            command = self._command(name, jpeg=jpeg)
            with NodeUnderTest(command, log=log, prefix=prefix) as node:
                yield node, traffic
        finally:
            traffic.close()

    def _command(self, name: str, *, jpeg: bool) -> list[str]:
        here, kind = ROOT / 'benchmarks', ['jpeg'] if jpeg else []
        args = self._args
        if name == 'plain':
            return [str(here / 'plain_node.py'), self._model, args.device, *kind]
        if name == 'echo':
            return [str(here / 'echo_node.py'), *kind]
        values = {
            'model': self._model,
            'image_transport': 'compressed' if jpeg else 'raw',
            'cloud_stride': 2,
            # The layout of the plain node's cloud, so that both send the same bytes.
            'cloud_fields': 'xyzrgb_compact',
            'engine': args.engine,
            'device': args.device,
            'precision': args.precision,
            'threads': args.threads,
            'jpeg_decoder': args.jpeg_decoder,
            'middleware_check': 'false',
            'diagnostics_period_s': 0.5,
        }
        program = ['-m', 'monodepth2_ros.nodes.depth_node']
        if name == 'start':
            program = [str(here / 'start_up.py')]
        given = [word for key, value in values.items() for word in ('-p', f'{key}:={value}')]
        return [*program, '--ros-args', *given]


def _quiet_and_busy(run: Callable[[], Figures]) -> tuple[Figures, Figures]:
    quiet = run()
    with busy_cores():
        return quiet, run()


def _random_model(path: Path, precision: str) -> Path:
    """Write a model of random weights, by a process that takes torch's memory with it."""
    program = ROOT / 'benchmarks' / 'random_model.py'
    subprocess.run([sys.executable, str(program), str(path), precision], check=True, cwd=ROOT)
    return path


if __name__ == '__main__':
    main()
