# SPDX-License-Identifier: Apache-2.0
"""ROS messages to the core's dataclasses and back, without a copy where one can be avoided.

Bytes enter messages only through ``array.array``: every other type is checked element by element
on some ROS distribution, which takes a second for one image.
"""

from __future__ import annotations

import array
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from sensor_msgs.msg import CompressedImage as CompressedImageMessage

from monodepth2_ros.geometry.camera import IDENTITY_3X3, CameraCalibration, PinholeCamera, Window
from monodepth2_ros.images import CompressedImage, RawImage
from monodepth2_ros.inference.point_cloud import FIELD_OFFSETS, POINT_STEP

if TYPE_CHECKING:
    from std_msgs.msg import Header

_BIG_ENDIAN = sys.byteorder == 'big'
_FIELDS = [
    PointField(name=name, offset=offset, datatype=PointField.FLOAT32, count=1)
    for name, offset in FIELD_OFFSETS.items()
]


def stamp_ns(header: Header) -> int:
    """The header's stamp in nanoseconds."""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


def raw_image(message: Image) -> RawImage:
    """The image that the message describes; shares its bytes."""
    return RawImage(
        height=message.height,
        width=message.width,
        encoding=message.encoding,
        step=message.step,
        is_bigendian=bool(message.is_bigendian),
        data=message.data,
    )


def compressed_image(message: CompressedImageMessage) -> CompressedImage:
    """The compressed image in the message; shares its bytes."""
    return CompressedImage(format=message.format, data=message.data)


def image_message(image: RawImage) -> Image:
    """The message that describes ``image``, without header."""
    message = Image(height=image.height, width=image.width, encoding=image.encoding)
    message.step = image.step
    message.is_bigendian = int(image.is_bigendian)
    message.data = _bytes(np.frombuffer(image.data, np.uint8))
    return message


def calibration(message: CameraInfo) -> CameraCalibration:
    """What a camera_info says, unchecked."""
    roi = message.roi
    return CameraCalibration(
        width=message.width,
        height=message.height,
        distortion_model=message.distortion_model,
        D=tuple(float(v) for v in message.d),
        K=tuple(float(v) for v in message.k),
        R=tuple(float(v) for v in message.r),
        P=tuple(float(v) for v in message.p),
        binning_x=message.binning_x,
        binning_y=message.binning_y,
        roi=Window(x=roi.x_offset, y=roi.y_offset, width=roi.width, height=roi.height),
    )


def camera_info_message(camera: PinholeCamera, header: Header) -> CameraInfo:
    """The camera_info of an image without distortion that ``camera`` took."""
    message = CameraInfo(header=header, width=camera.width, height=camera.height)
    message.distortion_model = 'plumb_bob'
    message.d = [0.0] * 5
    fx, fy, cx, cy = (float(v) for v in (camera.fx_px, camera.fy_px, camera.cx_px, camera.cy_px))
    message.k = [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]
    message.r = list(IDENTITY_3X3)
    message.p = [fx, 0.0, cx, float(camera.tx_px_m), 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    return message


def depth_message(depth: NDArray[np.float32] | NDArray[np.uint16], header: Header) -> Image:
    """Depth [H, W] as an image message: float32 in metres as 32FC1, uint16 in mm as 16UC1."""
    return _image(depth, header, '32FC1' if depth.dtype == np.float32 else '16UC1')


def color_message(color: NDArray[np.uint8], header: Header) -> Image:
    """Colours uint8 [H, W, 3] in the order blue, green, red as a bgr8 message."""
    return _image(color, header, 'bgr8')


def cloud_message(points: NDArray[np.uint8], header: Header) -> PointCloud2:
    """An organised cloud from packed points uint8 [rows, columns * 32]."""
    rows, row_step = points.shape
    message = PointCloud2(header=header, height=rows, width=row_step // POINT_STEP)
    message.fields = list(_FIELDS)
    message.is_bigendian = _BIG_ENDIAN
    message.point_step = POINT_STEP
    message.row_step = row_step
    message.is_dense = False
    message.data = _bytes(points)
    return message


def _image(pixels: NDArray[Any], header: Header, encoding: str) -> Image:
    height, width = pixels.shape[:2]
    message = Image(header=header, height=height, width=width, encoding=encoding)
    message.step = pixels.strides[0] if pixels.flags.c_contiguous else width * pixels[0, 0].nbytes
    message.is_bigendian = int(_BIG_ENDIAN)
    message.data = _bytes(pixels)
    return message


def _bytes(values: NDArray[Any]) -> array.array[int]:
    data = array.array('B')
    data.frombytes(np.ascontiguousarray(values).data.cast('B'))
    return data
