# SPDX-License-Identifier: Apache-2.0
"""The machine: system, processor and what it multiplies fast, memory, device, engines."""

from __future__ import annotations

import platform
import shutil
from importlib import metadata
from pathlib import Path

from monodepth2_ros.errors import Monodepth2Error
from monodepth2_ros.health import Level
from monodepth2_ros.processor import core_count, processor
from monodepth2_training.doctor.abandoned_memory import abandoned_bytes
from monodepth2_training.doctor.check import Check

SEGMENT_BYTES = 128 * 2**20
"""Shared memory that a process with the Fast DDS profile takes."""

_FEATURES = {
    'avx2': 'AVX2',
    'avx512f': 'AVX512',
    'avx512_bf16': 'AVX512_BF16',
    'amx_bf16': 'AMX_BF16',
    'amx_int8': 'AMX_INT8',
    'asimd': 'NEON',
    'bf16': 'BF16',
}
_ENGINES = ('openvino', 'tensorrt', 'onnxruntime')
_GIBIBYTE = 2**30
_SHARED = Path('/dev/shm')


def system() -> Check:
    """Operating system, Python, processor."""
    here = processor()
    features = [name for flag, name in _FEATURES.items() if flag in here.features]
    cores = core_count()
    text = (
        f'{platform.system()} {platform.release()}, Python {platform.python_version()}, '
        f'{cores} cores of {here.name} ({", ".join(features) or "no vector features known"})'
    )
    facts = {'processor': here.name, 'cores': cores, 'features': features}
    return Check(name='system', level=Level.OK, text=text, facts=dict(facts))


def memory() -> Check:
    """Main memory, and the shared memory that large messages travel through."""
    total, free = _memory_bytes()
    facts: dict[str, object] = {'total_bytes': total, 'free_bytes': free}
    text = f'{free / _GIBIBYTE:.1f} of {total / _GIBIBYTE:.1f} GiB free'
    if not _SHARED.is_dir():
        return Check(name='memory', level=Level.OK, text=text, facts=facts)
    usage = shutil.disk_usage(_SHARED)
    abandoned = abandoned_bytes(_SHARED)
    facts |= {'shm_total_bytes': usage.total, 'shm_free_bytes': usage.free}
    facts['shm_abandoned_bytes'] = abandoned
    text += f'; /dev/shm {usage.free / _GIBIBYTE:.2f} of {usage.total / _GIBIBYTE:.2f} GiB free'
    level = Level.OK
    if usage.free < 2 * SEGMENT_BYTES:
        level = Level.WARN
        text += (
            ': too little for two processes with the Fast DDS profile; in a container '
            '--ipc=host or --shm-size=1g, else `fastdds shm clean`, see docs/deployment.md'
        )
    if abandoned >= SEGMENT_BYTES:
        level = Level.WARN
        text += (
            f'; killed processes left {abandoned / _GIBIBYTE:.2f} GiB of memory taken there: '
            '`fastdds shm clean` frees it'
        )
    return Check(name='memory', level=level, text=text, facts=facts)


def _memory_bytes() -> tuple[int, int]:
    """Total and available main memory; zeros where the system does not say."""
    path = Path('/proc/meminfo')
    rows = path.read_text(encoding='utf-8').splitlines() if path.exists() else []
    kib = {row.partition(':')[0]: int(row.split()[1]) for row in rows}
    return 1024 * kib.get('MemTotal', 0), 1024 * kib.get('MemAvailable', 0)


def device(request: str) -> Check:
    """What ``device: auto``, or the one asked for, comes to, and why."""
    import torch

    from monodepth2_ros.inference.engines.device import choose_device, choose_precision

    facts: dict[str, object] = {'torch': torch.__version__, 'cuda': torch.version.cuda}
    try:
        chosen, reason = choose_device(request)
        dtype, arithmetic = choose_precision('auto', chosen)
    except Monodepth2Error as err:
        return Check(name='device', level=Level.ERROR, text=str(err), facts=facts)
    facts |= {'device': str(chosen), 'precision': str(dtype).removeprefix('torch.')}
    text = f'{chosen}: {reason.partition(". ")[0]}; {arithmetic}; torch {torch.__version__}'
    unused = chosen.type == 'cpu' and request == 'auto' and Path('/dev/nvidia0').exists()
    if unused:
        text += '; there is an NVIDIA device file, so check torch and the driver (nvidia-smi)'
    level = Level.WARN if unused else Level.OK
    return Check(name='device', level=level, text=text, facts=facts)


def engines() -> Check:
    """Which inference libraries are installed beside torch."""
    versions: dict[str, object] = {'torch': metadata.version('torch')}
    for name in _ENGINES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    text = ', '.join(f'{name} {version or "not installed"}' for name, version in versions.items())
    compiler = shutil.which('g++') or shutil.which('clang++')
    text += f'; C++ compiler: {compiler or "none"}'
    facts = {**versions, 'compiler': compiler}
    return Check(name='engines', level=Level.OK, text=text, facts=facts)
