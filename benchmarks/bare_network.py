# SPDX-License-Identifier: Apache-2.0
"""The network alone, without ROS: with the engine that the node takes, and as one writes it first.

Prints one line of JSON; each in turn, so that other work on the machine hits both alike.
"""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from statistics import mean

os.environ.setdefault('GOMP_SPINCOUNT', '10000')

import torch
from plain_network import plain_arithmetic, run_plainly
from side_by_side import take_turns

from monodepth2_ros.inference.estimator import DepthEstimator
from monodepth2_ros.model_file import load_model


def main() -> None:
    """Measure: bare_network.py MODEL ROUNDS ENGINE DEVICE PRECISION THREADS."""
    path, rounds, engine, device, precision, threads = sys.argv[1:7]
    estimator = DepthEstimator.load(
        path, engine=engine, device=device, precision=precision, threads=int(threads)
    )
    width, height = estimator.size
    image = torch.randint(0, 256, (1, 3, height, width), dtype=torch.uint8)
    image = image.contiguous(memory_format=torch.channels_last)
    net = load_model(path).depth_net.eval().to(estimator.device)

    ways = [partial(estimator.engine.infer, image), partial(run_plainly, net, image)]
    taken: dict[str, object] = {
        name: {'p50_ms': times.p50_ms, 'p90_ms': times.p90_ms, 'cpu_ms': mean(times.cpu_ms)}
        for name, times in zip(
            ('best', 'plain'), take_turns(ways, rounds=int(rounds)), strict=True
        )
    }
    about = {
        'engine': estimator.engine.name,
        'device': estimator.engine.device_name,
        'reason': estimator.device_reason,
        'plain_arithmetic': plain_arithmetic(torch.device(estimator.device)),
    }
    print(json.dumps(taken | about), flush=True)
    os._exit(0)


if __name__ == '__main__':
    main()
