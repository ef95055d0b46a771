# SPDX-License-Identifier: Apache-2.0
"""Choose a device and an arithmetic, and say why; an explicit wish is obeyed or refused."""

from __future__ import annotations

import re

import torch

from monodepth2_ros.errors import ConfigError, DeviceError, first_line
from monodepth2_ros.inference.engines import PRECISIONS

_CUDA = re.compile(r'cuda(?::(\d+))?')
_BFLOAT16_CHECKS = ('_is_amx_tile_supported', '_is_avx512_bf16_supported')


def choose_device(request: str) -> tuple[torch.device, str]:
    """Turn a request into a device and the reason for it.

    Args:
        request: ``auto`` (a GPU if there is one), ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        ConfigError: the request is none of these.
        DeviceError: CUDA was asked for and cannot be used.
    """
    match = _CUDA.fullmatch(request)
    if request == 'cpu':
        return torch.device('cpu'), 'the CPU was asked for'
    if match:
        return _explicit_cuda(request, int(match[1] or 0))
    if request != 'auto':
        raise ConfigError(f'device {request!r} is not known: expected auto, cpu, cuda or cuda:N')
    missing = missing_cuda_reason()
    if missing:
        return torch.device('cpu'), f'no GPU can be used: {missing}'
    return torch.device('cuda', 0), f'a GPU was found: {torch.cuda.get_device_name(0)}'


def missing_cuda_reason(index: int = 0) -> str:
    """Why torch cannot use the GPU of that number, in its own words; empty if it can."""
    if torch.version.cuda is None:
        return f'torch {torch.__version__} is built without CUDA'
    try:
        torch.zeros(1, device=torch.device('cuda', index))
    except (RuntimeError, AssertionError) as err:
        return first_line(err)
    return ''


def choose_precision(request: str, device: torch.device) -> tuple[torch.dtype, str]:
    """Turn a request into an arithmetic and the reason for it.

    bfloat16 is several times faster where the hardware multiplies it, and many times slower where
    it does not, so ``auto`` asks the hardware.

    Args:
        request: one of ``PRECISIONS``.
        device: where the network shall run.

    Raises:
        ConfigError: the request is not known.
    """
    if request not in PRECISIONS:
        raise ConfigError(
            f'precision {request!r} is not known: expected one of {", ".join(PRECISIONS)}'
        )
    if request != 'auto':
        return getattr(torch, request), f'{request} was asked for'
    if device.type == 'cuda':
        fast = torch.cuda.get_device_capability(device) >= (8, 0)
        return _auto(fast, 'the GPU')
    return _auto(_cpu_multiplies_bfloat16(), 'the CPU')


def _auto(fast: bool, where: str) -> tuple[torch.dtype, str]:
    """The arithmetic for hardware that multiplies bfloat16 or does not."""
    if fast:
        return torch.bfloat16, f'bfloat16, which {where} multiplies fast'
    return torch.float32, f'float32, since {where} has no fast bfloat16'


def _cpu_multiplies_bfloat16() -> bool:
    """Whether the CPU has AMX tiles or AVX512_BF16; a torch that cannot tell counts as no."""
    checks = (getattr(torch.cpu, name, None) for name in _BFLOAT16_CHECKS)
    return any(check is not None and check() for check in checks)


def _explicit_cuda(request: str, index: int) -> tuple[torch.device, str]:
    """The GPU of that number, or a refusal."""
    count = torch.cuda.device_count()
    if 0 < count <= index:
        raise DeviceError(
            f"device '{request}' does not exist: this machine has cuda:0 to cuda:{count - 1}"
        )
    missing = missing_cuda_reason(index)
    if missing:
        raise DeviceError(
            f"device '{request}' cannot be used: {missing}; use device 'cpu' or 'auto', or check "
            'the driver with nvidia-smi'
        )
    return torch.device('cuda', index), f"'{request}' was asked for"
