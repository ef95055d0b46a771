# SPDX-License-Identifier: Apache-2.0
"""What training takes from a recording: its cameras, and their pictures in time order.

Recordings are opened with :func:`monodepth2_ros.recordings.open_recording`: bags of both ROS
generations, videos and image folders come through the same calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

from monodepth2_ros.errors import CalibrationError, CameraChoiceError, RecordingError
from monodepth2_ros.images import (
    CompressedImage,
    decode_compressed_unexpanded,
    decode_unexpanded,
)
from monodepth2_ros.recordings import choose_camera
from monodepth2_ros.recordings.cameras import (
    CameraTopics,
    cameras,
    decode_frame,
    frame_image,
    frame_stamp_ns,
)
from monodepth2_training.data.bag_listing import listing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from monodepth2_ros.geometry.camera import CameraCalibration
    from monodepth2_ros.recordings import Message, Recording
    from monodepth2_training.data.odometry import OdometryReader

_SAME_FOCAL_LENGTH = 1e-3
_LEAST_BASELINE_M = 1e-3
_GIVE_CALIBRATION = (
    'record its camera_info beside the images, or give a calibration YAML (as camera_calibration '
    'writes it)'
)


@dataclass(frozen=True, kw_only=True)
class DriveCamera:
    """One camera of a recording, with all that turns its pictures into pinhole images."""

    name: str
    """Namespace of its topics."""
    topics: CameraTopics
    """Where its images and its calibration are."""
    calibration: CameraCalibration
    """Checked; that of the pictures as they are stored."""


@dataclass(frozen=True, kw_only=True)
class DriveFrame:
    """One picture as it was recorded, not decoded yet."""

    camera: int
    """Which of the cameras it is of: an index into those that were asked for."""
    stamp_ns: int
    """Stamp of its header; where that is missing or 0, when it was recorded."""
    message: Message
    """The image message."""

    def decode(self) -> NDArray[np.uint8]:
        """The picture, RGB uint8 [H, W, 3]; safe to call in any thread.

        Raises:
            ImageError: the message is damaged or its encoding is not supported.
        """
        return decode_frame(self.message)

    def decode_unexpanded(self) -> NDArray[np.uint8]:
        """The same picture, but uint8 [H, W] where it is grey.

        Raises:
            ImageError: as :meth:`decode`.
        """
        image = frame_image(self.message)
        if isinstance(image, CompressedImage):
            return decode_compressed_unexpanded(image)
        return decode_unexpanded(image)


def choose_drive_camera(recording: Recording, wanted: str = '') -> DriveCamera:
    """The camera to train on: that of :func:`choose_one_camera`, with its calibration.

    Raises:
        RecordingError: no such camera, or several to choose from; the message lists all.
        CalibrationError: it has no usable calibration.
    """
    return _drive_camera(recording, choose_one_camera(recording, wanted))


def choose_one_camera(recording: Recording, wanted: str = '') -> CameraTopics:
    """The camera whose image topic or namespace is ``wanted``, calibrated or not.

    When none is named, it is the only one, the only one with a calibration, or the left one of
    a stereo pair. Depth images are no cameras.

    Raises:
        RecordingError: no such camera, or several to choose from; the message lists all.
    """
    found = _one_a_namespace(recording)
    if wanted or not found:
        return choose_camera(recording, wanted)
    calibrated = [camera for camera in found if camera.info is not None]
    candidates = calibrated or found
    if len(candidates) == 1:
        return candidates[0]
    if len(candidates) == 2:
        pairs = _pairs(_calibrated(recording, candidates))
        if pairs:
            return pairs[0][0].topics
    raise CameraChoiceError(
        f'{recording.path} has {len(candidates)} cameras: name one.\n{listing(recording)}'
    )


def choose_stereo_pair(
    recording: Recording, wanted: Sequence[str] = ()
) -> tuple[DriveCamera, DriveCamera]:
    """The left and the right camera of a rectified pair.

    Two cameras are a pair if the ``P`` of their CameraInfo have one focal length and differ in
    ``P[0, 3]`` = -focal length x position along the baseline. The left one has the larger.

    Args:
        recording: the opened recording.
        wanted: image topics or namespaces of one or both cameras; empty finds the pair.

    Raises:
        RecordingError: there is no pair, or there are several; the message lists all cameras.
        CalibrationError: a named camera has no usable calibration.
    """
    if recording.given_calibration is not None:
        raise RecordingError(
            f'{recording.path}: a calibration was given, but it describes one camera; a stereo '
            'pair needs the camera_info of both in the bag'
        )
    named = [_drive_camera(recording, choose_camera(recording, name)) for name in wanted]
    found = named if len(named) > 1 else _calibrated(recording, _one_a_namespace(recording))
    names = {camera.name for camera in named}
    pairs = [pair for pair in _pairs(found) if names <= {camera.name for camera in pair}]
    if len(pairs) == 1:
        return pairs[0]
    what = f'{len(pairs)} stereo pairs: name one' if pairs else 'no stereo pair'
    raise CameraChoiceError(
        f'{recording.path} has {what}. Expected two cameras whose camera_info share fx in P and '
        f'differ in P[0, 3] = -fx x baseline (as camera_calibration writes it).\n'
        f'{listing(recording)}'
    )


def drive_frames(
    recording: Recording,
    cameras: Sequence[DriveCamera],
    odometry: OdometryReader | None = None,
) -> Iterator[DriveFrame]:
    """Stream the pictures of some cameras in the order of recording, none of them decoded.

    Args:
        recording: the opened recording.
        cameras: the cameras.
        odometry: takes its messages as they come between the pictures.

    Raises:
        RecordingError: the recording ends in damage that nothing can be read behind.
    """
    index = {camera.topics.image: number for number, camera in enumerate(cameras)}
    for message in recording.messages([*index, *([odometry.topic] if odometry else [])]):
        if message.topic in index:
            yield DriveFrame(
                camera=index[message.topic], stamp_ns=frame_stamp_ns(message), message=message
            )
        elif odometry:
            odometry.take(message)


def _one_a_namespace(recording: Recording) -> list[CameraTopics]:
    """One image topic of each namespace: the fullest, not compressed, raw before rectified."""
    best: dict[str, CameraTopics] = {}
    for camera in sorted(
        cameras(recording), key=lambda found: (-found.frames, found.compressed, found.image)
    ):
        best.setdefault(_namespace(camera), camera)
    return [best[name] for name in sorted(best)]


def _namespace(camera: CameraTopics) -> str:
    return camera.image.removesuffix('/compressed').rpartition('/')[0] or '/'


def _calibrated(recording: Recording, found: Sequence[CameraTopics]) -> list[DriveCamera]:
    """Those of some cameras whose calibration is usable."""
    usable = []
    for camera in found:
        try:
            usable.append(_drive_camera(recording, camera))
        except CalibrationError:
            continue
    return usable


def _drive_camera(recording: Recording, camera: CameraTopics) -> DriveCamera:
    calibration = recording.calibration(camera.image)
    if calibration is None:
        raise CalibrationError(f'{camera.image} has no calibration: {_GIVE_CALIBRATION}')
    try:
        checked = calibration.checked()
    except CalibrationError as err:
        raise CalibrationError(
            f'the calibration of {camera.image} cannot be used: {err}; {_GIVE_CALIBRATION}'
        ) from err
    if recording.given_calibration is None and '/image_rect' in camera.image:
        checked = _of_rectified_pictures(checked)
    return DriveCamera(name=_namespace(camera), topics=camera, calibration=checked)


def _of_rectified_pictures(calibration: CameraCalibration) -> CameraCalibration:
    """The calibration of a rectified topic, whose camera_info is that of the raw one."""
    P = calibration.P
    K = (P[0], P[1], P[2], P[4], P[5], P[6], P[8], P[9], P[10]) if any(P) else calibration.K
    R = (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0)
    return replace(calibration, D=(), distortion_model='plumb_bob', R=R, K=K)


def _pairs(found: Sequence[DriveCamera]) -> list[tuple[DriveCamera, DriveCamera]]:
    """All stereo pairs among some cameras, the left one first."""
    pairs = []
    for one, other in combinations(found, 2):
        a, b = one.calibration.rectified_camera(), other.calibration.rectified_camera()
        same = abs(a.fx_px - b.fx_px) <= _SAME_FOCAL_LENGTH * a.fx_px
        if same and abs(a.tx_px_m - b.tx_px_m) > _LEAST_BASELINE_M * a.fx_px:
            pairs.append((one, other) if a.tx_px_m > b.tx_px_m else (other, one))
    return pairs
