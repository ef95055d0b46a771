# SPDX-License-Identifier: Apache-2.0
"""A whole frame as one PyTorch module: the image's bytes in, depth and the cloud's bytes out.

The same steps as ``pipeline``, in the same order, but all on one device and without a look at any
value, so that a GPU runs them as one captured graph. Brightness may differ by one step of 255
where a rectified or resized pixel lies between two, and depth accordingly.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from monodepth2_ros.geometry.depth import DepthRange, disparity_to_inverse_depth
from monodepth2_ros.geometry.projection import pixel_rays
from monodepth2_ros.inference.postprocess import MAX_RATIO, upsampling_sources

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monodepth2_ros.geometry.rectification import Rectifier
    from monodepth2_ros.inference.engines.program import Network
    from monodepth2_ros.inference.point_cloud import PointLayout
    from monodepth2_ros.inference.views import View

CHANNELS = {
    'rgb8': (0, 1, 2),
    'bgr8': (2, 1, 0),
    'rgba8': (0, 1, 2),
    'bgra8': (2, 1, 0),
    'mono8': (0, 0, 0),
    '8UC1': (0, 0, 0),
    '8UC3': (2, 1, 0),
    '8UC4': (2, 1, 0),
}
"""Encodings that a program reads itself: where red, green and blue lie within a pixel."""


@dataclass(frozen=True, kw_only=True)
class FramePlan:
    """All that is the same for every frame of one camera."""

    encoding: str
    """One of ``CHANNELS``."""
    view: View = field(repr=False)
    """Size, rectification, window and camera."""
    size: tuple[int, int]
    """Width and height of the network's input."""
    depth_range: DepthRange
    """Depths at disparity 1 and 0."""
    cloud: PointLayout | None
    """Layout of the points; None for no cloud."""
    stride: int
    """Every how many pixels there is a point."""


