# SPDX-License-Identifier: Apache-2.0
"""Frames computed whole on one device: a program for each camera geometry, captured on a GPU."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from monodepth2_ros.errors import ConfigError
from monodepth2_ros.inference.device_jpeg import DeviceJpegDecoder
from monodepth2_ros.inference.engines.cuda_graph import Program, on_device
from monodepth2_ros.inference.engines.program import ProgramEngine
from monodepth2_ros.inference.engines.running import device_errors, exact_float32
from monodepth2_ros.inference.frame_program import FramePlan, FrameProgram
from monodepth2_ros.inference.point_cloud import LAYOUTS, PackedCloud

if TYPE_CHECKING:
    from monodepth2_ros.images import CompressedImage
    from monodepth2_ros.inference.estimator import DepthEstimator
    from monodepth2_ros.inference.settings import Settings
    from monodepth2_ros.inference.views import View

JPEG_DECODERS = ('cpu', 'gpu')
"""Where JPEG messages can be decoded."""

_MAX_PROGRAMS = 4


@dataclass(frozen=True, kw_only=True)
class DeviceFrame:
    """What came back from the device; all of it is valid until the next frame."""

    depth: NDArray[np.float32]
    """Depth float32 [H, W] in metres with REP 117 marks."""
    seen: torch.Tensor
    """What the network saw, uint8 [1, 3, h, w]."""
    disparity: NDArray[np.float32]
    """What it said, float32 [h, w]."""
    points: PackedCloud | None
    """The cloud; None if it was not asked for, or without a camera."""


class DeviceFrames:
    """Computes frames on the device of an estimator, in one thread; keeps the latest programs.

    A new geometry is captured on the worker's thread when its first frame comes: the node goes on
    receiving meanwhile, and the frames that it misses are counted as replaced.
    """

    def __init__(
        self,
        estimator: DepthEstimator,
        engine: ProgramEngine,
        jpeg_decoder: DeviceJpegDecoder | None = None,
    ) -> None:
        """Take the network of an engine, which stays the estimator's.

        Args:
            estimator: whose frames they are.
            engine: its engine.
            jpeg_decoder: decodes JPEGs on the device; None leaves them to the CPU.
        """
        self._estimator, self._engine, self._jpeg = estimator, engine, jpeg_decoder
        self._programs: OrderedDict[tuple[object, ...], tuple[View, Program]] = OrderedDict()

    def __len__(self) -> int:
        """Number of programs kept."""
        return len(self._programs)

    def serve(self, settings: Settings) -> bool:
        """Whether programs can do what is set; what they cannot is computed stage by stage."""
        plain = not self._estimator.flip and self._estimator.description.resize == 'bilinear'
        return plain and settings.depth_size == 'image' and self._engine.network is not None

    def decoded(self, image: CompressedImage, *, max_pixels: int) -> torch.Tensor | None:
        """RGB uint8 [H, 3 W] of a JPEG, on the device; None if it is to be decoded on the CPU.

        Raises:
            ImageError: the device cannot decode it.
            DeviceError: the device failed.
        """
        if self._jpeg is None:
            return None
        with device_errors(self._device, 'decoding a JPEG'):
            return self._jpeg.rows(image, max_pixels=max_pixels)

    def compute(
        self,
        rows: NDArray[np.uint8] | torch.Tensor,
        encoding: str,
        view: View,
        settings: Settings,
        *,
        points: bool,
    ) -> DeviceFrame:
        """Compute one frame.

        Args:
            rows: the image's bytes, uint8 [H, bytes of a row], on the host or on the device.
            encoding: a name of ``CHANNELS``.
            view: of the camera.
            settings: limits, scale and layout of the cloud.
            points: whether the cloud is wanted.

        Raises:
            DeviceError: the device failed.
        """
        if isinstance(rows, torch.Tensor):
            data = rows
        else:
            data = torch.from_numpy(np.require(rows, np.uint8, ['C', 'W']))
        scale = settings.scale or self._estimator.scale
        limits = torch.tensor((scale, settings.min_depth_m, settings.max_depth_m))
        work = f'computing a frame of {view.width}x{view.height}'
        with torch.inference_mode(), device_errors(self._device, work), exact_float32():
            program = self._program(encoding, view, settings, points, (data, limits))
            depth, seen, disparity, *cloud = program(data, limits)
        layout = LAYOUTS[settings.cloud_fields]
        return DeviceFrame(
            depth=depth.numpy(),
            seen=seen,
            disparity=disparity.numpy(),
            points=PackedCloud(data=cloud[0].numpy(), layout=layout) if cloud else None,
        )

    def close(self) -> None:
        """Free all programs."""
        self._programs.clear()

    def _program(
        self,
        encoding: str,
        view: View,
        settings: Settings,
        points: bool,
        example: tuple[torch.Tensor, ...],
    ) -> Program:
        """The program of a geometry, made at its first frame."""
        # A view is kept with its program, so that no other one can come to have its identity.
        place = example[0].device
        key = (place, encoding, id(view), points, settings.cloud_fields, settings.cloud_stride)
        if key not in self._programs:
            program = on_device(
                self._made(encoding, view, settings, points), example, self._device
            )
            self._programs[key] = view, program
        self._programs.move_to_end(key)
        while len(self._programs) > _MAX_PROGRAMS:
            self._programs.popitem(last=False)
        return self._programs[key][1]

    @property
    def _device(self) -> torch.device:
        return self._engine.device

    def _made(self, encoding: str, view: View, settings: Settings, points: bool) -> Program:
        plan = FramePlan(
            encoding=encoding,
            view=view,
            size=self._estimator.size,
            depth_range=self._estimator.description.depth_range,
            cloud=LAYOUTS[settings.cloud_fields] if points else None,
            stride=settings.cloud_stride,
        )
        return FrameProgram(self._engine.open_network(), plan, self._device)


def device_frames(estimator: DepthEstimator, *, jpeg_decoder: str = 'cpu') -> DeviceFrames | None:
    """Programs for an estimator on a GPU; None for one on a CPU, whose stages are faster apart.

    Args:
        estimator: on either.
        jpeg_decoder: one of ``JPEG_DECODERS``.

    Raises:
        ConfigError: JPEGs are to be decoded on a GPU, and the network runs on none.
        DeviceError: they cannot be decoded there.
    """
    engine = estimator.engine
    if isinstance(engine, ProgramEngine) and engine.device.type == 'cuda':
        decoder = DeviceJpegDecoder(engine.device) if jpeg_decoder == 'gpu' else None
        return DeviceFrames(estimator, engine, decoder)
    if jpeg_decoder == 'gpu':
        raise ConfigError(
            f'jpeg_decoder is gpu, and {engine.name} runs on {engine.device_name}: set it to cpu, '
            'or device to cuda'
        )
    return None
