# SPDX-License-Identifier: Apache-2.0
"""What computing in PyTorch is wrapped in: exact float32, and errors that say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from monodepth2_ros.errors import DeviceError, first_line

_MEBIBYTE = 2**20


@contextmanager
def exact_float32() -> Iterator[None]:
    """Keep cuDNN's convolutions in float32 instead of TensorFloat-32."""
    cudnn = torch.backends.cudnn
    with cudnn.flags(
        enabled=cudnn.enabled,
        benchmark=cudnn.benchmark,
        deterministic=cudnn.deterministic,
        allow_tf32=False,
    ):
        yield


@contextmanager
def device_errors(device: torch.device, work: str) -> Iterator[None]:
    """Turn CUDA's errors into DeviceError; a CPU's pass as they are."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as err:
        free, total = torch.cuda.mem_get_info(device)
        raise DeviceError(
            f'{device} ran out of memory while {work}: {free // _MEBIBYTE} of '
            f'{total // _MEBIBYTE} MiB are free; end other programs on this GPU or use a smaller '
            'model'
        ) from err
    except RuntimeError as err:
        if device.type != 'cuda':
            raise
        raise DeviceError(
            f'{device} failed while {work}: {first_line(err)}; restart this process, and the '
            'machine if it fails again'
        ) from err
