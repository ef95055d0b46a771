# SPDX-License-Identifier: Apache-2.0
"""From one image message to everything that a node publishes about it, in one call.

The stages are decode, rectify, preprocess, infer and postprocess; each is timed. What nobody wants
is not computed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from monodepth2_ros.geometry.camera import CameraCalibration, Window
from monodepth2_ros.images import (
    CompressedImage,
    RawImage,
    UnsupportedEncodingError,
    decode,
    decode_compressed,
    exact_reduction,
    reducible_size,
    rows_of,
)
from monodepth2_ros.inference.device_frames import DeviceFrames
from monodepth2_ros.inference.frame_program import CHANNELS
from monodepth2_ros.inference.preprocess import full_window
from monodepth2_ros.inference.products import Products, Timings, Wanted
from monodepth2_ros.inference.rendering import DepthMaker, Renderer, paint
from monodepth2_ros.inference.scale_keeper import ScaleKeeper
from monodepth2_ros.inference.settings import Settings
from monodepth2_ros.inference.views import View, Views

__all__ = ['Decoder', 'FramePipeline', 'Products', 'Settings', 'Timings', 'Wanted']


class Estimator(DepthMaker, Protocol):
    """What the pipeline needs of a ``DepthEstimator``."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the network's input."""

    def prepare(self, rgb: NDArray[np.uint8], window: Window | None = None) -> torch.Tensor:
        """The network's input, uint8 [1, 3, h, w], of the window of an image."""

    def run(self, image: torch.Tensor) -> NDArray[np.float32]:
        """Disparity float32 [h, w] of an input."""


Decoder = Callable[[RawImage], NDArray[np.uint8]]
"""Turns a raw image into RGB uint8 [H, W, 3] or raises ImageError."""


