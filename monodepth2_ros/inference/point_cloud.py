# SPDX-License-Identifier: Apache-2.0
"""Depth and colours as the bytes of an organised PointCloud2, in one of a few layouts.

A point begins with x, y, z: float32 metres in the camera's optical frame, little endian. A colour
is a float32 whose bytes are blue, green, red, 0; bytes between the fields are zero. Stride s keeps
columns and rows 0, s, 2s, ... of the depth image.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import ConfigError, ImageError
from monodepth2_ros.geometry.camera import PinholeCamera
from monodepth2_ros.geometry.projection import pixel_rays


@dataclass(frozen=True, kw_only=True)
class PointLayout:
    """Where the float32 fields of a point lie."""

    offsets: tuple[tuple[str, int], ...]
    """Name and first byte of each field."""
    step: int
    """Bytes of one point."""

    @property
    def rgb_float(self) -> int | None:
        """Index of the colour among the floats of a point; None without colour."""
        return next((first // 4 for name, first in self.offsets if name == 'rgb'), None)


_XYZ = (('x', 0), ('y', 4), ('z', 8))
LAYOUTS = {
    'xyzrgb': PointLayout(offsets=(*_XYZ, ('rgb', 16)), step=32),
    'xyzrgb_compact': PointLayout(offsets=(*_XYZ, ('rgb', 12)), step=16),
    'xyz': PointLayout(offsets=_XYZ, step=12),
}
"""What a point can hold: laid out as by depth_image_proc, the same without gaps, no colour."""

_BGR = np.uint32(0x00FFFFFF)
"""The bytes of a colour without those of its opacity, little endian."""


@dataclass(frozen=True, kw_only=True)
class PackedCloud:
    """The bytes of one cloud."""

    data: NDArray[np.uint8] = field(repr=False)
    """uint8 [rows, columns * layout.step]."""
    layout: PointLayout
    """Where a point's fields lie."""


def cloud_size(width: int, height: int, stride: int) -> tuple[int, int]:
    """Rows and columns of the cloud of an image of ``width`` x ``height`` pixels."""
    return -(-height // stride), -(-width // stride)


def pack_cloud(
    depth: NDArray[np.float32],
    camera: PinholeCamera,
    rgb: NDArray[np.uint8] | None,
    *,
    stride: int = 1,
    fields: str = 'xyzrgb',
) -> PackedCloud:
    """Pack one cloud into a new array; see ``PointCloudPacker.pack``."""
    return PointCloudPacker(camera, stride=stride, fields=fields).pack(depth, rgb)


class PointCloudPacker:
    """Packs the clouds of one camera at one stride; rays and buffer are made once."""

    def __init__(self, camera: PinholeCamera, *, stride: int = 1, fields: str = 'xyzrgb') -> None:
        """Compute the rays and allocate the buffer.

        Raises:
            ConfigError: the stride is not positive, or no layout has that name.
        """
        if stride < 1:
            raise ConfigError(f'cloud stride {stride} is not usable: expected 1 or more pixels')
        if fields not in LAYOUTS:
            raise ConfigError(
                f'cloud fields {fields!r} are not known: expected one of {", ".join(LAYOUTS)}'
            )
        self.key = (camera, stride, fields)
        self._camera, self._stride, self._layout = camera, stride, LAYOUTS[fields]
        rays = pixel_rays(camera)
        self._x_over_z = rays[0, ::stride, 0].copy()
        self._y_over_z = rays[::stride, 0, 1].copy()[:, None]
        rows, columns = cloud_size(camera.width, camera.height, stride)
        step = self._layout.step
        self._bytes = np.zeros((rows, columns * step), np.uint8)
        self._points = self._bytes.view('<f4').reshape(rows, columns, step // 4)
        self._fields = np.zeros((step // 4, rows, columns), np.float32)

    def pack(
        self, depth: NDArray[np.float32], rgb: NDArray[np.uint8] | None = None
    ) -> PackedCloud:
        """Pack one image's depth and colours.

        Args:
            depth: float32 [H, W] in metres, of the camera's size.
            rgb: uint8 [H, W, 3] of the same size; not looked at by a layout without colour.

        Returns:
            the cloud, in the buffer of this packer: valid until the next call. x, y and z are NaN
            where depth is not finite; colours are always there.

        Raises:
            ImageError: depth or colours are not of the camera's size.
        """
        index = self._layout.rgb_float
        self._check(depth, rgb if index is not None else None)
        stride, (x, y, z) = self._stride, self._fields[:3]
        np.copyto(z, depth[::stride, ::stride])
        z[~np.isfinite(z)] = np.nan
        np.multiply(z, self._x_over_z, out=x)
        np.multiply(z, self._y_over_z, out=y)
        if index is not None and rgb is not None:
            bgra = cv2.cvtColor(rgb[::stride], cv2.COLOR_RGB2BGRA).view('<u4')[:, ::stride, 0]
            np.bitwise_and(bgra, _BGR, out=self._fields[index].view('<u4'))
        cv2.merge(list(self._fields), self._points)
        return PackedCloud(data=self._bytes, layout=self._layout)

    def _check(self, depth: NDArray[np.float32], rgb: NDArray[np.uint8] | None) -> None:
        """Refuse arrays of another size than the camera's."""
        size = (self._camera.height, self._camera.width)
        colours = None if self._layout.rgb_float is None else (*size, 3)
        if depth.shape != size or (rgb.shape if rgb is not None else None) != colours:
            came = None if rgb is None else list(rgb.shape)
            raise ImageError(
                f'depth {list(depth.shape)} and colours {came} do not fit the camera: '
                f'expected {list(size)} and {colours and list(colours)}'
            )
