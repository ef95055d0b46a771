# SPDX-License-Identifier: Apache-2.0
"""The picture of a run: moment by moment camera, depth and cloud from above, truth beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from monodepth2_training.evaluation.scoring import pair
from numpy.typing import NDArray

from demo import moments
from demo.clouds import Cloud, is_dense
from demo.model import Model
from demo.moments import Moment
from demo.problems import DemoError
from demo.run import COLORMAP, Outcome
from demo.source import Source
from demo.top_view import common_step, top_view
from monodepth2_ros.inference.colorize import colorize

_MOMENTS = 2
_PANEL = (520, 156)
_CLOUD_WIDTH = 340
_GAP = 8
_HEADING = 50
_DARKEST = 70
_PERCENTILES = (8, 98)
_BACKGROUND = (28, 24, 22)
_INK = (235, 235, 235)
_FAINT = (160, 160, 160)

Picture = NDArray[np.uint8]
Depth = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class _Style:
    """What all moments share."""

    seen: tuple[slice, slice]
    """The part of the depth images in which depth is known."""
    step: float
    """Distance between the rings around the camera."""
    unit: str
    """What a length of 1 is called."""
    metric: bool
    """Whether depth is in metres; else it is scaled to the truth, where there is one."""


def draw(source: Source, model: Model, outcome: Outcome, *, headline: str, path: Path) -> None:
    """Draw the picture of a finished run.

    Args:
        source: what was played.
        model: what was run.
        outcome: what the run has left.
        headline: its figures in a line.
        path: where to; PNG.

    Raises:
        DemoError: the bag holds no complete frame, or the picture cannot be written.
    """
    found = moments.pick(outcome.bag, source, _MOMENTS)
    if not found:
        raise DemoError(f'{outcome.bag} holds no frame with all its products')
    in_metres = model.metric or any(moment.truth is not None for moment in found)
    style = _Style(
        seen=known_part(found[0].depth),
        step=common_step(shown.points for m in found if (shown := m.true_cloud or m.cloud)),
        unit='m' if in_metres else 'units',
        metric=model.metric,
    )
    blocks = [_block(moment, style) for moment in found]
    titles = (f'{source.path.name}   {source.camera}   {model.path.name}', headline)
    whole = _joined([_heading(titles, blocks[0].shape[1]), *blocks], axis=0)
    picture = _framed(whole, *4 * (2 * _GAP,))
    if not cv2.imwrite(str(path), picture):
        raise DemoError(f'{path} cannot be written')


def write_text(
    picture: Picture,
    text: str,
    place: tuple[int, int],
    *,
    color: tuple[int, int, int] = _INK,
    thickness: int = 1,
) -> None:
    """Write into a picture; ``place`` is the left end of the base line."""
    font = cv2.FONT_HERSHEY_DUPLEX
    cv2.putText(picture, text, place, font, 0.5, color, thickness, cv2.LINE_AA)


def known_part(depth: Depth) -> tuple[slice, slice]:
    """Rows and columns outside which no depth is known; all of them if none is known."""
    known = ~np.isnan(depth)
    if not known.any():
        return slice(None), slice(None)
    rows, columns = np.flatnonzero(known.any(axis=1)), np.flatnonzero(known.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _block(moment: Moment, style: _Style) -> Picture:
    """All of one moment: pictures below each other, clouds beside them."""
    factor, limits = _factor(moment, style), _limits(moment.truth, style.seen)
    pictures = [
        _titled(_fitted(moment.camera), f'camera, {moment.time_s:.1f} s'),
        _titled(_colored(moment.depth * factor, style.seen, limits), 'depth, near is bright'),
    ]
    clouds = [('depth from above', moment.cloud, factor)]
    if moment.truth is not None:
        pictures.append(_titled(_colored(moment.truth, style.seen, limits), 'true depth'))
        clouds.append(('true depth from above', moment.true_cloud, np.float32(1.0)))
    column = _joined(pictures, axis=0)
    size = (_CLOUD_WIDTH, column.shape[0])
    views = [_titled(_seen_from_above(cloud, k, style, size), name) for name, cloud, k in clouds]
    return _joined([column, *views], axis=1)


def _factor(moment: Moment, style: _Style) -> np.float32:
    """What depth is multiplied by to be compared: by the medians, unless it is in metres."""
    if style.metric or moment.truth is None:
        return np.float32(1.0)
    both = pair('', moment.depth, moment.truth)
    return np.float32(1.0 if both is None else both.ratio)


def _limits(truth: Depth | None, seen: tuple[slice, slice]) -> tuple[float, float]:
    """Depths of the brightest and darkest colour, by the truth; 0 leaves them to the picture."""
    if truth is None:
        return 0.0, 0.0
    known = truth[seen][np.isfinite(truth[seen]) & (truth[seen] > 0)]
    if not len(known):
        return 0.0, 0.0
    near, far = np.percentile(known, _PERCENTILES).tolist()
    return near, max(far, 1.01 * near)


def _colored(depth: Depth, seen: tuple[slice, slice], limits: tuple[float, float]) -> Picture:
    """Depth in colours; the scattered points of a lidar are enlarged."""
    near, far = limits
    picture = colorize(
        np.where(depth == 0, np.float32(np.nan), depth),
        colormap=COLORMAP,
        min_depth_m=near,
        max_depth_m=far,
    )[seen]
    if not is_dense(depth[seen]):
        picture = np.asarray(cv2.dilate(picture, np.ones((5, 5), np.uint8)), np.uint8)
    return _fitted(picture)


def _seen_from_above(
    cloud: Cloud | None, factor: np.float32, style: _Style, size: tuple[int, int]
) -> Picture:
    if cloud is None:
        return top_view(None, None, size=size, step=style.step, unit=style.unit)
    # A dark car has to show on the dark ground.
    colors = (_DARKEST + (1 - _DARKEST / 255) * cloud.colors).astype(np.uint8)
    return top_view(cloud.points * factor, colors, size=size, step=style.step, unit=style.unit)


def _fitted(picture: Picture) -> Picture:
    """The largest that fits into a panel."""
    height, width = picture.shape[:2]
    scale = min(_PANEL[0] / width, _PANEL[1] / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.ascontiguousarray(cv2.resize(picture, size, interpolation=interpolation))


def _titled(picture: Picture, title: str) -> Picture:
    """The picture with its title in a corner, readable on anything."""
    for color, thickness in ((_BACKGROUND, 4), (_INK, 1)):
        write_text(picture, title, (8, 18), color=color, thickness=thickness)
    return picture


def _heading(lines: Sequence[str], width: int) -> Picture:
    heading = np.full((_HEADING, width, 3), _BACKGROUND, np.uint8)
    for row, (line, color) in enumerate(zip(lines, (_FAINT, _INK), strict=True)):
        write_text(heading, line, (0, 18 + 26 * row), color=color)
    return heading


def _joined(pictures: Sequence[Picture], *, axis: int) -> Picture:
    """Pictures below each other (axis 0) or side by side (1), smaller ones filled up."""
    across = 1 - axis
    most = max(picture.shape[across] for picture in pictures)
    parts = []
    for number, picture in enumerate(pictures):
        gap, lack = _GAP * (number > 0), most - picture.shape[across]
        top, left, bottom, right = (gap, 0, 0, lack) if axis == 0 else (0, gap, lack, 0)
        parts.append(_framed(picture, top, bottom, left, right))
    return np.concatenate(parts, axis=axis)


def _framed(picture: Picture, top: int, bottom: int, left: int, right: int) -> Picture:
    sides = (top, bottom, left, right)
    framed = cv2.copyMakeBorder(picture, *sides, cv2.BORDER_CONSTANT, value=_BACKGROUND)
    return np.asarray(framed, np.uint8)
