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
from monodepth2_ros.inference.point_cloud import LAYOUTS, PackedCloud

if TYPE_CHECKING:
    from std_msgs.msg import Header

_BIG_ENDIAN = sys.byteorder == 'big'
_FIELDS = {
    layout: [
        PointField(name=name, offset=offset, datatype=PointField.FLOAT32, count=1)
        for name, offset in layout.offsets
    ]
    for layout in LAYOUTS.values()
}


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


def depth_message(
    depth: NDArray[np.float32] | NDArray[np.uint16], header: Header, used: Image | None = None
) -> Image:
    """Depth [H, W] as an image message: float32 in metres as 32FC1, uint16 in mm as 16UC1.

    ``used`` is a message already sent, whose memory is filled anew; None makes one.
    """
    return _image(depth, header, '32FC1' if depth.dtype == np.float32 else '16UC1', used)


def color_message(color: NDArray[np.uint8], header: Header, used: Image | None = None) -> Image:
    """Colours uint8 [H, W, 3] in the order blue, green, red as bgr8, in ``used`` if given."""
    return _image(color, header, 'bgr8', used)


def cloud_message(
    cloud: PackedCloud, header: Header, used: PointCloud2 | None = None
) -> PointCloud2:
    """An organised cloud from packed points; in ``used``, a message already sent, if given."""
    rows, row_step = cloud.data.shape
    layout = cloud.layout
    message = PointCloud2() if used is None else used
    message.header = header
    message.height, message.width = rows, row_step // layout.step
    message.fields = list(_FIELDS[layout])
    message.is_bigendian = _BIG_ENDIAN
    message.point_step, message.row_step = layout.step, row_step
    message.is_dense = False
    _fill(message, cloud.data)
    return message


def _image(pixels: NDArray[Any], header: Header, encoding: str, used: Image | None) -> Image:
    message = Image() if used is None else used
    message.header, message.encoding = header, encoding
    message.height, message.width = pixels.shape[:2]
    message.step = pixels[0].nbytes
    message.is_bigendian = int(_BIG_ENDIAN)
    _fill(message, pixels)
    return message


def _fill(message: Image | PointCloud2, values: NDArray[Any]) -> None:
    """Copy into the message's own memory where it has the right size: new pages are dear."""
    if isinstance(message.data, array.array) and len(message.data) == values.nbytes > 0:
        own: NDArray[Any] = np.frombuffer(message.data, values.dtype).reshape(values.shape)
        np.copyto(own, values)
    else:
        message.data = _bytes(values)


def _bytes(values: NDArray[Any]) -> array.array[int]:
    data = array.array('B')
    data.frombytes(np.ascontiguousarray(values).data.cast('B'))
    return data
