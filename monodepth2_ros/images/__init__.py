# SPDX-License-Identifier: Apache-2.0
"""From the bytes of an image message to RGB: every legal layout, and a refusal of every other.

``decode`` takes what a ``sensor_msgs/Image`` says, ``decode_compressed`` what a
``sensor_msgs/CompressedImage`` says; neither needs ROS. Both return uint8 [H, W, 3] in the order
red, green, blue, and raise nothing but ``ImageError``. ``decode_unexpanded`` and
``decode_compressed_unexpanded`` leave grey pictures in one channel.
"""

from __future__ import annotations

from monodepth2_ros.errors import UnsupportedEncodingError
from monodepth2_ros.images.compressed import (
    decode_compressed,
    decode_compressed_unexpanded,
    exact_reduction,
    reducible_size,
    whole_jpeg,
)
from monodepth2_ros.images.messages import DEFAULT_MAX_PIXELS, CompressedImage, RawImage
from monodepth2_ros.images.raw import SUPPORTED_ENCODINGS, decode, decode_unexpanded, rows_of

__all__ = [
    'DEFAULT_MAX_PIXELS',
    'SUPPORTED_ENCODINGS',
    'CompressedImage',
    'RawImage',
    'UnsupportedEncodingError',
    'decode',
    'decode_compressed',
    'decode_compressed_unexpanded',
    'decode_unexpanded',
    'exact_reduction',
    'reducible_size',
    'rows_of',
    'whole_jpeg',
]
