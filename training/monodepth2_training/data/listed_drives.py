# SPDX-License-Identifier: Apache-2.0
"""The recordings to extract: those that are named, or the drives of KITTI that a list names.

Training lists of the papers (Eigen's, Zhou's) name frames, each a target whose neighbours in time
are its sources. So the frames of a list and their neighbours are taken, of both cameras. Which of
them are targets, and which are set aside for validation, is decided as for any other recording:
where the camera moves, and in blocks of time that share no frame with training.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from monodepth2_ros.errors import RecordingError
from monodepth2_ros.recordings import Recording, open_recording
from monodepth2_ros.recordings.kitti_drive import KittiDrive, is_drive
from monodepth2_training.evaluation.kitti.split import read_split

if TYPE_CHECKING:
    from monodepth2_ros.geometry.camera import CameraCalibration
    from monodepth2_training.data.extraction_settings import ExtractionSettings

_DOWNLOAD = 'download the "synced+rectified data" from cvlibs.net/datasets/kitti/raw_data.php'


def open_sources(
    paths: Sequence[Path],
    settings: ExtractionSettings,
    *,
    calibration: CameraCalibration | None = None,
) -> Iterator[Recording]:
    """Open what is to be extracted, one after the other.

    Args:
        paths: recordings; with a list, KITTI's root alone.
        settings: with the list, if there is one.
        calibration: replaces the recorded one.

    Raises:
        RecordingError: nothing in one of them can be read, or no drive of the list is there.
        EvaluationError: the list cannot be read.
    """
    if not settings.split:
        for path in paths:
            yield open_recording(path, calibration=calibration, fps=settings.fps)
        return
    if len(paths) != 1:
        raise RecordingError(
            f'{len(paths)} folders are given beside a list: expected KITTI, with the days in it'
        )
    frames = listed_frames(Path(settings.split))
    missing = [drive for drive in frames if not is_drive(paths[0] / drive)]
    note = f'{len(missing)} of {len(frames)} drives of {settings.split} are not in {paths[0]}'
    note += f' ({", ".join(missing[:3])}{" and more" if len(missing) > 3 else ""}); {_DOWNLOAD}'
    if len(missing) == len(frames):
        raise RecordingError(note)
    for number, drive in enumerate(drive for drive in frames if drive not in missing):
        yield KittiDrive(
            paths[0] / drive,
            calibration=calibration,
            frames=frames[drive],
            notes=[note] if missing and not number else [],
        )


def listed_frames(path: Path) -> dict[str, set[int]]:
    """Numbers of the frames of a list and of their neighbours, by drive, in order of names.

    Raises:
        EvaluationError: the list cannot be read.
    """
    frames: defaultdict[str, set[int]] = defaultdict(set)
    for entry in read_split(path):
        frames[entry.drive] |= {max(entry.frame - 1, 0), entry.frame, entry.frame + 1}
    return dict(sorted(frames.items()))


def lists_both_cameras(path: Path) -> bool:
    """Whether a list names frames of the left and of the right camera.

    Raises:
        EvaluationError: the list cannot be read.
    """
    return len({entry.camera for entry in read_split(path)}) > 1
