# SPDX-License-Identifier: Apache-2.0
"""From one image message to everything that a node publishes about it, in one call.

The stages are decode, rectify, infer and postprocess; each is timed. What nobody wants is not
computed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.geometry.camera import CameraCalibration, Window
from monodepth2_ros.images import (
    CompressedImage,
    RawImage,
    UnsupportedEncodingError,
    decode,
    decode_compressed,
)
from monodepth2_ros.inference.colorize import colorize
from monodepth2_ros.inference.point_cloud import PointCloudPacker
from monodepth2_ros.inference.postprocess import mark_invalid
from monodepth2_ros.inference.products import Products, Timings, Wanted
from monodepth2_ros.inference.settings import Settings
from monodepth2_ros.inference.views import View, Views

__all__ = ['Decoder', 'FramePipeline', 'Products', 'Settings', 'Timings', 'Wanted']


class Estimator(Protocol):
    """What the pipeline needs of a ``DepthEstimator``."""

    def disparity(
        self, rgb: NDArray[np.uint8], window: Window | None = None
    ) -> NDArray[np.float32]:
        """Disparity of the window of an image, at the network's size."""

    def depth(
        self,
        disparity: NDArray[np.float32],
        *,
        height: int,
        width: int,
        window: Window | None = None,
        scale: float | None = None,
    ) -> NDArray[np.float32]:
        """Depth at the image's size; a new array."""


Decoder = Callable[[RawImage], NDArray[np.uint8]]
"""Turns a raw image into RGB uint8 [H, W, 3] or raises ImageError."""


class FramePipeline:
    """Processes one camera's frames, in one thread.

    Attributes:
        settings: may be replaced between frames.
        decoder: tried for encodings that this package does not know; None refuses them.
    """

    def __init__(
        self,
        estimator: Estimator,
        settings: Settings | None = None,
        *,
        decoder: Decoder | None = None,
    ) -> None:
        """Start without a camera; the first frame brings it."""
        self.settings = settings or Settings()
        self.decoder = decoder
        self._estimator = estimator
        self._views = Views()
        self._packer: PointCloudPacker | None = None

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
            ImageError: the image cannot be decoded.
            DeviceError: the network's device failed.
        """
        if not wanted:
            return Products()
        settings = self.settings
        started = perf_counter()
        rgb = self._decode(image, settings.max_pixels)
        decoded = perf_counter()
        height, width = rgb.shape[:2]
        view = self._views.view(calibration, width=width, height=height, rectify=settings.rectify)
        rgb = view.rectifier.rectify(rgb) if view.rectifier else rgb
        rectified = perf_counter()
        disparity = self._estimator.disparity(rgb, view.window)
        inferred = perf_counter()
        products = self._products(disparity, rgb, view, wanted, settings)
        timings = Timings(
            decode=decoded - started,
            rectify=rectified - decoded,
            infer=inferred - rectified,
            postprocess=perf_counter() - inferred,
        )
        return replace(products, timings_s=timings)

    def _products(
        self,
        disparity: NDArray[np.float32],
        rgb: NDArray[np.uint8],
        view: View,
        wanted: Wanted,
        settings: Settings,
    ) -> Products:
        """Everything wanted, without its timings."""
        depth = self._depth(disparity, rgb, view, settings)
        return Products(
            depth=depth if wanted.depth else None,
            camera=view.camera,
            points=self._points(depth, rgb, view, settings) if wanted.points else None,
            color=_color(depth, settings) if wanted.color else None,
            rgb=rgb,
            notes=view.notes,
        )

    def _decode(self, image: RawImage | CompressedImage, max_pixels: int) -> NDArray[np.uint8]:
        """Decode a message, through ``decoder`` where this package cannot."""
        if isinstance(image, CompressedImage):
            return decode_compressed(image, max_pixels=max_pixels)
        try:
            return decode(image, max_pixels=max_pixels)
        except UnsupportedEncodingError:
            if self.decoder is None:
                raise
            return self.decoder(image)

    def _depth(
        self,
        disparity: NDArray[np.float32],
        rgb: NDArray[np.uint8],
        view: View,
        settings: Settings,
    ) -> NDArray[np.float32]:
        """Depth with its marks, float32 [H, W]."""
        height, width = rgb.shape[:2]
        depth = self._estimator.depth(
            disparity,
            height=height,
            width=width,
            window=view.window,
            scale=settings.scale or None,
        )
        return mark_invalid(
            depth,
            min_depth_m=settings.min_depth_m,
            max_depth_m=settings.max_depth_m,
            valid=view.valid,
        )

    def _points(
        self,
        depth: NDArray[np.float32],
        rgb: NDArray[np.uint8],
        view: View,
        settings: Settings,
    ) -> NDArray[np.uint8] | None:
        """The cloud, or None without a camera; the packer is made anew when either changes."""
        if view.camera is None:
            return None
        packer = self._packer
        if packer is None or (packer.camera, packer.stride) != (
            view.camera,
            settings.cloud_stride,
        ):
            packer = PointCloudPacker(view.camera, stride=settings.cloud_stride)
            self._packer = packer
        return packer.pack(depth, rgb)


def _color(depth: NDArray[np.float32], settings: Settings) -> NDArray[np.uint8]:
    """The picture of the depth."""
    return colorize(
        depth,
        colormap=settings.colormap,
        min_depth_m=settings.color_min_depth_m,
        max_depth_m=settings.color_max_depth_m,
    )
