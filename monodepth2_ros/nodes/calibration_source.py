# SPDX-License-Identifier: Apache-2.0
"""The camera's calibration: the latest camera_info, and until one comes a YAML file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

from monodepth2_ros.errors import CalibrationError
from monodepth2_ros.geometry.calibration_file import load_calibration
from monodepth2_ros.nodes import messages

if TYPE_CHECKING:
    from sensor_msgs.msg import CameraInfo

    from monodepth2_ros.geometry.camera import CameraCalibration


class CalibrationSource:
    """Holds the calibration in force; every changed camera_info is judged once."""

    def __init__(self, *, url: str) -> None:
        """Read the fallback, if ``url`` names one.

        Raises:
            CalibrationError: the file is missing or unusable.
        """
        self._latest: CameraCalibration | None = None
        self._fault: str | None = None
        self._fallback = load_file(url) if url else None
        self._fallback_origin = f'file {url}' if url else 'none'
        self._current, self._origin = self._fallback, self._fallback_origin

    @property
    def current(self) -> CameraCalibration | None:
        """The calibration to use, or None: depth, but no rectification and no cloud."""
        return self._current

    @property
    def fault(self) -> str | None:
        """Why the latest camera_info is not used; None if it is, or if none came."""
        return self._fault

    @property
    def origin(self) -> str:
        """Where the calibration in force comes from, in words."""
        return self._origin

    def update(self, message: CameraInfo) -> None:
        """Take a camera_info; an unusable one leaves the fallback in force."""
        latest = messages.calibration(message)
        if latest == self._latest:
            return
        self._latest = latest
        try:
            self._current, self._fault = latest.checked(), None
            self._origin = 'camera_info'
        except CalibrationError as err:
            self._current, self._origin = self._fallback, self._fallback_origin
            self._fault = f'camera_info is not used (calibration: {self._origin}): {err}'


def load_file(url: str) -> CameraCalibration:
    """Read a calibration YAML from a path, a file:// or a package:// URL.

    Raises:
        CalibrationError: the package or file is missing, or the calibration unusable.
    """
    return load_calibration(url, resolve_package=_share_folder)


def _share_folder(package: str) -> str:
    try:
        return str(get_package_share_directory(package))
    except (PackageNotFoundError, OSError, ValueError) as err:
        raise CalibrationError(
            f'calibration_url names package {package!r}, which is not installed: source its '
            'workspace or give a path'
        ) from err
