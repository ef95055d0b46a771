# SPDX-License-Identifier: Apache-2.0
"""Where the depth that is judged on a data set comes from: a model, or files that others wrote.

All come as inverse depth, because that is what the published evaluations resize. Files are one of

| what | holds |
|---|---|
| a ``.npy`` file | inverse depth ("disparity") [N, h, w] of the whole list, as md2 saves it |
| a folder of ``.npy`` files | inverse depth [h, w] of one frame each |
| a folder of 16-bit ``.png`` files | depth of one frame each: metres times 256, 0 unknown |

Files of a folder belong to frames by their number in the list, ``0000000000.npy`` being the first,
or, if they are not numbered so, by the order of their names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import EvaluationError
from monodepth2_ros.geometry.depth import disparity_to_inverse_depth
from monodepth2_training.evaluation.camera_factor import CameraFactor
from monodepth2_training.evaluation.kitti.raw import read_depth_png

if TYPE_CHECKING:
    from monodepth2_ros.inference.estimator import DepthEstimator
    from monodepth2_training.evaluation.data_set import SetFrame
    from monodepth2_training.evaluation.evaluation import Doubt

InverseDepth: TypeAlias = NDArray[np.float32]

_SUFFIXES = ('.npy', '.png')


class Predictions(Protocol):
    """Something that knows the depth of the frames of a data set."""

    name: str
    """What tables call it."""
    scale: float | None
    """Metres per unit of its depth; None where it does not know."""

    @property
    def facts(self) -> Sequence[tuple[str, str]]:
        """What a report says about the predictions so far."""

    @property
    def doubts(self) -> Sequence[Doubt]:
        """Why those so far may not be in metres."""

    def inverse_depth(self, frame: SetFrame) -> InverseDepth:
        """Inverse depth float32 [h, w] of a frame, of any size; not positive where unknown."""


class ModelPredictions:
    """A model file's depth, for another camera than the model's multiplied as the node does it."""

    def __init__(self, estimator: DepthEstimator, name: str) -> None:
        """Take the scale of the model."""
        self._estimator = estimator
        self._factor = CameraFactor(estimator.description)
        self.name = name
        own = estimator.description.scale
        self.scale = None if own is None else own.value

    def inverse_depth(self, frame: SetFrame) -> InverseDepth:
        """Look at the picture."""
        disparity = self._estimator.disparity(frame.read_picture())
        inverse = disparity_to_inverse_depth(disparity, self._estimator.description.depth_range)
        return np.asarray(inverse / self._factor.of(frame.read_camera()), np.float32)

    @property
    def facts(self) -> Sequence[tuple[str, str]]:
        """In what the cameras of the pictures differed from the model's."""
        return self._factor.facts

    @property
    def doubts(self) -> Sequence[Doubt]:
        """That the camera of a picture is unknown."""
        return self._factor.doubts


class ImportedPredictions:
    """Depth that somebody else's software has written, for the cameras of the pictures."""

    facts: Sequence[tuple[str, str]] = ()
    doubts: Sequence[Doubt] = ()

    def __init__(
        self, name: str, frames: int, read: Callable[[int], InverseDepth], scale: float | None
    ) -> None:
        """Wrap what reads the prediction of a position in the list.

        Args:
            name: what tables call it.
            frames: how many there are.
            read: gives inverse depth [h, w].
            scale: metres per unit.
        """
        self.name, self.scale = name, scale
        self.frames = frames
        self._read = read

    def inverse_depth(self, frame: SetFrame) -> InverseDepth:
        """Take the one at the frame's place in the list; see :meth:`at`."""
        return self.at(frame.position, frame.name)

    def at(self, position: int, name: str) -> InverseDepth:
        """Take the one at a place, which is that of the picture of this name.

        Raises:
            EvaluationError: there is none, or it is no [h, w].
        """
        if position >= self.frames:
            raise EvaluationError(
                f'{self.name} holds {self.frames} predictions, but {name} is number '
                f'{position + 1} of its list: predict all of the list, in its order'
            )
        inverse = np.asarray(self._read(position), np.float32).squeeze()
        if inverse.ndim != 2:
            raise EvaluationError(
                f'{self.name}: prediction {position} is {list(inverse.shape)}, expected '
                '[height, width]'
            )
        return inverse


def import_predictions(path: Path, *, scale: float | None = None) -> ImportedPredictions:
    """Open the predictions of another software.

    Args:
        path: a file or folder as in the table above.
        scale: metres per unit of depth, for ``.npy``; PNGs are in metres.

    Raises:
        EvaluationError: it is none of these.
    """
    if path.is_file() and path.suffix == '.npy':
        stack = _load(path, memory_mapped=True)
        return ImportedPredictions(path.name, len(stack), lambda n: stack[n], scale)
    files = _files(path)
    if files[0].suffix == '.png':
        return ImportedPredictions(path.name, len(files), lambda n: _of_png(files[n]), 1.0)
    return ImportedPredictions(path.name, len(files), lambda n: _load(files[n]), scale)


def _files(folder: Path) -> list[Path]:
    """The predictions of a folder in the order of the list."""
    found = sorted(p for p in folder.glob('*') if p.suffix in _SUFFIXES)
    if not found or len({path.suffix for path in found}) > 1:
        raise EvaluationError(
            f'{folder} holds no predictions: expected a .npy file of all frames, or a folder '
            'with either .npy files of inverse depth or 16-bit .png files of depth'
        )
    numbered = [int(path.stem) for path in found if path.stem.isdecimal()]
    if len(numbered) == len(found):
        found.sort(key=lambda path: int(path.stem))
        gaps = sorted(set(range(len(found))) - set(numbered))
        if gaps:
            raise EvaluationError(
                f'{folder} lacks number {gaps[0]}: files named by numbers begin at 0 and follow '
                'the list of frames without a gap'
            )
    return found


def _of_png(path: Path) -> InverseDepth:
    """Inverse depth of a depth PNG; NaN where unknown."""
    return np.float32(1.0) / read_depth_png(path)


def _load(path: Path, *, memory_mapped: bool = False) -> InverseDepth:
    try:
        array = np.load(path, mmap_mode='r' if memory_mapped else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as err:
        raise EvaluationError(f'{path} is no .npy file of numbers: {err}') from err
    if not np.issubdtype(array.dtype, np.floating):
        raise EvaluationError(f'{path} holds {array.dtype}: expected floating-point numbers')
    return cast('InverseDepth', array)
