# SPDX-License-Identifier: Apache-2.0
"""Camera messages in CDR, read and written without ROS, and stamps patched in place.

Every message that begins with a ``std_msgs/Header`` has its stamp at bytes 4 to 12, after the
encapsulation header.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

from monodepth2_ros.errors import RecordingError
from monodepth2_ros.geometry.camera import CameraCalibration, Window
from monodepth2_ros.images import CompressedImage, RawImage
from monodepth2_ros.recordings.messages import (
    CAMERA_INFO_TYPE,
    COMPRESSED_IMAGE_TYPE,
    IMAGE_TYPE,
    Message,
)

TRANSFORMS_TYPE = 'tf2_msgs/msg/TFMessage'
"""Transforms, each with a header of its own."""

_STAMP_OFFSET = 4
_STAMP_END = 12


@lru_cache(maxsize=1)
def typestore() -> Typestore:
    """The message types of ROS 2 Jazzy, to serialise and deserialise with."""
    return get_typestore(Stores.ROS2_JAZZY)


def known_type(type_name: str) -> bool:
    """Whether this layer holds the definition of a message type."""
    return type_name in typestore().fielddefs


@lru_cache(maxsize=256)
def begins_with_header(type_name: str) -> bool:
    """Whether messages of this type carry a stamp in a leading header; False for unknown types."""
    fields = typestore().fielddefs.get(type_name, ((), ()))[1]
    return bool(fields) and fields[0][1][1] == 'std_msgs/msg/Header'


def header_stamp_ns(data: bytes) -> int:
    """Stamp of a message that begins with a header, in ns.

    Raises:
        RecordingError: fewer than 12 bytes.
    """
    if len(data) < _STAMP_END:
        raise RecordingError(
            f'a message of {len(data)} bytes holds no header: expected 12 or more'
        )
    seconds, nanoseconds = struct.unpack_from(_stamp_format(data), data, _STAMP_OFFSET)
    return int(seconds) * 10**9 + int(nanoseconds)


def header_frame_id(data: bytes) -> str:
    """Frame of a message that begins with a header.

    Raises:
        RecordingError: the bytes end before the frame does.
    """
    end = _STAMP_END + 4
    length = int.from_bytes(data[_STAMP_END:end], 'little' if _is_little(data) else 'big')
    if length < 1 or len(data) < end + length:
        raise RecordingError(f'a message of {len(data)} bytes holds no frame_id')
    return data[end : end + length - 1].decode('utf-8', 'replace')


def restamped(data: bytes, stamp_ns: int) -> bytes:
    """The same message with another header stamp; it must begin with a header."""
    stamp = struct.pack(_stamp_format(data), *divmod(stamp_ns, 10**9))
    return b''.join((data[:_STAMP_OFFSET], stamp, memoryview(data)[_STAMP_END:]))


def restamped_transforms(message: Message, restamp: Callable[[int], int]) -> bytes:
    """The same ``tf2_msgs/TFMessage`` with another stamp in each transform's header.

    Raises:
        RecordingError: the bytes are no TFMessage.
    """
    content = parse(message)
    for transform in content.transforms:
        old = transform.header
        stamp_ns = restamp(old.stamp.sec * 10**9 + old.stamp.nanosec)
        transform.header = header(stamp_ns, old.frame_id)
    return serialize(content, TRANSFORMS_TYPE)


def _stamp_format(data: bytes) -> str:
    return '<iI' if _is_little(data) else '>iI'


def _is_little(data: bytes) -> bool:
    """The byte order of a message: the lowest bit of its representation."""
    return bool(data[1:2] and data[1] & 1)


def parse(message: Message) -> Any:
    """Deserialise a message of a known type.

    Raises:
        RecordingError: an unknown type, or bytes that are no such message.
    """
    if not known_type(message.type):
        raise RecordingError(
            f'{message.topic}: no definition of the message type {message.type!r}'
        )
    try:
        return typestore().deserialize_cdr(message.data, message.type)
    except Exception as err:
        raise RecordingError(
            f'{message.topic}: {len(message.data)} bytes at {message.stamp_ns} ns are no '
            f'{message.type}: {err}'
        ) from err


def serialize(content: object, type_name: str) -> bytes:
    """CDR bytes of a message object from :func:`typestore`."""
    return bytes(typestore().serialize_cdr(content, type_name))


def header(stamp_ns: int, frame_id: str) -> Any:
    """A ``std_msgs/Header`` object."""
    types = typestore().types
    seconds, nanoseconds = divmod(stamp_ns, 10**9)
    stamp = types['builtin_interfaces/msg/Time'](sec=seconds, nanosec=nanoseconds)
    return types['std_msgs/msg/Header'](stamp=stamp, frame_id=frame_id)


def image(pixels: NDArray[Any], *, encoding: str, stamp_ns: int, frame_id: str) -> bytes:
    """A ``sensor_msgs/Image`` of an array [H, W] or [H, W, C] in the encoding's own type."""
    rows = np.ascontiguousarray(pixels)
    content = typestore().types[IMAGE_TYPE](
        header=header(stamp_ns, frame_id),
        height=rows.shape[0],
        width=rows.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=rows.strides[0],
        data=rows.reshape(-1).view(np.uint8),
    )
    return serialize(content, IMAGE_TYPE)


