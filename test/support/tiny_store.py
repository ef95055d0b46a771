# SPDX-License-Identifier: Apache-2.0
"""Frame stores small enough to be trained on in a test: a textured wall passes the camera."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
from monodepth2_training.data.frame_store_writer import FrameRecord, open_writer
from monodepth2_training.data.store_document import Progress, StoredCamera, StoreDocument

from monodepth2_ros.geometry.camera import PinholeCamera
from monodepth2_ros.model_description import TrainingCamera

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

STEP_PX = 2
"""Motion of the wall between two frames."""

BASELINE_M = 0.5
"""Distance of the second camera."""

_PERIOD_NS = 100_000_000
_DISPARITY_PX = 4


def write_tiny_store(
    folder: Path, *, frames: int = 20, width: int = 64, height: int = 64, stereo: bool = False
) -> Path:
    """Write a finished store of ``frames`` pictures a camera at 10 Hz."""
    cameras = tuple(_camera(number, width, height) for number in range(2 if stereo else 1))
    document = StoreDocument(
        width=width,
        height=height,
        resize='bilinear',
        cameras=cameras,
        sources=('tiny_drive',),
        arguments={},
        progress=Progress(frames=(0,) * len(cameras)),
    )
    wall = _wall(height, width + STEP_PX * frames + _DISPARITY_PX)
    with open_writer(folder, document, afresh=True) as writer:
        for index in range(frames):
            for number in range(len(cameras)):
                start = STEP_PX * index + _DISPARITY_PX * number
                pixels = wall[:, start : start + width].transpose(2, 0, 1)
                writer.append(number, pixels, _record(index, width, pixels))
        counts = (frames,) * len(cameras)
        writer.checkpoint(replace(document.progress, frames=counts, complete=True))
    return folder


def _camera(number: int, width: int, height: int) -> StoredCamera:
    """A camera whose pictures were twice as large before."""
    pinhole = PinholeCamera(
        width=width,
        height=height,
        fx_px=0.6 * width,
        fy_px=0.6 * width,
        cx_px=width / 2 - 0.5,
        cy_px=height / 2 - 0.5,
        tx_px_m=-0.6 * width * BASELINE_M * number,
    )
    return StoredCamera(
        name=f'/camera{number}',
        image_topic=f'/camera{number}/image_raw',
        camera=pinhole,
        source=TrainingCamera(camera=pinhole.resized(2 * width, 2 * height)),
        position_m=BASELINE_M * number,
    )


def _wall(height: int, width: int) -> NDArray[np.uint8]:
    """A seeded, smooth, colourful texture, uint8 [height, width, 3]."""
    noise = np.random.default_rng(1).integers(0, 255, (height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 1.5)
    spread = (smooth - smooth.mean()) * (60.0 / smooth.std()) + 128.0
    return np.clip(spread, 0.0, 255.0).astype(np.uint8)


def _record(index: int, width: int, pixels: NDArray[np.uint8]) -> FrameRecord:
    """What an extraction would have measured."""
    return FrameRecord(
        stamp_ns=(index + 1) * _PERIOD_NS,
        part=0,
        motion=float('nan') if index == 0 else STEP_PX / width,
        brightness=float(pixels.mean()) / 255.0,
        clipped=0.0,
    )
