# SPDX-License-Identifier: Apache-2.0
"""The depth of one image: a model file in, depth at the image's own size out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from monodepth2_ros.geometry.camera import Window
from monodepth2_ros.geometry.depth import disparity_to_inverse_depth
from monodepth2_ros.inference.engines import Engine
from monodepth2_ros.inference.engines.choice import EngineRequest, build_engine
from monodepth2_ros.inference.postprocess import merge_flipped, upsample_inverse_depth
from monodepth2_ros.inference.preprocess import full_window, network_input
from monodepth2_ros.model_description import ModelDescription
from monodepth2_ros.model_file import load_model


class DepthEstimator:
    """A network with the pre- and postprocessing that belong to it; use it from one thread.

    Attributes:
        description: what the model file says.
        engine: what runs the network.
        device: ``cpu`` or ``cuda:N``.
        device_reason: why this device, this engine and this arithmetic.
        model_sha256: digest of the model file; empty if the network comes from elsewhere.
    """

    def __init__(
        self,
        description: ModelDescription,
        engine: Engine,
        *,
        device: str = 'cpu',
        device_reason: str = '',
        flip: bool = False,
        model_sha256: str = '',
    ) -> None:
        """Wrap an engine that is ready.

        Args:
            description: of the network that the engine runs.
            engine: owned from now on; ``close`` closes it.
            device: name of its device.
            device_reason: why that one.
            flip: also look at the mirror image and merge both; takes twice as long.
            model_sha256: digest of the model file.
        """
        self.description = description
        self.engine = engine
        self.device = device
        self.device_reason = device_reason
        self.flip = flip
        self.model_sha256 = model_sha256

    @classmethod
    def load(
        cls,
        path: Path | str,
        *,
        engine: str = 'torch',
        device: str = 'auto',
        precision: str = 'float32',
        flip: bool = False,
        threads: int = 0,
    ) -> DepthEstimator:
        """Load a model file onto a device.

        Args:
            path: the model file.
            engine: ``torch``, ``openvino``, ``tensorrt``, or ``auto`` (the fastest there is).
            device: ``auto`` (a GPU if there is one), ``cpu``, ``cuda`` or ``cuda:N``.
            precision: ``float32`` (exact), ``bfloat16`` (depth differs by less than 0.5 % on
                average), ``float16``, ``int8`` (as exported), or ``auto`` (the fastest of the
                first two; float16 in TensorRT).
            flip: also look at the mirror image and merge both; takes twice as long.
            threads: CPU threads; 0 leaves the library's choice.

        Raises:
            ModelFileError: the file is missing, foreign, damaged or too new.
            DeviceError: the device or the engine cannot be used.
            ConfigError: an argument is not among the choices.
        """
        request = EngineRequest(engine=engine, device=device, precision=precision, threads=threads)
        model = load_model(path)
        chosen = build_engine(model, request)
        return cls(
            model.description,
            chosen.engine,
            device=str(chosen.device),
            device_reason=chosen.reason,
            flip=flip,
            model_sha256=model.sha256,
        )

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the network's input."""
        return self.description.network.width, self.description.network.height

    @property
    def scale(self) -> float:
        """Metres per unit of network depth; 1 if the model does not know it."""
        return self.description.scale.value if self.description.scale else 1.0

    def warm_up(self) -> None:
        """Run everything once, so that the first real frame is as fast as the others."""
        width, height = self.size
        self.infer(np.zeros((height + 1, width + 1, 3), np.uint8))

    def disparity(
        self, rgb: NDArray[np.uint8], window: Window | None = None
    ) -> NDArray[np.float32]:
        """Compute the network's disparity.

        Args:
            rgb: uint8 [H, W, 3].
            window: the part of the image to look at; all of it by default.

        Returns:
            float32 [h, w] in (0, 1), of the network's size.

        Raises:
            ImageError: the image is not uint8 [H, W, 3] or the window reaches outside it.
            DeviceError: the device failed.
        """
        return self.run(self.prepare(rgb, window))

    def prepare(self, rgb: NDArray[np.uint8], window: Window | None = None) -> torch.Tensor:
        """Crop and resize an image to the network's input.

        Args:
            rgb: uint8 [H, W, 3].
            window: the part of the image to look at; all of it by default.

        Returns:
            uint8 [1, 3, h, w] in channels_last memory format.

        Raises:
            ImageError: the image is not uint8 [H, W, 3] or the window reaches outside it.
        """
        width, height = self.size
        return network_input(
            rgb,
            window=window or full_window(rgb),
            width=width,
            height=height,
            resize=self.description.resize,
        )

    def run(self, image: torch.Tensor) -> NDArray[np.float32]:
        """Run the network on an input from ``prepare``; returns disparity as ``disparity`` does.

        Raises:
            DeviceError: the device failed.
        """
        disparity = self.engine.infer(image)
        if self.flip:
            disparity = merge_flipped(disparity, self.engine.infer(torch.flip(image, (3,))))
        return disparity

    def depth(
        self,
        disparity: NDArray[np.float32],
        *,
        height: int,
        width: int,
        window: Window | None = None,
        scale: float | None = None,
    ) -> NDArray[np.float32]:
        """Turn disparity into depth at the image's size.

        Args:
            disparity: float32 [h, w] from ``disparity``.
            height: rows of the image.
            width: columns of the image.
            window: the part of the image that the disparity is of; all of it by default.
            scale: metres per unit of network depth; the model's own by default.

        Returns:
            float32 [height, width]: z in metres (network units while the scale is unknown), NaN
            outside the window; a new array.
        """
        window = window or Window(x=0, y=0, width=width, height=height)
        inverse = disparity_to_inverse_depth(disparity, self.description.depth_range)
        inverse = upsample_inverse_depth(inverse, height=window.height, width=window.width)
        metres = np.float32(self.scale if scale is None else scale)
        if (window.height, window.width) == (height, width):
            return np.divide(metres, inverse, out=inverse)
        depth = np.full((height, width), np.nan, np.float32)
        np.divide(metres, inverse, out=depth[window.slices])
        return depth

    def infer(
        self,
        rgb: NDArray[np.uint8],
        *,
        window: Window | None = None,
        scale: float | None = None,
    ) -> NDArray[np.float32]:
        """Compute depth at the image's own size; see ``disparity`` and ``depth``."""
        disparity = self.disparity(rgb, window)
        height, width = rgb.shape[:2]
        return self.depth(disparity, height=height, width=width, window=window, scale=scale)

    def close(self) -> None:
        """Free the network and its device memory; may be called again."""
        self.engine.close()
