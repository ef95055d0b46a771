# SPDX-License-Identifier: Apache-2.0
"""Image files as RGB, decoded by PIL as in the method's reference implementation.

Pixels keep the order in which they are stored: an EXIF orientation is not applied, so that depth
lines up with the file.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from monodepth2_ros.errors import ImageError
from monodepth2_ros.images import DEFAULT_MAX_PIXELS
from monodepth2_ros.images.messages import check_size
from monodepth2_ros.images.pixels import grey

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_SIXTEEN_BITS = 65535


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read an image file of 8 or 16 bits, gray, colour, palette or with alpha, which is dropped.

    Returns:
        RGB uint8 [H, W, 3]; 16-bit gray v becomes round(v / 257).

    Raises:
        ImageError: the file is missing, no image, damaged, too large or of another pixel type.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            with Image.open(path) as picture:
                check_size(picture.width, picture.height, DEFAULT_MAX_PIXELS)
                return _rgb(picture)
    except FileNotFoundError as err:
        raise ImageError(f'{path} does not exist: expected an image file') from err
    except ImageError as err:
        raise ImageError(f'{path}: {err}') from err
    except Exception as err:
        # What PIL raises of a damaged file is as manifold as its formats.
        raise ImageError(f'{path} is no image that can be read: {err}') from err


def _rgb(picture: Image.Image) -> NDArray[np.uint8]:
    """Convert to RGB uint8 [H, W, 3]."""
    if picture.mode.startswith('I'):
        samples = np.asarray(picture)
        if samples.min() < 0 or samples.max() > _SIXTEEN_BITS:
            raise ImageError('its values do not fit into 16 bits: expected 0 to 65535')
        return grey(samples.astype(np.uint16))
    if picture.mode == 'F':
        raise ImageError('its pixels are floating-point numbers: expected 8 or 16 bits')
    return np.array(picture.convert('RGB'))
