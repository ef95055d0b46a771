# SPDX-License-Identifier: Apache-2.0
"""Pictures of one judged frame: camera with truth, prediction, and where it is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from monodepth2_ros.geometry.camera import Window
from monodepth2_ros.inference.colorize import colorize
from monodepth2_training.report.pictures import jpeg

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monodepth2_training.evaluation.scoring import FramePairs

    Pixels = NDArray[np.uint8]

_MOST_OFF = 1.5
_DENSE = 0.2
_DOT_PX = 5
_LIMITS = (2.0, 98.0)


def draw_frame(
    rgb: Pixels, depth: NDArray[np.float32], frame: FramePairs, window: Window | None = None
) -> list[tuple[str, bytes]]:
    """Draw a frame, its prediction scaled to its truth.

    Args:
        rgb: uint8 [H, W, 3].
        depth: float32 [H, W], predicted, in the unit of the prediction.
        frame: what was judged of it.
        window: the part to show; all of it by default.

    Returns:
        names and JPEGs: camera with truth, prediction, errors; camera and truth apart where
        truth is dense.
    """
    camera = np.ascontiguousarray(rgb[..., ::-1])
    near, far = (float(value) for value in np.percentile(frame.true_m, _LIMITS))
    far = max(far, 1.01 * near)
    truth = np.full(frame.height * frame.width, np.nan, np.float32)
    truth[frame.pixels] = frame.true_m
    seen = truth.reshape(frame.height, frame.width)
    dense = len(frame.pixels) > _DENSE * truth.size
    dots = seen if dense else _dots(seen)
    coloured = colorize(dots, min_depth_m=near, max_depth_m=far)
    scaled = np.asarray(depth * np.float32(frame.ratio), np.float32)
    predicted = colorize(scaled, min_depth_m=near, max_depth_m=far)
    errors = _errors(camera, frame, dense=dense)
    if dense:
        pictures = [('camera', camera), ('truth', coloured)]
    else:
        pictures = [('camera with truth', _over(camera, coloured, np.isfinite(dots)))]
    pictures += [('depth', predicted), ('error', errors)]
    return [(name, jpeg(_part(picture, window))) for name, picture in pictures]


def _dots(sparse: NDArray[np.float32]) -> NDArray[np.float32]:
    """Known pixels made large enough to be seen, the nearer over the farther."""
    inverse = np.where(np.isfinite(sparse), 1.0 / sparse, 0.0).astype(np.float32)
    large = np.asarray(cv2.dilate(inverse, np.ones((_DOT_PX, _DOT_PX), np.uint8)))
    with np.errstate(divide='ignore'):
        return np.where(large > 0.0, np.float32(1.0) / large, np.float32(np.nan))


def _errors(camera: Pixels, frame: FramePairs, *, dense: bool) -> Pixels:
    """Too near in blue, too far in red, over a faint camera picture."""
    off = np.log(frame.depth * np.float32(frame.ratio) / frame.true_m) / np.log(_MOST_OFF)
    level = np.zeros(frame.height * frame.width, np.uint8)
    # 0 is left for pixels that are not judged.
    level[frame.pixels] = np.clip(128.0 + 127.0 * off, 1.0, 255.0).astype(np.uint8)
    placed = level.reshape(frame.height, frame.width)
    if not dense:
        placed = _spread(placed)
    return _over(camera // 3, _TABLE[placed], placed > 0)


def _spread(level: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Judged pixels made large enough to be seen: of neighbours, the one that is most off."""
    kernel = np.ones((_DOT_PX, _DOT_PX), np.uint8)
    high = np.asarray(cv2.dilate(level, kernel)).astype(np.int16)
    low = np.asarray(cv2.erode(np.where(level == 0, 255, level).astype(np.uint8), kernel))
    more = np.abs(high - 128) >= np.abs(low.astype(np.int16) - 128)
    return np.where(high == 0, 0, np.where(more, high, low)).astype(np.uint8)


def _over(below: Pixels, above: Pixels, shown: NDArray[np.bool_]) -> Pixels:
    return np.where(shown[..., None], above, below).astype(np.uint8)


def _part(picture: Pixels, window: Window | None) -> Pixels:
    if window is None:
        return picture
    return np.ascontiguousarray(picture[window.slices])


def _diverging() -> Pixels:
    """Colours [256, 3] BGR: blue, white in the middle, red."""
    place = np.linspace(-1.0, 1.0, 256)[:, None]
    ends = ((200, 90, 20), (245, 245, 245), (40, 40, 205))
    blue, white, red = (np.array(colour, np.float64) for colour in ends)
    mixed = white + np.abs(place) * (np.where(place < 0.0, blue, red) - white)
    return mixed.round().astype(np.uint8)


_TABLE = _diverging()
