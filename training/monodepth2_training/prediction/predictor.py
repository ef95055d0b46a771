# SPDX-License-Identifier: Apache-2.0
"""One picture in, its depth or disparity out: rectified as the node does, marked as REP 117."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monodepth2_ros.errors import CalibrationError
from monodepth2_ros.geometry.rectification import Rectifier
from monodepth2_ros.inference.camera_match import match_cameras
from monodepth2_ros.inference.postprocess import mark_invalid

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from monodepth2_ros.geometry.camera import CameraCalibration, PinholeCamera, Window
    from monodepth2_ros.inference.estimator import DepthEstimator


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What counts as measurable; by default everything."""

    min_depth_m: float = 0.0
    """Nearer becomes -Inf."""
    max_depth_m: float = float('inf')
    """This far or farther becomes +Inf."""


class Predictor:
    """An estimator with the camera it looks through.

    Attributes:
        rectifies: whether pictures are rectified first.
        camera: of the pictures that depth belongs to; None if unknown.
        scale: metres per unit of network depth, for this camera; None if unknown.
        differences: in what the camera differs from the model's, and what is done about it.
    """

    def __init__(
        self,
        estimator: DepthEstimator,
        *,
        calibration: CameraCalibration | None = None,
        scale: float | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Prepare.

        Args:
            estimator: the loaded model.
            calibration: of the pictures; used to rectify if it has distortion or rotation.
            scale: metres per unit of network depth through this camera; the model's own if None,
                for another focal length multiplied as the node does it.
            limits: depths to mark as too near or too far; none if None.

        Raises:
            CalibrationError: the calibration is unusable.
        """
        self._estimator = estimator
        self._calibration = calibration
        self._limits = limits or Limits()
        self._rectifier = None
        if calibration is not None and calibration.needs_rectification:
            self._rectifier = Rectifier(calibration)
        self.rectifies = self._rectifier is not None
        self.scale = scale
        self.differences: tuple[str, ...] = ()
        if scale is None:
            self.scale, self.differences = self._own_scale()

    @property
    def camera(self) -> PinholeCamera | None:
        """Camera of the rectified pictures, at their own size."""
        return None if self._calibration is None else self._calibration.rectified_camera()

    def _own_scale(self) -> tuple[float | None, tuple[str, ...]]:
        """The model's scale for this camera, and in what that differs from the model's."""
        own, (width, height) = self._estimator.description, self._estimator.size
        seen = self.camera
        if seen is not None and self._rectifier is not None:
            seen = seen.cropped(self._rectifier.window)
        match = match_cameras(own.camera, seen, width=width, height=height)
        scale = None if own.scale is None else own.scale.value * match.applied('rescale')
        return scale, match.rescaled

    def depth(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Depth of one picture.

        Args:
            rgb: uint8 [H, W, 3].

        Returns:
            float32 [H, W] in metres, or network units if no scale is known; NaN where the
            rectified picture has no source.

        Raises:
            CalibrationError: the picture's size is not that of the calibration.
        """
        seen, window = self._look(rgb)
        depth = self._estimator.infer(seen, window=window, scale=self.scale)
        return mark_invalid(
            np.array(depth),
            min_depth_m=self._limits.min_depth_m,
            max_depth_m=self._limits.max_depth_m,
            valid=None if self._rectifier is None else self._rectifier.valid,
        )

    def disparity(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The network's own output for one picture, float32 [h, w] in (0, 1) at network size."""
        seen, window = self._look(rgb)
        return self._estimator.disparity(seen, window)

    def network_input(self, rgb: NDArray[np.uint8]) -> torch.Tensor:
        """What the network sees of one picture, uint8 [1, 3, h, w]."""
        return self._estimator.prepare(*self._look(rgb))

    def _look(self, rgb: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Window | None]:
        """The picture that the network sees, and the part of it that is real."""
        if self._calibration is not None:
            _check_fit(self._calibration, rgb)
        if self._rectifier is None:
            return rgb, None
        return self._rectifier.rectify(rgb), self._rectifier.window


def _check_fit(calibration: CameraCalibration, rgb: NDArray[np.uint8]) -> None:
    """Refuse a picture that the calibration does not describe."""
    height, width = rgb.shape[:2]
    if not calibration.fits(width, height):
        expected = 'x'.join(str(side) for side in calibration.image_size)
        raise CalibrationError(
            f'the calibration is for images of {expected}, this one has {width}x{height}: '
            'give the calibration of this camera and resolution, or none (--rectify never)'
        )
