# SPDX-License-Identifier: Apache-2.0
"""The network compiled ahead of time by AOTInductor, for one processor and one PyTorch.

Compiling takes a C++ compiler and half a minute of all cores, so that it is left to ``monodepth2
export --format torch``; the node only loads what that made.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

import torch

from monodepth2_ros.errors import ConfigError, DeviceError
from monodepth2_ros.inference.engines.decompositions import decompositions
from monodepth2_ros.inference.engines.files import EngineRecord
from monodepth2_ros.processor import processor

if TYPE_CHECKING:
    from monodepth2_ros.inference.engines.network import InferenceNet
    from monodepth2_ros.inference.engines.program import Network
    from monodepth2_ros.model_file import Model

SUFFIX = '.pt2'
"""How names of compiled packages end."""

_COMPILERS = ('g++', 'c++', 'clang++')


def package_record(model: Model, precision: str) -> EngineRecord:
    """What a package of a model must have been made of to run here."""
    return EngineRecord(
        engine='torch',
        precision=precision,
        model_sha256=model.sha256,
        library=f'torch {torch.__version__}',
        machine=processor().fingerprint,
    )


def compile_package(net: InferenceNet, image: torch.Tensor, target: Path) -> None:
    """Compile a network.

    Args:
        net: on the CPU.
        image: an input like all to come.
        target: the file to write, ending in ``.pt2``.

    Raises:
        ConfigError: there is no C++ compiler.
    """
    if not (os.environ.get('CXX') or any(map(shutil.which, _COMPILERS))):
        raise ConfigError('compiling needs a C++ compiler: install g++, for example by apt')
    with torch.no_grad():
        program = torch.export.export(net, (image,)).run_decompositions(decompositions())
        torch._inductor.aoti_compile_and_package(
            program,
            package_path=str(target),
            # Freezing lays the weights out for the kernels; the number of threads stays open.
            inductor_configs={'freezing': True, 'cpp.dynamic_threads': True},
        )


def load_package(path: Path) -> Network:
    """Load a compiled package, a network from uint8 [1, 3, h, w] to disparity.

    Raises:
        DeviceError: it does not load, for example under another C++ library.
    """
    try:
        network: Network = torch._inductor.aoti_load_package(str(path))
    except (RuntimeError, OSError) as err:
        raise DeviceError(
            f'{path} does not load ({err}): give {gettempdir()}, into which it is unpacked, room '
            'and no noexec, or export it again'
        ) from err
    return network
