# SPDX-License-Identifier: Apache-2.0
"""The pictures that an exported network is calibrated with and judged by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from monodepth2_ros.errors import ImageError, RecordingError
from monodepth2_training.prediction.pictures import open_pictures
from monodepth2_training.prediction.predictor import Predictor
from monodepth2_training.world.drive import Drive, DriveSettings

if TYPE_CHECKING:
    from pathlib import Path

    from monodepth2_ros.inference.estimator import DepthEstimator
    from monodepth2_training.prediction.pictures import PictureSource

GENERATED_FRAMES = 8
"""Pictures of a generated street that stand in for a recording."""

_LEAST = 2
_RATE_HZ = 1.0


@dataclass(frozen=True, kw_only=True)
class ExportFrames:
    """Inputs of the network, as the node would make them."""

    calibration: list[torch.Tensor]
    """uint8 [1, 3, h, w] each: what an int8 network is fitted to."""
    check: list[torch.Tensor]
    """uint8 [1, 3, h, w] each: what it is judged by, none of them in ``calibration``."""
    origin: str
    """Where they come from, in words."""


def generated_frames(estimator: DepthEstimator) -> ExportFrames:
    """Frames of a generated street, for a network that needs no calibration."""
    width, height = estimator.size
    settings = DriveSettings(frames=GENERATED_FRAMES, width=width, height=height, rate_hz=_RATE_HZ)
    drive = Drive(settings, torch.device('cpu'))
    inputs = [estimator.prepare(frame.rgb) for frame in drive]
    return ExportFrames(calibration=[], check=inputs, origin='a generated street')


def recorded_frames(
    estimator: DepthEstimator, path: Path, *, topic: str, limit: int
) -> ExportFrames:
    """Frames of a recording, rectified and resized as in the node.

    Args:
        estimator: of the model; its network is not run.
        path: bag, video, or folder of images.
        topic: image topic or namespace of the camera in a bag; the only one if empty.
        limit: most frames to take, spread evenly; every other one is for calibration.

    Raises:
        RecordingError: the recording has no two frames that can be decoded, or cannot be read.
        CalibrationError: its calibration does not fit its images.
    """
    with open_pictures(path, topic=topic) as source:
        total = sum(1 for _ in source.pictures)
    if total < _LEAST:
        raise RecordingError(f'{path} has {total} pictures: expected at least {_LEAST}')
    with open_pictures(path, topic=topic) as source:
        wanted = set(np.linspace(0, total - 1, min(limit, total)).round().astype(int).tolist())
        inputs, failures = _inputs(estimator, source, wanted)
    skipped = f'{len(failures)} of {len(wanted)} pictures were skipped: {"".join(failures[:1])}'
    if len(inputs) < _LEAST:
        raise RecordingError(f'{path}: {skipped}; expected at least {_LEAST} that can be used')
    origin = f'{path} ({skipped})' if failures else str(path)
    return ExportFrames(calibration=inputs[::2], check=inputs[1::2], origin=origin)


def _inputs(
    estimator: DepthEstimator, source: PictureSource, wanted: set[int]
) -> tuple[list[torch.Tensor], list[str]]:
    """The pictures of these numbers as the network sees them, and why others cannot be decoded."""
    calibration = source.calibration.checked() if source.calibration else None
    predictor = Predictor(estimator, calibration=calibration)
    inputs, failures = [], []
    for number, picture in enumerate(source.pictures):
        if number in wanted:
            try:
                inputs.append(predictor.network_input(picture.read()))
            except ImageError as err:
                failures.append(str(err))
    return inputs, failures
