# SPDX-License-Identifier: Apache-2.0
"""The network alone, without ROS: with the engine that the node takes, and as one writes it first.

Prints one line of JSON; each in turn, so that other work on the machine hits both alike.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable

os.environ.setdefault('OMP_WAIT_POLICY', 'passive')

import torch

from monodepth2_ros.inference.estimator import DepthEstimator
from monodepth2_ros.model_file import load_model


def main() -> None:
    """Measure: bare_network.py MODEL ROUNDS ENGINE DEVICE THREADS."""
    path, rounds, engine, device, threads = sys.argv[1:6]
    estimator = DepthEstimator.load(
        path, engine=engine, device=device, precision='auto', threads=int(threads)
    )
    width, height = estimator.size
    image = torch.randint(0, 256, (1, 3, height, width), dtype=torch.uint8)
    image = image.contiguous(memory_format=torch.channels_last)
    net = load_model(path).depth_net.eval().to(estimator.device)

    def plain() -> None:
        with torch.no_grad():
            [scale.cpu() for scale in net(image.contiguous().to(estimator.device).float() / 255.0)]

    candidates: dict[str, Callable[[], object]] = {
        'best': lambda: estimator.engine.infer(image),
        'plain': plain,
    }
    taken = _measure(candidates, int(rounds))
    about = {
        'engine': estimator.engine.name,
        'device': estimator.engine.device_name,
        'reason': estimator.device_reason,
    }
    print(json.dumps(taken | about), flush=True)
    os._exit(0)


def _measure(candidates: dict[str, Callable[[], object]], rounds: int) -> dict[str, object]:
    """Median and 90th percentile of wall time, and mean CPU time, in ms, in turn."""
    wall_ms: dict[str, list[float]] = {name: [] for name in candidates}
    cpu_ms: dict[str, list[float]] = {name: [] for name in candidates}
    for index in range(rounds + 3):
        for name, run in candidates.items():
            wall_s, cpu_s = time.perf_counter(), time.process_time()
            run()
            if index >= 3:
                wall_ms[name].append(1e3 * (time.perf_counter() - wall_s))
                cpu_ms[name].append(1e3 * (time.process_time() - cpu_s))
    return {
        name: {
            'p50_ms': statistics.median(values),
            'p90_ms': statistics.quantiles(values, n=10)[-1],
            'cpu_ms': statistics.mean(cpu_ms[name]),
        }
        for name, values in wall_ms.items()
    }


if __name__ == '__main__':
    main()
