# SPDX-License-Identifier: Apache-2.0
"""Depth images and clouds as arrays, read from recorded messages.

None of it is the node's own code, so that it also checks what a node has written.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import RecordingError
from monodepth2_ros.recordings import Message, Recording, cdr
from monodepth2_ros.recordings.cameras import frame_stamp_ns

_ENCODINGS = {'32FC1': (np.float32, 1), '16UC1': (np.uint16, 1000)}
_COMPRESSED_DEPTH_HEADER = 12


def depth_of(message: Message) -> NDArray[np.float32]:
    """Depth in metres, float32 [H, W], of an Image or a compressedDepth; NaN where unknown.

    Raises:
        RecordingError: another encoding, or bytes that are no such image.
    """
    content = cdr.parse(message)
    if message.type.endswith('CompressedImage'):
        return _in_metres(_unpacked(content, message.topic), '16UC1')
    if content.encoding not in _ENCODINGS:
        raise RecordingError(f'{message.topic} holds {content.encoding}: expected 32FC1 or 16UC1')
    kind = np.dtype(_ENCODINGS[content.encoding][0]).newbyteorder(
        '>' if content.is_bigendian else '<'
    )
    needed = content.width * kind.itemsize
    if content.step < needed or len(content.data) != content.height * content.step:
        raise RecordingError(
            f'{message.topic}: {len(content.data)} bytes in rows of {content.step} are no '
            f'{content.encoding} image of {content.width}x{content.height}'
        )
    rows = np.frombuffer(content.data, np.uint8).reshape(content.height, content.step)
    pixels = np.ascontiguousarray(rows[:, :needed]).view(kind)
    return _in_metres(pixels, content.encoding)


def depth_frames(recording: Recording, topic: str) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Stream (header stamp in ns, depth in metres) of a topic."""
    for message in recording.messages([topic]):
        yield frame_stamp_ns(message), depth_of(message)


def cloud_of(message: Message) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Points [N, 3] in metres (x right, y down, z forward) and their colours [N, 3] as BGR.

    Points that are not finite are left out.
    """
    points, rows, offsets = _cloud(message)
    colors = rows[:, offsets['rgb'] : offsets['rgb'] + 3]
    known = np.isfinite(points).all(axis=-1)
    return points[known], colors[known]


def _cloud(
    message: Message,
) -> tuple[NDArray[np.float32], NDArray[np.uint8], dict[str, int]]:
    content = cdr.parse(message)
    offsets = {item.name: int(item.offset) for item in content.fields}
    rows = np.frombuffer(content.data, np.uint8).reshape(-1, content.point_step)
    return np.stack([_floats(rows, offsets[axis]) for axis in 'xyz'], axis=-1), rows, offsets


def _floats(rows: NDArray[np.uint8], offset: int) -> NDArray[np.float32]:
    return np.ascontiguousarray(rows[:, offset : offset + 4]).view('<f4')[:, 0]


def _in_metres(pixels: NDArray[Any], encoding: str) -> NDArray[np.float32]:
    depth = pixels.astype(np.float32) / np.float32(_ENCODINGS[encoding][1])
    if encoding == '16UC1':
        depth[pixels == 0] = np.nan
    return depth


def _unpacked(content: Any, topic: str) -> NDArray[np.uint16]:
    data = np.frombuffer(content.data, np.uint8)[_COMPRESSED_DEPTH_HEADER:]
    pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if pixels is None or pixels.dtype != np.uint16 or not content.format.startswith('16UC1'):
        raise RecordingError(f'{topic} holds {content.format!r}: expected 16UC1 in PNG')
    return np.asarray(pixels, np.uint16)
