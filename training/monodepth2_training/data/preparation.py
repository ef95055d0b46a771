# SPDX-License-Identifier: Apache-2.0
"""From recorded messages to stored pictures: decode, rectify, crop, resize, measure.

Up to four grey pictures of a camera go through rectification and resize at once, as the channels
of one image: each comes out as it would alone, in less than half the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import ImageError, UnsupportedEncodingError
from monodepth2_ros.geometry.camera import Window
from monodepth2_ros.geometry.strip_rectification import StripRectifier, interleaved
from monodepth2_ros.inference.preprocess import resized
from monodepth2_training.data.bags import DriveFrame
from monodepth2_training.data.camera_plan import CameraPlan
from monodepth2_training.data.picture_motion import motion, small_picture

GROUP = 8
"""Frames of one camera that are one piece of work: a multiple of those remapped at once."""

DAMAGED = 'damaged'
"""The cause where a picture cannot be decoded."""

_PACK = 4
"""Most channels that OpenCV remaps at once."""

Tail = Future[NDArray[np.uint8] | None]
"""The small picture of the last frame before a group; None if there is none."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A picture to store and what was measured on it."""

    pixels: NDArray[np.uint8]
    """uint8 [C, H, W]."""
    motion: float
    """Median optical flow against the picture before, as a share of the width, else NaN."""
    brightness: float
    """Mean of all pixels, 0 to 1."""
    clipped: float
    """Share of pixels that are 0 or 255."""


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A message of which nothing is stored."""

    cause: str
    """One of a few words, to count by."""
    detail: str
    """What exactly is wrong."""


class Preparation:
    """Prepares the frames of one camera; may be called in several threads at once."""

    def __init__(
        self, plan: CameraPlan, *, width: int, height: int, resize: str, channels: int
    ) -> None:
        """Prepare as ``plan`` says, for pictures of this size and number of channels."""
        self._plan, self._channels = plan, channels
        self._window = (
            partial(_cropped, plan.window)
            if plan.rectifier is None
            else StripRectifier(plan.rectifier, plan.window)
        )
        self._width, self._height, self._resize = width, height, resize

    def __call__(
        self, frames: Sequence[DriveFrame], before: Tail, tail: Tail
    ) -> list[Prepared | Skipped]:
        """Prepare a group.

        Args:
            frames: at most ``GROUP`` consecutive frames.
            before: what the group before this one gives as ``tail``; that one must be running.
            tail: is given this group's last small picture as soon as it is there.

        Returns:
            one result a frame, in the same order.
        """
        try:
            pictures = list(self._pictures(frames))
            small = [small_picture(p) for p in pictures if isinstance(p, np.ndarray)]
            tail.set_result(small[-1] if small else before.result())
        except BaseException as err:
            tail.set_exception(err)
            raise
        moved = iter(_motions([before.result(), *small]))
        return [
            p if isinstance(p, Skipped) else _measured(p, motion=next(moved)) for p in pictures
        ]

    def _pictures(self, frames: Sequence[DriveFrame]) -> Iterator[NDArray[np.uint8] | Skipped]:
        """The picture of each frame at the size of the store, uint8 [C, H, W]."""
        for start in range(0, len(frames), _PACK):
            decoded = [self._decoded(frame) for frame in frames[start : start + _PACK]]
            ready = self._resized([d for d in decoded if isinstance(d, np.ndarray)])
            yield from (d if isinstance(d, Skipped) else next(ready) for d in decoded)

    def _decoded(self, frame: DriveFrame) -> NDArray[np.uint8] | Skipped:
        """Grey uint8 [H, W] or RGB uint8 [H, W, 3], as the store's channels want it."""
        try:
            picture = frame.decode_unexpanded()
        except UnsupportedEncodingError as err:
            return Skipped(cause='encoding not supported', detail=str(err))
        except ImageError as err:
            return Skipped(cause=DAMAGED, detail=str(err))
        try:
            self._plan.check_size(picture)
        except ImageError as err:
            return Skipped(cause='another resolution', detail=str(err))
        if picture.ndim == 2 and self._channels == 3:
            return np.asarray(cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB), np.uint8)
        if picture.ndim == 3 and self._channels == 1:
            return Skipped(cause='colour among grey', detail='the first picture was grey')
        return picture

    def _resized(self, pack: Sequence[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
        """Rectify, crop and resize at most ``_PACK`` pictures; uint8 [C, H, W] each."""
        if self._channels == 3:
            yield from (np.stack(self._planes([picture])) for picture in pack)
        elif pack:
            # OpenCV has no fast way for two channels.
            fill = [pack[-1]] * (_PACK - len(pack))
            planes = self._planes([*pack, *fill])
            yield from (plane[None] for plane in planes[: len(pack)])

    def _planes(self, pictures: Sequence[NDArray[np.uint8]]) -> Sequence[NDArray[np.uint8]]:
        """Rectify, crop and resize grey pictures, or one in colour; gives planes uint8 [h, w]."""
        source = self._window(pictures)
        tensor = resized(source, width=self._width, height=self._height, resize=self._resize)
        # Several times faster than torch's way from channels_last to planes.
        return cv2.split(tensor[0].permute(1, 2, 0).numpy())


def _cropped(window: Window, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """A window of grey pictures as the channels of one, or of one picture in colour."""
    parts = [picture[window.slices] for picture in pictures]
    return parts[0] if parts[0].ndim == 3 else interleaved(parts)


def _motions(small: Sequence[NDArray[np.uint8] | None]) -> list[float]:
    """Motion of each small picture but the first against the one before it."""
    return [
        float('nan') if before is None or after is None else motion(before, after)
        for before, after in pairwise(small)
    ]


def _measured(pixels: NDArray[np.uint8], *, motion: float) -> Prepared:
    plane = pixels.reshape(-1, pixels.shape[-1])
    clipped = plane.size - cv2.countNonZero(cv2.inRange(plane, 1, 254))
    return Prepared(
        pixels=pixels,
        motion=motion,
        brightness=cv2.sumElems(plane)[0] / (255.0 * plane.size),
        clipped=clipped / plane.size,
    )
