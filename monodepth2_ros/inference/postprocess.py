# SPDX-License-Identifier: Apache-2.0
"""From the network's output to depth at the image's own size, marked as REP 117 wants it.

Upsampling is bilinear in inverse depth, because a plane is linear in inverse depth and therefore
keeps its shape exactly; across a jump in depth it takes the nearest network pixel instead, so that
no pixel floats between a surface and what lies behind it. Sizes follow the half-pixel rule.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

MAX_RATIO = 1.15
"""Neighbouring network pixels whose depths differ by more than this factor lie on two surfaces.

Ground seen from a car (camera 1.65 m up, focal length 370 px at the network's size) passes as one
surface up to 90 m.
"""

_FLIP_BORDER = 0.05
_FLIP_SLOPE = 20.0
_MILLIMETRES_MAX = 65535.0


def upsample_inverse_depth(
    inverse_depth: NDArray[np.float32], *, height: int, width: int, max_ratio: float = MAX_RATIO
) -> NDArray[np.float32]:
    """Resize inverse depth without inventing surfaces between two others.

    Args:
        inverse_depth: float32 [h, w], positive.
        height: rows wanted.
        width: columns wanted.
        max_ratio: largest ratio of the four values around a pixel at which it is interpolated;
            beyond it, the pixel takes the nearest value.

    Returns:
        float32 [height, width]; a new array unless the size is already the wanted one.
    """
    if inverse_depth.shape == (height, width):
        return inverse_depth
    size = (width, height)
    smooth = cv2.resize(inverse_depth, size, interpolation=cv2.INTER_LINEAR)
    jumps = _jumps(inverse_depth, max_ratio)
    if jumps.any():
        rows, blocks_y = upsampling_sources(height, inverse_depth.shape[0])
        columns, blocks_x = upsampling_sources(width, inverse_depth.shape[1])
        # Columns while there are few rows; then whole rows, which is a plain copy.
        nearest = inverse_depth.take(columns, axis=1).take(rows, axis=0)
        cv2.copyTo(nearest, jumps.take(blocks_x, axis=1).take(blocks_y, axis=0), smooth)
    return np.asarray(smooth, np.float32)


def _jumps(inverse_depth: NDArray[np.float32], max_ratio: float) -> NDArray[np.uint8]:
    """Mark 2x2 blocks with a jump, uint8 [h + 1, w + 1]; block (0, 0) ends at pixel (0, 0)."""
    padded = cv2.copyMakeBorder(inverse_depth, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    low: NDArray[np.float32] = np.minimum(padded[:-1], padded[1:])
    high: NDArray[np.float32] = np.maximum(padded[:-1], padded[1:])
    low = np.minimum(low[:, :-1], low[:, 1:])
    high = np.maximum(high[:, :-1], high[:, 1:])
    return np.asarray(high > max_ratio * low).view(np.uint8)


def upsampling_sources(wanted: int, available: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """For each wanted pixel, along one axis, the nearest pixel and the 2x2 block around it."""
    source = (np.arange(wanted) + 0.5) * (available / wanted)
    nearest = np.clip(np.floor(source), 0, available - 1)
    block = np.clip(np.floor(source - 0.5) + 1, 0, available)
    return nearest.astype(np.intp), block.astype(np.intp)


def merge_flipped(
    disparity: NDArray[np.float32], of_flipped: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Merge the disparities of an image and of its mirror image (Godard et al., CVPR 2017).

    The mean of both, except near the left border, where what the network sees in the mirror image
    is used alone, and near the right border, where the image's own is.

    Args:
        disparity: float32 [h, w] of the image.
        of_flipped: float32 [h, w] of the mirror image, as the network gave it.

    Returns:
        float32 [h, w].
    """
    mirrored = of_flipped[:, ::-1]
    x = np.linspace(0.0, 1.0, disparity.shape[1], dtype=np.float32)
    left = 1.0 - np.clip(_FLIP_SLOPE * (x - _FLIP_BORDER), 0.0, 1.0)
    right = left[::-1]
    mean = 0.5 * (disparity + mirrored)
    merged = right * disparity + left * mirrored + (1.0 - left - right) * mean
    return np.asarray(merged, np.float32)


def mark_invalid(
    depth: NDArray[np.float32],
    *,
    min_depth_m: float,
    max_depth_m: float,
    valid: NDArray[np.bool_] | None = None,
) -> NDArray[np.float32]:
    """Mark what cannot be measured, in place, as REP 117 and REP 118 say.

    Args:
        depth: float32 [H, W] in metres; changed.
        min_depth_m: what is nearer becomes -Inf.
        max_depth_m: what is this far or farther becomes +Inf.
        valid: bool [H, W]; where it is False, depth becomes NaN.

    Returns:
        ``depth`` itself.
    """
    depth[depth < min_depth_m] = -np.inf
    depth[depth >= max_depth_m] = np.inf
    if valid is not None:
        np.copyto(depth, np.nan, where=~valid)
    return depth


def to_millimetres(depth: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Round depth in metres to whole millimetres for 16UC1 images.

    Args:
        depth: float32 [H, W] in metres.

    Returns:
        uint16 [H, W]; 0 for NaN, infinite, negative and for 65.5355 m and more.
    """
    millimetres = np.multiply(depth, np.float32(1000.0))
    np.rint(millimetres, out=millimetres)
    usable = (millimetres >= 0.0) & (millimetres <= _MILLIMETRES_MAX)
    return np.where(usable, millimetres, np.float32(0.0)).astype(np.uint16)
