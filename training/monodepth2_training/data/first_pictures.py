# SPDX-License-Identifier: Apache-2.0
"""Looks at the first pictures of a camera before all of them are worked on."""

from __future__ import annotations

from itertools import islice

from monodepth2_ros.errors import CalibrationError, ImageError, RecordingError
from monodepth2_ros.recordings import Recording
from monodepth2_training.data.bags import drive_frames
from monodepth2_training.data.camera_plan import CameraPlan

_TRIES = 50


def channel_count(recording: Recording, plan: CameraPlan) -> int:
    """Whether the pictures of a camera are grey (1) or in colour (3).

    Raises:
        CalibrationError: the calibration is for pictures of another size.
        RecordingError: none of the first ones can be decoded.
    """
    damage = misfit = ''
    frames = drive_frames(recording, [plan.drive])
    for frame in islice(frames, _TRIES):
        try:
            picture = frame.decode_unexpanded()
        except ImageError as err:
            damage = damage or str(err)
            continue
        try:
            plan.check_size(picture)
        except ImageError as err:
            misfit = misfit or str(err)
            continue
        return 3 if picture.ndim == 3 else 1
    topic = plan.drive.topics.image
    if misfit:
        raise CalibrationError(
            f'{topic}: {misfit}; give the calibration for this size (--calibration), or record '
            'the camera_info of the stream that the pictures are from'
        )
    raise RecordingError(
        f'{recording.path}: none of the first {_TRIES} messages on {topic} is a usable picture: '
        f'{damage or "there is none"}'
    )
