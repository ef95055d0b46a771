# SPDX-License-Identifier: Apache-2.0
"""What is done to each picture of a camera on its way into a frame store.

As in the node, a picture is rectified if its calibration says so and cropped to the window that
holds no invalid pixel. The two cameras of a stereo pair share one window, so that a point lies in
the same row of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import CalibrationError, ImageError
from monodepth2_ros.geometry.camera import PinholeCamera, Window
from monodepth2_ros.geometry.rectification import Rectifier
from monodepth2_ros.model_description import TrainingCamera
from monodepth2_training.data.bags import DriveCamera
from monodepth2_training.data.store_document import StoredCamera

_TOLERANCE = 1e-4
"""Largest difference of a pair's intrinsics, relative to the focal length."""


@dataclass(frozen=True, kw_only=True)
class CameraPlan:
    """How the pictures of one camera become those that are stored, before the resize."""

    drive: DriveCamera
    """The camera in its recording."""
    rectifier: Rectifier | None
    """Rectifies them; None where they are taken as they are."""
    window: Window
    """The part that is kept."""
    source: PinholeCamera
    """The camera of that part."""
    position_m: float
    """x of its centre in the rectified frame of the first camera."""

    def check_size(self, picture: NDArray[np.uint8]) -> None:
        """Refuse a picture [H, W, ...] that the calibration is not for.

        Raises:
            ImageError: naming both sizes.
        """
        height, width = picture.shape[:2]
        if not self.drive.calibration.fits(width, height):
            expected = 'x'.join(str(side) for side in self.drive.calibration.image_size)
            raise ImageError(
                f'the picture has {width}x{height} pixels, its calibration is for {expected}'
            )

    def stored(self, *, width: int, height: int, channels: int, of: str = '') -> StoredCamera:
        """How the camera is described in a store of pictures of this size, as that ``of`` some."""
        return StoredCamera(
            name=f'{self.drive.name}{of}',
            image_topic=self.drive.topics.image,
            camera=self.source.resized(width, height),
            source=TrainingCamera(camera=self.source),
            position_m=self.position_m,
            channels=channels,
        )


def plan_cameras(cameras: Sequence[DriveCamera]) -> tuple[CameraPlan, ...]:
    """Plan one camera, or the two of a stereo pair.

    Raises:
        CalibrationError: a calibration is unusable, or the two are not those of a rectified pair.
    """
    rectifiers = [
        Rectifier(camera.calibration) if camera.calibration.needs_rectification else None
        for camera in cameras
    ]
    whole = [camera.calibration.rectified_camera() for camera in cameras]
    for camera, other in zip(cameras[1:], whole[1:], strict=True):
        _check_pair(cameras[0], whole[0], camera, other)
    window = reduce(_intersection, map(_window, whole, rectifiers))
    return tuple(
        CameraPlan(
            drive=camera,
            rectifier=rectifier,
            window=window,
            source=rectified.cropped(window),
            position_m=_x_m(rectified) - _x_m(whole[0]),
        )
        for camera, rectifier, rectified in zip(cameras, rectifiers, whole, strict=True)
    )


def _window(camera: PinholeCamera, rectifier: Rectifier | None) -> Window:
    if rectifier is not None:
        return rectifier.window
    return Window(x=0, y=0, width=camera.width, height=camera.height)


def _x_m(camera: PinholeCamera) -> float:
    """Place of the camera along x, from P[0, 3] = -fx * x."""
    return 0.0 - camera.tx_px_m / camera.fx_px


def _check_pair(
    first: DriveCamera, one: PinholeCamera, second: DriveCamera, other: PinholeCamera
) -> None:
    """Refuse two rectified cameras whose rows do not correspond."""
    for name in ('width', 'height', 'fx_px', 'fy_px', 'cy_px'):
        a, b = getattr(one, name), getattr(other, name)
        if abs(a - b) > _TOLERANCE * one.fx_px:
            raise CalibrationError(
                f'{first.name} and {second.name} are no rectified stereo pair: {name} of P is '
                f'{a:g} and {b:g}, expected the same; calibrate them together (camera_calibration '
                'with two cameras), or extract one of them with --camera'
            )


def _intersection(one: Window, other: Window) -> Window:
    left, top = max(one.x, other.x), max(one.y, other.y)
    right = min(one.x + one.width, other.x + other.width)
    bottom = min(one.y + one.height, other.y + other.height)
    if right <= left or bottom <= top:
        raise CalibrationError(
            'the rectified pictures of the pair have no rectangle in common that both cameras '
            'see: check R and P of both'
        )
    return Window(x=left, y=top, width=right - left, height=bottom - top)
