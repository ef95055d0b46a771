# SPDX-License-Identifier: Apache-2.0
"""From a network's disparity to all that is wanted of a frame: depth, cloud, picture."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.geometry.camera import Window
from monodepth2_ros.inference.colorize import colorize
from monodepth2_ros.inference.point_cloud import PackedCloud, PointCloudPacker
from monodepth2_ros.inference.postprocess import mark_invalid
from monodepth2_ros.inference.products import Products, Wanted
from monodepth2_ros.inference.settings import Settings
from monodepth2_ros.inference.views import View


class DepthMaker(Protocol):
    """What the renderer needs of a ``DepthEstimator``."""

    def depth(
        self,
        disparity: NDArray[np.float32],
        *,
        height: int,
        width: int,
        window: Window | None = None,
        scale: float | None = None,
    ) -> NDArray[np.float32]:
        """Depth at the size asked for; a new array."""


class Renderer:
    """Renders one camera's frames; keeps what the next frame can use again."""

    def __init__(self, estimator: DepthMaker) -> None:
        self._estimator = estimator
        self._packer: PointCloudPacker | None = None

    def render(
        self,
        disparity: NDArray[np.float32],
        rgb: NDArray[np.uint8] | None,
        view: View,
        wanted: Wanted,
        settings: Settings,
    ) -> Products:
        """Make everything wanted.

        Args:
            disparity: float32 [h, w] of the view's window.
            rgb: colours of the view's size, uint8 [H, W, 3]; None if no point wants any.
            view: size, window and camera of the results.
            wanted: what to make.
            settings: how to make it.
        """
        depth = self._depth(disparity, view, settings)
        return Products(
            depth=depth if wanted.depth else None,
            camera=view.camera,
            points=self._points(depth, rgb, view, settings) if wanted.points else None,
            color=paint(depth, settings) if wanted.color else None,
            rgb=rgb,
            notes=view.notes,
        )

    def _depth(
        self, disparity: NDArray[np.float32], view: View, settings: Settings
    ) -> NDArray[np.float32]:
        """Depth with its marks, float32 [H, W]."""
        depth = self._estimator.depth(
            disparity,
            height=view.height,
            width=view.width,
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
        rgb: NDArray[np.uint8] | None,
        view: View,
        settings: Settings,
    ) -> PackedCloud | None:
        """The cloud, or None without a camera; the packer is made anew when its key changes."""
        if view.camera is None:
            return None
        stride, fields = settings.cloud_stride, settings.cloud_fields
        if self._packer is None or self._packer.key != (view.camera, stride, fields):
            self._packer = PointCloudPacker(view.camera, stride=stride, fields=fields)
        return self._packer.pack(depth, rgb)


def paint(depth: NDArray[np.float32], settings: Settings) -> NDArray[np.uint8]:
    """The picture of a depth image, uint8 [H, W, 3] BGR."""
    return colorize(
        depth,
        colormap=settings.colormap,
        min_depth_m=settings.color_min_depth_m,
        max_depth_m=settings.color_max_depth_m,
    )
