# SPDX-License-Identifier: Apache-2.0
"""How a camera's images become pinhole images: rectified, taken as they are, or uncalibrated."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import CalibrationError
from monodepth2_ros.geometry.camera import CameraCalibration, PinholeCamera, Window
from monodepth2_ros.geometry.rectification import Rectifier

RECTIFY_CHOICES = ('auto', 'always', 'never')
"""When to rectify: if raw and rectified image differ, always, or never.

A rectified topic (``image_rect``) carries the calibration of the raw one, distortion included, so
that nothing tells them apart: never is for such topics, and their camera is P.
"""

_MAX_VIEWS = 4


@dataclass(frozen=True, kw_only=True)
class View:
    """What is done to each image of one camera."""

    width: int
    """Columns of the image."""
    height: int
    """Rows of the image."""
    window: Window
    """The part of the image that holds a picture."""
    camera: PinholeCamera | None = None
    """The camera of the result; None without a usable calibration."""
    R_raw_to_rectified: NDArray[np.float64] = field(default_factory=lambda: np.eye(3))
    """Rotation [3, 3] from the camera's frame in tf to that of ``camera``."""
    rectifier: Rectifier | None = None
    """Rectifies the image; None if it is taken as it is."""
    notes: tuple[str, ...] = ()
    """What a user should know about the calibration; one sentence each."""

    @property
    def valid(self) -> NDArray[np.bool_] | None:
        """Pixels that show something, bool [H, W]; None if all do."""
        return self.rectifier.valid if self.rectifier else None

    @property
    def seen(self) -> PinholeCamera | None:
        """The camera of the window, which is what the network sees; None if it is unknown."""
        return self.camera and self.camera.cropped(self.window)

    def rectified(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The pinhole picture of an image, RGB uint8 [H, W, 3] both; itself where it is taken so.

        Raises:
            ImageError: the image is of another size.
        """
        return self.rectifier.rectify(picture) if self.rectifier else picture

    def at_network_size(self, width: int, height: int) -> View:
        """The view of what the network sees: the window alone, resized (half-pixel rule)."""
        return View(
            width=width,
            height=height,
            window=Window(x=0, y=0, width=width, height=height),
            camera=self.seen and self.seen.resized(width, height),
            R_raw_to_rectified=self.R_raw_to_rectified,
            notes=self.notes,
        )


class Views:
    """Makes views and keeps the latest few, because the maps of one take a while to compute."""

    def __init__(self) -> None:
        self._views: OrderedDict[tuple[object, ...], View] = OrderedDict()

    def __len__(self) -> int:
        """Number of views kept."""
        return len(self._views)

    def view(
        self, calibration: CameraCalibration | None, *, width: int, height: int, rectify: str
    ) -> View:
        """The view of an image of ``width`` x ``height`` under a calibration, if there is one.

        A calibration that is unusable or of another size counts as none; the notes say so.
        """
        key = (calibration, width, height, rectify)
        if key not in self._views:
            self._views[key] = _make(calibration, width, height, rectify)
        self._views.move_to_end(key)
        while len(self._views) > _MAX_VIEWS:
            self._views.popitem(last=False)
        return self._views[key]


def _make(calibration: CameraCalibration | None, width: int, height: int, rectify: str) -> View:
    """Compute a view."""
    whole = Window(x=0, y=0, width=width, height=height)
    plain = View(width=width, height=height, window=whole)
    if calibration is None:
        return replace(plain, notes=('no calibration: depth, but no camera and no points',))
    try:
        return _calibrated(plain, calibration.checked(), rectify)
    except CalibrationError as err:
        return replace(plain, notes=(f'the calibration cannot be used: {err}',))


def _calibrated(plain: View, calibration: CameraCalibration, rectify: str) -> View:
    """Compute the view of a calibration without faults.

    Raises:
        CalibrationError: it is of another size than the image, or its P shows nothing.
    """
    width, height = plain.window.width, plain.window.height
    if not calibration.fits(width, height):
        expected = 'x'.join(str(side) for side in calibration.image_size)
        raise CalibrationError(
            f'it is for images of {expected} pixels, but the image has {width}x{height}'
        )
    plain = replace(plain, R_raw_to_rectified=calibration.R_raw_to_rectified)
    if rectify == 'always' or (rectify == 'auto' and calibration.needs_rectification):
        rectifier = Rectifier(calibration)
        return replace(
            plain, window=rectifier.window, camera=rectifier.camera, rectifier=rectifier
        )
    return replace(plain, camera=calibration.rectified_camera())
