# SPDX-License-Identifier: Apache-2.0
"""Runs the depth network in PyTorch, on the CPU or on one CUDA device.

float32 is exact: TensorFloat-32 stays off, so that a GPU agrees with a CPU. In bfloat16 the last
convolution and the sigmoid stay float32; depth then differs by less than 0.5 % on average.

OpenMP threads spin while they wait, which on a shared machine costs others and the network itself
a multiple of the time saved; the node and ``monodepth2`` set GOMP_SPINCOUNT=10000.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from monodepth2_ros.inference.engines.compiled import load_package
from monodepth2_ros.inference.engines.network import InferenceNet, example_image
from monodepth2_ros.inference.engines.program import ProgramEngine
from monodepth2_ros.inference.engines.running import device_errors

if TYPE_CHECKING:
    from monodepth2_ros.networks.depth_net import DepthNet


class TorchEngine(ProgramEngine):
    """One depth network on one device; only the finest disparity is computed."""

    def __init__(
        self,
        depth_net: DepthNet,
        device: torch.device,
        *,
        dtype: torch.dtype = torch.float32,
        threads: int = 0,
        package: Path | None = None,
    ) -> None:
        """Copy the network to the device.

        Args:
            depth_net: a network on the CPU; it stays as it is.
            device: where to run.
            dtype: float32, bfloat16 or float16.
            threads: CPU threads for this process's networks; 0 leaves torch's choice.
            package: the same network compiled for this CPU, which then runs instead.

        Raises:
            DeviceError: the device has too little memory.
        """
        if threads:
            torch.set_num_threads(threads)
        name = f'torch {str(dtype).removeprefix("torch.")}'
        if package is not None:
            network, name = load_package(package), f'{name}, compiled'
        else:
            with device_errors(device, 'loading the network'):
                network = InferenceNet(depth_net, dtype).to(device)
        super().__init__(network, example_image(depth_net), device, name=name)