def camera_info(calibration: CameraCalibration, *, stamp_ns: int, frame_id: str) -> bytes:
    """A ``sensor_msgs/CameraInfo`` of a calibration."""
    types = typestore().types
    roi = calibration.roi
    content = types[CAMERA_INFO_TYPE](
        header=header(stamp_ns, frame_id),
        height=calibration.height,
        width=calibration.width,
        distortion_model=calibration.distortion_model,
        d=np.array(calibration.D, np.float64),
        k=np.array(calibration.K, np.float64),
        r=np.array(calibration.R, np.float64),
        p=np.array(calibration.P, np.float64),
        binning_x=calibration.binning_x,
        binning_y=calibration.binning_y,
        roi=types['sensor_msgs/msg/RegionOfInterest'](
            x_offset=roi.x, y_offset=roi.y, height=roi.height, width=roi.width, do_rectify=False
        ),
    )
    return serialize(content, CAMERA_INFO_TYPE)


def parse_calibration(message: Message) -> CameraCalibration:
    """The calibration in a ``sensor_msgs/CameraInfo`` message, unchecked.

    Raises:
        RecordingError: the bytes are no CameraInfo.
    """
    info = parse(message)
    roi = info.roi
    return CameraCalibration(
        width=int(info.width),
        height=int(info.height),
        distortion_model=str(info.distortion_model),
        D=tuple(map(float, info.d)),
        K=tuple(map(float, info.k)),
        R=tuple(map(float, info.r)),
        P=tuple(map(float, info.p)),
        binning_x=int(info.binning_x),
        binning_y=int(info.binning_y),
        roi=Window(x=roi.x_offset, y=roi.y_offset, width=roi.width, height=roi.height),
    )


def parse_image(message: Message) -> RawImage | CompressedImage:
    """The image in a ``sensor_msgs/Image`` or ``CompressedImage`` message, unchecked.

    Raises:
        RecordingError: another type, or bytes that are no such message.
    """
    if message.type not in (IMAGE_TYPE, COMPRESSED_IMAGE_TYPE):
        raise RecordingError(f'{message.topic} holds {message.type}, expected camera images')
    content = parse(message)
    if message.type == COMPRESSED_IMAGE_TYPE:
        return CompressedImage(format=content.format, data=content.data)
    return RawImage(
        height=int(content.height),
        width=int(content.width),
        encoding=str(content.encoding),
        step=int(content.step),
        is_bigendian=bool(content.is_bigendian),
        data=content.data,
    )