class FramePipeline:
    """Processes one camera's frames, in one thread.

    Attributes:
        settings: may be replaced between frames.
        decoder: tried for encodings that this package does not know; None refuses them.
        keeper: measures the scale and takes the place of ``settings.scale``; None for neither.
    """

    def __init__(
        self,
        estimator: Estimator,
        settings: Settings | None = None,
        *,
        decoder: Decoder | None = None,
        keeper: ScaleKeeper | None = None,
        device_frames: DeviceFrames | None = None,
    ) -> None:
        """Start without a camera; the first frame brings it.

        Args:
            estimator: computes stage by stage.
            settings: what is chosen about the results.
            decoder: see the class.
            keeper: see the class.
            device_frames: computes whole frames on a device instead, where it can.
        """
        self.settings = settings or Settings()
        self.decoder = decoder
        self.keeper = keeper
        self._estimator = estimator
        self._views = Views()
        self._renderer = Renderer(estimator)
        self._device_frames = device_frames

    def process(
        self,
        image: RawImage | CompressedImage,
        calibration: CameraCalibration | None,
        wanted: Wanted,
    ) -> Products:
        """Compute the wanted results of one frame.

        Args:
            image: the message's content.
            calibration: of the camera, None if unknown; one that does not fit counts as unknown.
            wanted: what to compute; if nothing, nothing is even decoded.

        Raises:
            ImageError: the image cannot be decoded, or its camera is to be refused.
            DeviceError: the network's device failed.
        """
        if not wanted:
            return Products()
        if self._device_frames is not None and self._device_frames.serve(self.settings):
            return self._on_device(self._device_frames, image, calibration, wanted)
        settings, watch = self.settings, _Stopwatch()
        reduction = self._reduction(image, calibration, wanted, settings)
        rgb = self._decode(image, settings.max_pixels, reduction)
        decode_s = watch.lap_s()
        view = self._view(calibration, rgb.shape[1] * reduction, rgb.shape[0] * reduction)
        if self.keeper is not None:
            self.keeper.begin(view)
        rgb = view.rectified(rgb)
        rectify_s = watch.lap_s()
        seen = self._estimator.prepare(rgb, view.window if reduction == 1 else full_window(rgb))
        preprocess_s = watch.lap_s()
        disparity = self._estimator.run(seen)
        infer_s = watch.lap_s()
        if self.keeper is not None:
            self.keeper.watch(_pixels(seen), disparity, view)
            settings = replace(settings, scale=self.keeper.scale)
        colours = None if reduction > 1 else rgb
        if settings.depth_size == 'network':
            view, colours = view.at_network_size(*self._estimator.size), _pixels(seen)
        products = self._renderer.render(disparity, colours, view, wanted, settings)
        timings = Timings(
            decode=decode_s,
            rectify=rectify_s,
            preprocess=preprocess_s,
            infer=infer_s,
            postprocess=watch.lap_s(),
        )
        return replace(products, timings_s=timings)

    def close(self) -> None:
        """Free what was made of the estimator's network; may be called again."""
        if self._device_frames is not None:
            self._device_frames.close()

    def _on_device(
        self,
        frames: DeviceFrames,
        image: RawImage | CompressedImage,
        calibration: CameraCalibration | None,
        wanted: Wanted,
    ) -> Products:
        """Compute the wanted results on a device; only what it cannot read is decoded here.

        A scale that is measured live takes effect with the frame after the one that told it.
        """
        settings, watch = self.settings, _Stopwatch()
        rows, encoding, width = self._rows(frames, image, settings.max_pixels)
        decode_s = watch.lap_s()
        view = self._view(calibration, width, rows.shape[0])
        if self.keeper is not None:
            self.keeper.begin(view)
            settings = replace(settings, scale=self.keeper.scale)
        points = wanted.points and view.camera is not None
        frame = frames.compute(rows, encoding, view, settings, points=points)
        infer_s = watch.lap_s()
        if self.keeper is not None:
            self.keeper.watch(_pixels(frame.seen), frame.disparity, view)
        return Products(
            depth=frame.depth if wanted.depth else None,
            camera=view.camera,
            points=frame.points,
            color=paint(frame.depth, settings) if wanted.color else None,
            notes=view.notes,
            timings_s=Timings(decode=decode_s, infer=infer_s, postprocess=watch.lap_s()),
        )

    def _rows(
        self, frames: DeviceFrames, image: RawImage | CompressedImage, max_pixels: int
    ) -> tuple[NDArray[np.uint8] | torch.Tensor, str, int]:
        """Rows that a device reads, their encoding, and the width of the image."""
        if isinstance(image, CompressedImage):
            decoded = frames.decoded(image, max_pixels=max_pixels)
            if decoded is not None:
                return decoded, 'rgb8', decoded.shape[1] // 3
        elif image.encoding in CHANNELS:
            return rows_of(image, max_pixels=max_pixels), image.encoding, image.width
        rgb = self._decode(image, max_pixels, 1)
        return rgb.reshape(rgb.shape[0], -1), 'rgb8', rgb.shape[1]

    def _view(self, calibration: CameraCalibration | None, width: int, height: int) -> View:
        """The view of images of that size."""
        rectify = self.settings.rectify
        return self._views.view(calibration, width=width, height=height, rectify=rectify)

    def _reduction(
        self,
        image: RawImage | CompressedImage,
        calibration: CameraCalibration | None,
        wanted: Wanted,
        settings: Settings,
    ) -> int:
        """By which factor the picture may be decoded smaller, as nothing needs all its pixels."""
        if not settings.reduced_decode or not isinstance(image, CompressedImage):
            return 1
        if wanted.points and settings.points_take_image_colours:
            return 1
        size = reducible_size(image)
        if size is None or self._view(calibration, *size).rectifier is not None:
            return 1
        return exact_reduction(size, least=self._estimator.size)

    def _decode(
        self, image: RawImage | CompressedImage, max_pixels: int, reduction: int
    ) -> NDArray[np.uint8]:
        """Decode a message, through ``decoder`` where this package cannot."""
        if isinstance(image, CompressedImage):
            return decode_compressed(image, max_pixels=max_pixels, reduction=reduction)
        try:
            return decode(image, max_pixels=max_pixels)
        except UnsupportedEncodingError:
            if self.decoder is None:
                raise
            return self.decoder(image)


class _Stopwatch:
    """Tells how long each stage took."""

    def __init__(self) -> None:
        self._since_s = perf_counter()

    def lap_s(self) -> float:
        """Seconds since the last call, or since the start."""
        since_s, self._since_s = self._since_s, perf_counter()
        return self._since_s - since_s


def _pixels(image: torch.Tensor) -> NDArray[np.uint8]:
    """A network's input as an image uint8 [h, w, 3]; shares its memory."""
    return image[0].permute(1, 2, 0).numpy()
