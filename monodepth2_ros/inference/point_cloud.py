# SPDX-License-Identifier: Apache-2.0
"""Depth and colours as the bytes of an organised PointCloud2, in depth_image_proc's layout.

Each point takes 32 bytes, little endian: x at 0, y at 4, z at 8 as float32 metres in the camera's
optical frame, at 16 a float32 whose bytes are blue, green, red, 0; all others are zero. Stride s
keeps columns and rows 0, s, 2s, ... of the image.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import ConfigError, ImageError
from monodepth2_ros.geometry.camera import PinholeCamera
from monodepth2_ros.geometry.projection import pixel_rays

POINT_STEP = 32
"""Bytes of one point."""

FIELD_OFFSETS = {'x': 0, 'y': 4, 'z': 8, 'rgb': 16}
"""Where each float32 field lies within a point, in bytes."""

_RGB_TO_BGR0 = (0, 2, 1, 1, 2, 0)


def cloud_size(width: int, height: int, stride: int) -> tuple[int, int]:
    """Rows and columns of the cloud of an image of ``width`` x ``height`` pixels."""
    return -(-height // stride), -(-width // stride)


def pack_xyzrgb(
    depth: NDArray[np.float32], camera: PinholeCamera, rgb: NDArray[np.uint8], *, stride: int = 1
) -> NDArray[np.uint8]:
    """Pack one cloud into a new array; see ``PointCloudPacker.pack``."""
    return PointCloudPacker(camera, stride=stride).pack(depth, rgb)


class PointCloudPacker:
    """Packs the clouds of one camera at one stride; rays and buffer are made once."""

    def __init__(self, camera: PinholeCamera, *, stride: int = 1) -> None:
        """Compute the rays and allocate the buffer.

        Raises:
            ConfigError: the stride is not positive.
        """
        if stride < 1:
            raise ConfigError(f'cloud stride {stride} is not usable: expected 1 or more pixels')
        self.camera = camera
        self.stride = stride
        rays = pixel_rays(camera)
        self._x_over_z = rays[0, ::stride, 0].copy()
        self._y_over_z = rays[::stride, 0, 1].copy()[:, None]
        rows, columns = cloud_size(camera.width, camera.height, stride)
        self._bytes = np.zeros((rows, columns * POINT_STEP), np.uint8)
        self._floats = self._bytes.view('<f4').reshape(rows, columns, POINT_STEP // 4)
        self._z = np.empty((rows, columns), np.float32)
        self._bgr0 = np.zeros((rows, columns, 4), np.uint8)

    def pack(self, depth: NDArray[np.float32], rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Pack one image's depth and colours.

        Args:
            depth: float32 [H, W] in metres, of the camera's size.
            rgb: uint8 [H, W, 3] of the same size.

        Returns:
            uint8 [rows, columns * 32], the buffer of this packer: valid until the next call. x, y
            and z are NaN where depth is not finite; colours are always there.

        Raises:
            ImageError: depth or colours are not of the camera's size.
        """
        self._check(depth, rgb)
        stride, z = self.stride, self._z
        np.copyto(z, depth[::stride, ::stride])
        z[~np.isfinite(z)] = np.nan
        np.multiply(z, self._x_over_z, out=self._floats[..., 0])
        np.multiply(z, self._y_over_z, out=self._floats[..., 1])
        self._floats[..., 2] = z
        colours = np.ascontiguousarray(rgb[::stride, ::stride])
        cv2.mixChannels([colours], [self._bgr0], _RGB_TO_BGR0)
        self._floats[..., 4] = self._bgr0.view('<f4')[..., 0]
        return self._bytes

    def _check(self, depth: NDArray[np.float32], rgb: NDArray[np.uint8]) -> None:
        """Refuse arrays of another size than the camera's."""
        size = (self.camera.height, self.camera.width)
        if depth.shape != size or rgb.shape != (*size, 3):
            raise ImageError(
                f'depth {list(depth.shape)} and colours {list(rgb.shape)} do not fit the camera: '
                f'expected {list(size)} and {[*size, 3]}'
            )
