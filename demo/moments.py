# SPDX-License-Identifier: Apache-2.0
"""Picks a few moments of a run from its bag and gathers all that belongs to each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from monodepth2_training.evaluation import truth
from monodepth2_training.evaluation.depth_messages import cloud_of, depth_of
from numpy.typing import NDArray

from demo.clouds import Cloud, true_cloud
from demo.run import cloud_stride
from demo.source import Source
from monodepth2_ros.geometry.camera import CameraCalibration, PinholeCamera
from monodepth2_ros.images import CompressedImage, decode, decode_compressed
from monodepth2_ros.recordings import Message, cdr, open_recording

_IMAGES = ('/image', '/image/compressed')


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One frame with its products; colour images are uint8 [H, W, 3] BGR."""

    time_s: float
    """Since the first stored frame."""
    camera: NDArray[np.uint8]
    """The image as recorded."""
    depth: NDArray[np.float32]
    """Depth [H, W] in metres, or in network units if the scale is unknown."""
    cloud: Cloud | None
    """As the node published it; None without calibration."""
    truth: NDArray[np.float32] | None
    """True depth [H, W] in metres; None if there is none of this view."""
    true_cloud: Cloud | None
    """The cloud that it makes."""


def pick(bag: Path, source: Source, count: int) -> list[Moment]:
    """Moments spread evenly over the run, of those with true depth if there are any."""
    with open_recording(bag) as recording:
        messages = recording.messages(['/depth/image'])
        stamps = sorted({cdr.header_stamp_ns(message.data) for message in messages})
        known = _with_truth(stamps, source)
        chosen = _spread(known, count)
        found = _gather(recording.messages(), frozenset(chosen))
        truths = _truths(source, truth.view_of(recording), frozenset(chosen))
        calibration = recording.calibration(_IMAGES[0])
    return [
        _moment(
            found[stamp],
            true=truths.get(stamp),
            time_s=(stamp - stamps[0]) / 1e9,
            calibration=calibration,
            stride=cloud_stride(source),
        )
        for stamp in chosen
        if _complete(found[stamp])
    ]


def _spread(stamps: list[int], count: int) -> list[int]:
    """So many stamps spread evenly, the ends left out; all if there are no more."""
    if len(stamps) <= count:
        return stamps
    places = np.linspace(0, len(stamps) - 1, count + 2)[1:-1]
    return list(dict.fromkeys(stamps[round(place)] for place in places))


def _with_truth(stamps: list[int], source: Source) -> list[int]:
    """Those that have true depth; all if none has."""
    if source.truth_topic is None:
        return stamps
    with open_recording(source.path) as recording:
        known = {
            cdr.header_stamp_ns(message.data)
            for message in recording.messages([source.truth_topic])
        }
    return [stamp for stamp in stamps if stamp in known] or stamps


def _gather(messages: Iterator[Message], stamps: frozenset[int]) -> dict[int, dict[str, Message]]:
    found: dict[int, dict[str, Message]] = {stamp: {} for stamp in stamps}
    for message in messages:
        if message.topic == '/diagnostics':
            continue
        stamp_ns = cdr.header_stamp_ns(message.data)
        if stamp_ns in stamps:
            found[stamp_ns][message.topic] = message
    return found


def _complete(parts: dict[str, Message]) -> bool:
    return '/depth/image' in parts and any(name in parts for name in _IMAGES)


def _moment(
    parts: dict[str, Message],
    *,
    true: NDArray[np.float32] | None,
    time_s: float,
    calibration: CameraCalibration | None,
    stride: int,
) -> Moment:
    depth = depth_of(parts['/depth/image'])
    cloud = parts.get('/depth/points')
    picture = _pixels(next(parts[name] for name in _IMAGES if name in parts))
    if true is not None and true.shape != depth.shape:
        true = None
    return Moment(
        time_s=time_s,
        camera=picture,
        depth=depth,
        cloud=None if cloud is None else Cloud(*cloud_of(cloud)),
        truth=true,
        true_cloud=None
        if true is None or cloud is None or calibration is None
        else true_cloud(true, picture, calibration, stride=stride),
    )


def _pixels(message: Message) -> NDArray[np.uint8]:
    image = cdr.parse_image(message)
    rgb = decode_compressed(image) if isinstance(image, CompressedImage) else decode(image)
    return np.ascontiguousarray(rgb[:, :, ::-1])


def _truths(
    source: Source, view: PinholeCamera | None, stamps: frozenset[int]
) -> dict[int, NDArray[np.float32]]:
    if source.truth_topic is None:
        return {}
    with open_recording(source.path) as recording:
        frames = truth.frames(recording, source.truth_topic, source.camera, view)
        return {stamp: depth for stamp, depth in frames if stamp in stamps}
