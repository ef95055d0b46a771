# SPDX-License-Identifier: Apache-2.0
"""From an RGB image to the network's input: crop to the window, then resize.

Training and inference both resize with ``network_input``, so that a network sees at run time what
it saw in training. The result stays uint8: a quarter of the bytes to upload, and torch resizes
uint8 on the CPU several times faster than float32. The engine divides by 255.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

from monodepth2_ros.errors import ConfigError, ImageError
from monodepth2_ros.geometry.camera import Window


def network_input(
    rgb: NDArray[np.uint8], *, window: Window, width: int, height: int, resize: str
) -> torch.Tensor:
    """Crop an image to a window and resize it to the network's size (half-pixel rule).

    Args:
        rgb: uint8 [H, W, 3]; may be read-only.
        window: the part of the image that the network shall see.
        width: columns of the network's input.
        height: rows of the network's input.
        resize: ``bilinear`` (torch, antialiased) or ``lanczos`` (PIL, as the method's published
            weights were trained); both on uint8.

    Returns:
        uint8 [1, 3, height, width] in channels_last memory format, 0 to 255.

    Raises:
        ImageError: the image is not uint8 [H, W, 3] or the window reaches outside it.
        ConfigError: the resize is not known.
    """
    check_image(rgb, window)
    part = rgb[window.slices]
    return resized(part, width=width, height=height, resize=resize)


def resized(channels: NDArray[np.uint8], *, width: int, height: int, resize: str) -> torch.Tensor:
    """Resize each channel of an image by itself, as ``network_input`` does.

    Args:
        channels: uint8 [H, W, C]; may be read-only.
        width: columns of the result.
        height: rows of the result.
        resize: ``bilinear`` or ``lanczos``.

    Returns:
        uint8 [1, C, height, width] in channels_last memory format, 0 to 255.

    Raises:
        ConfigError: the resize is not known.
    """
    if resize not in _RESIZES:
        raise ConfigError(f'resize {resize!r} is not known: expected one of {", ".join(_RESIZES)}')
    return _RESIZES[resize](channels, width, height)


def full_window(rgb: NDArray[np.uint8]) -> Window:
    """The window that covers a whole image [H, W, ...]."""
    return Window(x=0, y=0, width=rgb.shape[1], height=rgb.shape[0])


def check_image(rgb: NDArray[np.uint8], window: Window) -> None:
    """Refuse arrays that are no RGB image and windows that do not lie inside it.

    Raises:
        ImageError: naming the shape or the window.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ImageError(
            f'array {rgb.dtype}{list(rgb.shape)} is no image: expected uint8 [height, width, 3]'
        )
    inside_x = window.x >= 0 and 0 < window.width <= rgb.shape[1] - window.x
    inside_y = window.y >= 0 and 0 < window.height <= rgb.shape[0] - window.y
    if not (inside_x and inside_y):
        raise ImageError(
            f'window {window.width}x{window.height} at ({window.x}, {window.y}) does not lie '
            f'inside the image of {rgb.shape[1]}x{rgb.shape[0]} pixels'
        )


def _bilinear(rgb: NDArray[np.uint8], width: int, height: int) -> torch.Tensor:
    """Antialiased bilinear resize of uint8 [H, W, C]; exact identity at equal sizes."""
    usable = rgb.flags.writeable and min(rgb.strides) > 0
    image = torch.from_numpy(rgb if usable else rgb.copy())[None].permute(0, 3, 1, 2)
    if rgb.shape[:2] != (height, width):
        image = functional.interpolate(
            image, size=(height, width), mode='bilinear', antialias=True, align_corners=False
        )
    return image.contiguous(memory_format=torch.channels_last)


def _lanczos(rgb: NDArray[np.uint8], width: int, height: int) -> torch.Tensor:
    """Lanczos resize of uint8 [H, W, C] by PIL."""
    if rgb.shape[2] == 3:
        resized_rgb = _by_pil(rgb, width, height)
    else:
        # PIL would take four channels for a picture and its transparency.
        resized_rgb = np.dstack(
            [_by_pil(plane, width, height) for plane in np.moveaxis(rgb, 2, 0)]
        )
    return torch.from_numpy(resized_rgb)[None].permute(0, 3, 1, 2)


def _by_pil(picture: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    image = Image.fromarray(np.ascontiguousarray(picture))
    return np.array(image.resize((width, height), Image.Resampling.LANCZOS))


_RESIZES = {'bilinear': _bilinear, 'lanczos': _lanczos}
