# SPDX-License-Identifier: Apache-2.0
"""Small bags with one camera, for tests that play or read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from monodepth2_ros.geometry.camera import CameraCalibration
from monodepth2_ros.recordings import RecordingWriter, cdr
from monodepth2_ros.recordings.messages import CAMERA_INFO_TYPE, IMAGE_TYPE

CALIBRATION = CameraCalibration(
    width=64,
    height=48,
    K=(50.0, 0.0, 31.5, 0.0, 50.0, 23.5, 0.0, 0.0, 1.0),
    P=(50.0, 0.0, 31.5, 0.0, 0.0, 50.0, 23.5, 0.0, 0.0, 0.0, 1.0, 0.0),
)
START_NS = 1_600_000_000 * 10**9


def image(index: int, stamp_ns: int) -> bytes:
    """An rgb8 image of one level."""
    pixels = np.full((48, 64, 3), index % 256, np.uint8)
    return cdr.image(pixels, encoding='rgb8', stamp_ns=stamp_ns, frame_id='camera')


def camera_info(stamp_ns: int) -> bytes:
    """The CameraInfo that belongs to these images."""
    return cdr.camera_info(CALIBRATION, stamp_ns=stamp_ns, frame_id='camera')


def write_camera_bag(
    path: Path, *, frames: int = 10, rate_hz: float = 20.0, namespace: str = '/camera'
) -> Path:
    """Write a bag of ``frames`` images with their CameraInfo, from ``START_NS`` on."""
    with RecordingWriter(path) as writer:
        writer.add_topic(f'{namespace}/image_raw', IMAGE_TYPE)
        writer.add_topic(f'{namespace}/camera_info', CAMERA_INFO_TYPE)
        for index in range(frames):
            stamp_ns = START_NS + round(index * 1e9 / rate_hz)
            writer.write(f'{namespace}/camera_info', stamp_ns, camera_info(stamp_ns))
            writer.write(f'{namespace}/image_raw', stamp_ns, image(index, stamp_ns))
    return path
