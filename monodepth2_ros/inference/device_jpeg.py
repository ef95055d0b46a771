# SPDX-License-Identifier: Apache-2.0
"""Decode JPEG messages on the device that computes their depth: on a GPU by nvJPEG.

nvJPEG does not tell of damage inside a picture, as the decoder on the CPU does. It is given only
pictures whose header and end are whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import simplejpeg
import torch
from numpy.typing import NDArray

from monodepth2_ros.errors import DeviceError, ImageError, first_line
from monodepth2_ros.images import CompressedImage, whole_jpeg
from monodepth2_ros.optional_packages import load_package

if TYPE_CHECKING:
    from collections.abc import Callable

_TRIAL_SIDE = 16


class DeviceJpegDecoder:
    """Decodes on one device, in one thread."""

    def __init__(self, device: torch.device) -> None:
        """Decode a trial picture, so that what is missing is found before the first frame.

        Raises:
            DeviceError: there is no torchvision, or one that cannot do this.
        """
        io = load_package('torchvision.io', cannot='JPEGs cannot be decoded', error=DeviceError)
        self._device = device
        trial = np.zeros((_TRIAL_SIDE, _TRIAL_SIDE, 3), np.uint8)
        try:
            # torchvision 0.29 says that a later one will do without these.
            self._mode = io.ImageReadMode.RGB
            self._decode: Callable[..., torch.Tensor] = io.decode_jpeg
            self._rgb(np.frombuffer(simplejpeg.encode_jpeg(trial), np.uint8))
        except (AttributeError, RuntimeError) as err:
            raise DeviceError(
                f'torchvision cannot decode JPEGs on {device} ({first_line(err)}): install its '
                'CUDA build, or set jpeg_decoder to cpu'
            ) from err

    def rows(self, image: CompressedImage, *, max_pixels: int) -> torch.Tensor | None:
        """Decode a message.

        Args:
            image: its fields.
            max_pixels: larger pictures are refused.

        Returns:
            RGB uint8 [H, 3 W] on the device; None for all that ``whole_jpeg`` does not pass.

        Raises:
            ImageError: it cannot be decoded.
            RuntimeError: the device failed.
        """
        data = whole_jpeg(image, max_pixels=max_pixels)
        if data is None:
            return None
        try:
            return self._rgb(data).permute(1, 2, 0).flatten(1)
        except RuntimeError as err:
            # What hit the device itself is no fault of the picture.
            if isinstance(err, torch.cuda.OutOfMemoryError) or 'CUDA error' in str(err):
                raise
            raise ImageError(
                f'JPEG of {data.size} bytes cannot be decoded on {self._device}: {first_line(err)}'
            ) from err

    def _rgb(self, data: NDArray[np.uint8]) -> torch.Tensor:
        """RGB uint8 [3, H, W] on the device."""
        stored = torch.from_numpy(np.require(data, np.uint8, ['C', 'W']))
        return self._decode(stored, mode=self._mode, device=self._device)