class FrameProgram(nn.Module):
    """Computes the frames of one camera; all tensors on the device of ``network``."""

    def __init__(self, network: Network, plan: FramePlan, device: torch.device) -> None:
        """Prepare the maps.

        Args:
            network: disparity of an image.
            plan: what all frames have in common.
            device: where the network runs.
        """
        super().__init__()
        self._network, self._plan = network, plan
        view, window = plan.view, plan.view.window
        rows, blocks_y = upsampling_sources(window.height, plan.size[1])
        columns, blocks_x = upsampling_sources(window.width, plan.size[0])
        tables: dict[str, NDArray[Any]] = {
            'rows': rows,
            'columns': columns,
            'blocks_y': blocks_y,
            'blocks_x': blocks_x,
        }
        tables['channels'] = np.array(CHANNELS[plan.encoding])
        if view.rectifier is not None:
            tables |= {'grid': _grid(view.rectifier), 'invalid': ~view.rectifier.valid}
        if plan.cloud is not None and view.camera is not None:
            rays = pixel_rays(view.camera)[:: plan.stride, :: plan.stride]
            tables['rays'] = np.dstack((rays, np.ones(rays.shape[:2], np.float32)))
        for name, table in tables.items():
            self.register_buffer(name, torch.as_tensor(table).to(device), persistent=False)

    def forward(self, data: torch.Tensor, limits: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Compute a frame.

        Args:
            data: uint8 [H, bytes of a row], the image without the padding of its rows.
            limits: float32 [3]: metres per network unit, least and greatest depth in metres.

        Returns:
            depth float32 [H, W] with its marks, the network's input uint8 [1, 3, h, w], disparity
            float32 [h, w], and the cloud uint8 [rows, columns * step] if there is one.
        """
        rgb = self._rectified(self._decoded(data))
        seen = self._seen(rgb)
        disparity = self._network(seen)[0, 0]
        depth = self._depth(disparity, limits)
        results = (depth, seen, disparity)
        return (*results, self._cloud(depth, rgb)) if 'rays' in self._buffers else results

    def _decoded(self, data: torch.Tensor) -> torch.Tensor:
        """RGB float32 [1, 3, H, W], 0 to 255."""
        pixels = data.view(data.shape[0], self._plan.view.width, -1)
        return pixels.permute(2, 0, 1)[self.get_buffer('channels')][None].float()

    def _rectified(self, rgb: torch.Tensor) -> torch.Tensor:
        if 'grid' not in self._buffers:
            return rgb
        grid = self.get_buffer('grid')
        return _rounded(functional.grid_sample(rgb, grid, align_corners=False))

    def _seen(self, rgb: torch.Tensor) -> torch.Tensor:
        """The window at the network's size, uint8 [1, 3, h, w]."""
        window, (width, height) = self._plan.view.window, self._plan.size
        rows, columns = window.slices
        part = rgb[..., rows, columns]
        if (window.width, window.height) != (width, height):
            part = functional.interpolate(
                part, size=(height, width), mode='bilinear', antialias=True, align_corners=False
            )
        return _rounded(part).to(torch.uint8, memory_format=torch.channels_last)

    def _depth(self, disparity: torch.Tensor, limits: torch.Tensor) -> torch.Tensor:
        """Depth with its marks; see ``estimator.DepthEstimator.depth`` and ``mark_invalid``."""
        view, window = self._plan.view, self._plan.view.window
        scale, least, greatest = limits.unbind()
        inverse = disparity_to_inverse_depth(disparity, self._plan.depth_range)
        depth = scale / self._upsampled(inverse)
        depth = torch.where(depth < least, -torch.inf, depth)
        depth = torch.where(depth >= greatest, torch.inf, depth)
        if (window.width, window.height) != (view.width, view.height):
            right = view.width - window.x - window.width
            bottom = view.height - window.y - window.height
            sides = (window.x, right, window.y, bottom)
            depth = functional.pad(depth, sides, value=torch.nan)
        if 'invalid' in self._buffers:
            depth = depth.masked_fill(self.get_buffer('invalid'), torch.nan)
        return depth

    def _upsampled(self, inverse: torch.Tensor) -> torch.Tensor:
        """Inverse depth at the window's size; see ``upsample_inverse_depth``."""
        window = self._plan.view.window
        if inverse.shape == (window.height, window.width):
            return inverse
        maps = inverse[None, None]
        smooth = functional.interpolate(
            maps, size=(window.height, window.width), mode='bilinear', align_corners=False
        )[0, 0]
        padded = functional.pad(maps, (1, 1, 1, 1), mode='replicate')
        high = functional.max_pool2d(padded, 2, stride=1)
        low = -functional.max_pool2d(-padded, 2, stride=1)
        jumps = (high > MAX_RATIO * low)[0, 0]
        nearest = inverse[self.get_buffer('rows')][:, self.get_buffer('columns')]
        at_jump = jumps[self.get_buffer('blocks_y')][:, self.get_buffer('blocks_x')]
        return torch.where(at_jump, nearest, smooth)

    def _cloud(self, depth: torch.Tensor, rgb: torch.Tensor) -> torch.Tensor:
        """The cloud's bytes; see ``point_cloud``. Floats travel as integers, bit by bit."""
        layout, stride = self._plan.cloud, self._plan.stride
        step = layout.step if layout else 0
        z = depth[::stride, ::stride]
        z = torch.where(z.isfinite(), z, torch.nan)
        cloud = torch.zeros((*z.shape, step // 4), dtype=torch.int32, device=z.device)
        points = self.get_buffer('rays') * z[..., None]
        cloud[..., :3] = points.contiguous().view(torch.int32)
        if layout is not None and layout.rgb_float is not None:
            red, green, blue = rgb[0, :, ::stride, ::stride].to(torch.int32)
            cloud[..., layout.rgb_float] = blue | green << 8 | red << 16
        return cloud.view(torch.uint8).flatten(1)


def _grid(rectifier: Rectifier) -> NDArray[np.float32]:
    """Where ``grid_sample`` finds the pixels of a rectified image, float32 [1, H, W, 2]."""
    size = (rectifier.camera.width, rectifier.camera.height)
    sources_px = rectifier.sources_px().astype(np.float64)
    return ((2.0 * sources_px + 1.0) / size - 1.0).astype(np.float32)[None]


def _rounded(rgb: torch.Tensor) -> torch.Tensor:
    """Whole numbers from 0 to 255, halves up."""
    return (rgb + 0.5).floor().clamp(0.0, 255.0)
