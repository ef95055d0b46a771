# SPDX-License-Identifier: Apache-2.0
"""Opens a recording of any kind by looking at what the path holds."""

from __future__ import annotations

from pathlib import Path

from monodepth2_ros.errors import RecordingError
from monodepth2_ros.geometry.camera import CameraCalibration
from monodepth2_ros.recordings import pictures, rosbag2
from monodepth2_ros.recordings.kitti_drive import KittiDrive, is_drive
from monodepth2_ros.recordings.recording import Recording
from monodepth2_ros.recordings.rosbag1 import Rosbag1Recording
from monodepth2_ros.recordings.storage_file import is_storage_file

_KINDS = (
    'a rosbag2 folder, an .mcap, .db3 (or .zstd of these) or ROS 1 .bag file, a video '
    f'({" ".join(pictures.VIDEO_SUFFIXES)}), a folder of images or a drive of '
    'KITTI (with image_02/data in it)'
)


def open_recording(
    path: str | Path, *, calibration: CameraCalibration | None = None, fps: float = 0.0
) -> Recording:
    """Open a recording for reading.

    Args:
        path: a rosbag2 folder or storage file, a ROS 1 bag, a video, a folder of images, or a
            drive of KITTI's raw data.
        calibration: overrides a recorded calibration; a video or image folder has no other.
        fps: true frame rate of a video or image folder; 0 takes what it says itself.

    Raises:
        RecordingError: there is no such path, it is none of these, or nothing in it can be read.
    """
    place = _expanded(Path(path))
    if not place.exists():
        raise RecordingError(f'{place} does not exist: expected {_KINDS}')
    if place.is_dir():
        return _open_folder(place, calibration, fps)
    if is_storage_file(place):
        return rosbag2.Rosbag2Recording(place, calibration=calibration)
    if place.name.endswith(('.bag', '.bag.active')):
        return Rosbag1Recording(place, calibration=calibration)
    if place.suffix.lower() in pictures.VIDEO_SUFFIXES:
        return pictures.VideoRecording(place, calibration=calibration, fps=fps)
    raise RecordingError(f'{place} is not a recording by its name: expected {_KINDS}')


def _expanded(path: Path) -> Path:
    """A path with the home folder that it names; as it is where ``~`` is but a letter of it."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def _open_folder(folder: Path, calibration: CameraCalibration | None, fps: float) -> Recording:
    if rosbag2.is_bag_folder(folder):
        return rosbag2.Rosbag2Recording(folder, calibration=calibration)
    if is_drive(folder):
        return KittiDrive(folder, calibration=calibration)
    if pictures.has_images(folder):
        return pictures.ImageFolderRecording(folder, calibration=calibration, fps=fps)
    raise RecordingError(f'{folder} holds no recording: expected {_KINDS}')
