# SPDX-License-Identifier: Apache-2.0
"""Lidar scans as arrays, whatever fields, types and paddings a driver chose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import RecordingError
from monodepth2_ros.recordings import Message, cdr
from monodepth2_ros.recordings.cameras import frame_stamp_ns

CLOUD_TYPE = 'sensor_msgs/msg/PointCloud2'

_TIME_FIELDS = ('t', 'time', 'timestamp', 'time_stamp', 'offset_time', 'time_offset')
_TYPES = {1: 'i1', 2: 'u1', 3: 'i2', 4: 'u2', 5: 'i4', 6: 'u4', 7: 'f4', 8: 'f8'}
_ABSOLUTE_S = 1e6
_LONGEST_SCAN_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Scan:
    """The finite points of one scan."""

    stamp_ns: int
    """Of its header; when recorded where that is missing or 0."""
    points: NDArray[np.float64]
    """[N, 3] in metres, in the lidar's frame."""
    times_ns: NDArray[np.int64] | None
    """When each point was measured [N]; None where the driver does not say."""


def read_scan(message: Message) -> Scan:
    """Read a ``PointCloud2``.

    Raises:
        RecordingError: it is none, has no x, y and z, or is shorter than it says.
    """
    content = cdr.parse(message)
    values = _fields(content, message.topic)
    points = np.stack([values[axis].astype(np.float64) for axis in 'xyz'], axis=-1)
    finite = np.isfinite(points).all(axis=1)
    stamp_ns = frame_stamp_ns(message)
    names = values.dtype.names or ()
    name = next((name for name in _TIME_FIELDS if name in names), None)
    times_ns = None if name is None else _times_ns(values[name][finite], stamp_ns)
    return Scan(stamp_ns=stamp_ns, points=points[finite], times_ns=times_ns)


def _fields(content: Any, topic: str) -> NDArray[Any]:
    """Its coordinates and times as a structured array [N]."""
    order = '>' if content.is_bigendian else '<'
    wanted = {
        field.name: (int(field.offset), f'{order}{_TYPES[field.datatype]}')
        for field in content.fields
        if field.name in ('x', 'y', 'z', *_TIME_FIELDS) and field.datatype in _TYPES
    }
    step, width, height = int(content.point_step), int(content.width), int(content.height)
    ends = [offset + np.dtype(kind).itemsize for offset, kind in wanted.values()]
    row = int(content.row_step) if height > 1 else width * step
    complete = width * step <= row and height * row <= len(content.data)
    if not {'x', 'y', 'z'} <= wanted.keys() or max(ends) > step or not complete:
        names = ', '.join(field.name for field in content.fields) or 'no fields'
        raise RecordingError(
            f'{topic}: {len(content.data)} bytes with {names} are no cloud of {width}x{height} '
            f'points of {step} bytes: expected x, y and z'
        )
    rows = np.frombuffer(content.data, np.uint8)[: height * row].reshape(height, row)
    packed = np.ascontiguousarray(rows[:, : width * step])
    kind = np.dtype(
        {
            'names': list(wanted),
            'formats': [form for _, form in wanted.values()],
            'offsets': [offset for offset, _ in wanted.values()],
            'itemsize': step,
        }
    )
    return packed.reshape(-1).view(kind)


def _times_ns(values: NDArray[Any], stamp_ns: int) -> NDArray[np.int64] | None:
    """Times of points as drivers give them, as stamps; None where they make no sense.

    Floats are seconds, or ns where that would be years. Whole numbers are ns, as in Ouster's and
    Livox's clouds, or microseconds where a whole scan would else take less than a millisecond.
    """
    if not len(values):
        return np.empty(0, np.int64)
    times = values.astype(np.float64)
    if not np.isfinite(times).all():
        return None
    whole = np.issubdtype(values.dtype, np.integer)
    span = float(np.ptp(times))
    unit_s = 1.0
    if whole:
        unit_s = 1e-6 if span < 1e6 else 1e-9
    elif abs(times[0]) > 1e15:
        unit_s = 1e-9
    if span * unit_s > _LONGEST_SCAN_S:
        return None
    absolute = abs(float(times[0])) * unit_s > _ABSOLUTE_S
    first_ns = round(float(times[0]) * unit_s * 1e9)
    base_ns = first_ns if absolute else stamp_ns + first_ns
    # Differences to the first point keep their digits where stamps as floats do not.
    steps = values.astype(np.int64) - int(values[0]) if whole else times - times[0]
    return base_ns + np.round(steps * (unit_s * 1e9)).astype(np.int64)
