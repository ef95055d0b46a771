# SPDX-License-Identifier: Apache-2.0
"""Small bags in which a textured wall passes one or two cameras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from monodepth2_ros.geometry.camera import CameraCalibration
from monodepth2_ros.recordings import RecordingWriter, cdr
from monodepth2_ros.recordings.messages import CAMERA_INFO_TYPE, COMPRESSED_IMAGE_TYPE, IMAGE_TYPE

WIDTH, HEIGHT = 128, 80
START_NS = 1_600_000_000 * 10**9
K = (90.0, 0.0, 63.0, 0.0, 90.0, 40.0, 0.0, 0.0, 1.0)
P = (80.0, 0.0, 62.0, 0.0, 0.0, 80.0, 39.0, 0.0, 0.0, 0.0, 1.0, 0.0)
PLAIN = CameraCalibration(width=WIDTH, height=HEIGHT, K=K)
BENT = CameraCalibration(width=WIDTH, height=HEIGHT, K=K, P=P, D=(-0.2, 0.05, 0.001, 0.0, 0.0))


def right_of(calibration: CameraCalibration, baseline_m: float, **changes) -> CameraCalibration:
    """The calibration of a second camera that far to the right."""
    P = list(calibration.P if any(calibration.P) else (*K[:3], 0.0, *K[3:6], 0.0, *K[6:], 0.0))
    P[3] = -P[0] * baseline_m
    return CameraCalibration(**{**calibration.__dict__, 'P': tuple(P), **changes})


def picture(index: int, *, speed_px: float = 3.0, size: tuple[int, int] = (WIDTH, HEIGHT)):
    """RGB uint8 [H, W, 3] of the wall after ``index`` frames."""
    width, height = size
    noise = np.random.default_rng(5).integers(20, 236, (24, 90, 3), np.uint8)
    wall = cv2.resize(noise, (900, height), interpolation=cv2.INTER_CUBIC)
    start = round(index * speed_px)
    return np.ascontiguousarray(wall[:, start : start + width])


def message(rgb: NDArray[np.uint8], encoding: str, stamp_ns: int) -> bytes:
    """CDR of a picture: ``rgb8``, ``mono8``, ``jpeg`` or ``grey jpeg``."""
    grey = np.ascontiguousarray(rgb[..., 1:2])
    if encoding in ('rgb8', 'mono8'):
        pixels = rgb if encoding == 'rgb8' else grey[..., 0]
        return cdr.image(pixels, encoding=encoding, stamp_ns=stamp_ns, frame_id='camera')
    space = 'RGB' if encoding == 'jpeg' else 'GRAY'
    data = simplejpeg.encode_jpeg(rgb if encoding == 'jpeg' else grey, colorspace=space)
    content = cdr.typestore().types[COMPRESSED_IMAGE_TYPE](
        header=cdr.header(stamp_ns, 'camera'), format='jpeg', data=np.frombuffer(data, np.uint8)
    )
    return cdr.serialize(content, COMPRESSED_IMAGE_TYPE)


def write_moving_bag(
    path: Path,
    *,
    frames: int = 10,
    times_s: Sequence[float] | None = None,
    encoding: str = 'mono8',
    speed_px: float = 3.0,
    cameras: Mapping[str, CameraCalibration] | None = None,
    replaced: Mapping[int, bytes] | None = None,
    missing: Sequence[tuple[str, int]] = (),
    late_s: Mapping[str, float] | None = None,
) -> Path:
    """Write a bag at 10 Hz.

    Args:
        path: its folder.
        frames: pictures of each camera.
        times_s: header stamps instead of 10 Hz.
        encoding: as for ``message``.
        speed_px: motion of the wall from frame to frame.
        cameras: calibrations by namespace; one plain camera by default.
        replaced: messages by index instead of the pictures.
        missing: (namespace, index) of pictures that were never recorded.
        late_s: by how much the stamps of a namespace are later.
    """
    compressed = encoding.endswith('jpeg')
    kind = COMPRESSED_IMAGE_TYPE if compressed else IMAGE_TYPE
    cameras = cameras or {'/camera': PLAIN}
    topics = {name: f'{name}/image_raw' + '/compressed' * compressed for name in cameras}
    times_s = times_s if times_s is not None else [0.1 * index for index in range(frames)]
    with RecordingWriter(path) as writer:
        for name, topic in topics.items():
            writer.add_topic(topic, kind)
            writer.add_topic(f'{name}/camera_info', CAMERA_INFO_TYPE)
        for index, time_s in enumerate(times_s):
            recorded_ns = START_NS + index * 10**8
            for name, calibration in cameras.items():
                stamp_ns = START_NS + round((time_s + (late_s or {}).get(name, 0.0)) * 1e9)
                info = cdr.camera_info(calibration, stamp_ns=stamp_ns, frame_id='camera')
                writer.write(f'{name}/camera_info', recorded_ns, info)
                if (name, index) in missing:
                    continue
                data = (replaced or {}).get(index)
                if data is None:
                    data = message(picture(index, speed_px=speed_px), encoding, stamp_ns)
                writer.write(topics[name], recorded_ns, data)
    return path
