# SPDX-License-Identifier: Apache-2.0
"""Encodings that only cv_bridge knows, decoded by it where it can be imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monodepth2_ros.errors import ImageError
from monodepth2_ros.nodes import messages

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from monodepth2_ros.images import RawImage


def load_decoder() -> Callable[[RawImage], NDArray[np.uint8]] | None:
    """A decoder from any encoding to RGB uint8 [H, W, 3]; None where cv_bridge cannot be used.

    A cv_bridge built for another NumPy fails with AttributeError on import.
    """
    try:
        from cv_bridge import CvBridge, CvBridgeError
    except (ImportError, AttributeError):
        return None
    bridge = CvBridge()

    def decode(image: RawImage) -> NDArray[np.uint8]:
        try:
            pixels = bridge.imgmsg_to_cv2(messages.image_message(image), 'rgb8')
        except (CvBridgeError, RuntimeError, TypeError, ValueError) as err:
            raise ImageError(f'cv_bridge cannot decode {image.encoding!r}: {err}') from err
        return np.ascontiguousarray(pixels, dtype=np.uint8)

    return decode
