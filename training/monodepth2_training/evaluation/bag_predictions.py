# SPDX-License-Identifier: Apache-2.0
"""Where the depth that is judged on a recording comes from: a model, or files that others wrote.

Files are those of :mod:`monodepth2_training.evaluation.set_predictions`: one for each picture of
the camera, in the order of recording. They are of the pictures as a network sees them, rectified
and without their black rim.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from monodepth2_ros.errors import EvaluationError
from monodepth2_training.evaluation.camera_factor import CameraFactor
from monodepth2_training.evaluation.set_evaluation import depth_of_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monodepth2_ros.inference.estimator import DepthEstimator
    from monodepth2_training.evaluation.depth_errors import Depth
    from monodepth2_training.evaluation.set_predictions import ImportedPredictions
    from monodepth2_training.evaluation.true_frames import TrueFrame


class BagPredictions(Protocol):
    """Something that knows the depth of a recording's pictures."""

    name: str
    """What tables call it."""
    scale: float | None
    """Metres per unit of its depth; None where it does not know."""

    @property
    def facts(self) -> Sequence[tuple[str, str]]:
        """What a report says about it."""

    def depth(self, frame: TrueFrame) -> Depth:
        """Depth float32 [H, W] at the size of the frame's picture, NaN outside its window."""


class ModelDepth:
    """A model file's depth, for another camera than the model's multiplied as the node does it."""

    name = 'model'

    def __init__(self, estimator: DepthEstimator) -> None:
        """Take the scale of the model."""
        self._estimator = estimator
        own = estimator.description.scale
        self.scale = None if own is None else own.value
        self._factor = CameraFactor(estimator.description)

    @property
    def facts(self) -> Sequence[tuple[str, str]]:
        """The model, its scale, and in what its camera differed from those of the pictures."""
        own = self._estimator.description.scale
        return (
            ('model', f'sha256 {self._estimator.model_sha256[:16]}'),
            ('scale', 'unknown' if own is None else f'{own.value:.4g} m a unit, by {own.method}'),
            ('device', self._estimator.device),
            *self._factor.facts,
        )

    def depth(self, frame: TrueFrame) -> Depth:
        """Look at the picture, upsampled as the node does it."""
        factor = self._factor.of(frame.view.seen)
        return self._estimator.infer(frame.rgb, window=frame.view.window, scale=factor)


class ImportedDepth:
    """Depth that somebody else's software has written."""

    def __init__(self, predictions: ImportedPredictions, *, pictures: int) -> None:
        """Wrap the files.

        Args:
            predictions: the files.
            pictures: how many the camera has.

        Raises:
            EvaluationError: there are more or fewer of them.
        """
        if predictions.frames != pictures:
            raise EvaluationError(
                f'{predictions.name} holds {predictions.frames} predictions, but the camera has '
                f'{pictures} pictures: predict each of them, in the order of recording'
            )
        self._predictions = predictions
        self.name, self.scale = predictions.name, predictions.scale
        scale = 'unknown' if self.scale is None else f'{self.scale:.4g} m a unit, as given'
        self.facts: Sequence[tuple[str, str]] = (
            ('predictions', self.name),
            ('scale', scale),
        )

    def depth(self, frame: TrueFrame) -> Depth:
        """Take the one of the picture, upsampled as published evaluations do it."""
        window, size = frame.view.window, frame.rgb.shape[:2]
        inverse = self._predictions.at(frame.number, f'the picture at {frame.stamp_s:.2f} s')
        depth = np.full(size, np.nan, np.float32)
        depth[window.slices] = depth_of_size(inverse, window.height, window.width)
        return depth
