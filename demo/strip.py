# SPDX-License-Identifier: Apache-2.0
"""The picture strip: camera, depth, true depth and the cloud from above, for several moments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from demo import moments
from demo.model import Model
from demo.moments import Moment
from demo.problems import DemoError
from demo.run import COLORMAP, Outcome
from demo.source import Source
from demo.top_view import common_step, top_view
from monodepth2_ros.inference.colorize import colorize

_MOMENTS = 4
_ROW = 190
_CLOUD_WIDTH = 300
_GAP = 10
_SPARSE = 0.3
_TITLE = 64
_COLUMN_TITLE = 30
_BACKGROUND = (28, 24, 22)
_INK = (235, 235, 235)
_FAINT = (160, 160, 160)

Picture = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class _Style:
    """What all rows share."""

    seen: tuple[slice, slice]
    """The part of the depth images in which depth is known."""
    with_truth: bool
    """Whether there is a column for true depth."""
    step: float
    """Distance between the rings around the camera."""
    unit: str
    """What a length of 1 is called."""


def draw(source: Source, model: Model, outcome: Outcome, path: Path) -> Path:
    """Draw the strip of a finished run.

    Raises:
        DemoError: the bag holds no complete frame, or the picture cannot be written.
    """
    found = moments.pick(outcome.bag, source, _MOMENTS)
    if not found:
        raise DemoError(f'{outcome.bag} holds no frame with all its products')
    with_truth = any(moment.truth is not None for moment in found)
    style = _Style(
        seen=known_part(found[0].depth),
        with_truth=with_truth,
        step=common_step(moment.points for moment in found),
        unit='m' if model.metric else 'units',
    )
    rows = [_row(moment, style) for moment in found]
    strip = _stack([_heading(rows[0], source, model, with_truth=with_truth), *map(_joined, rows)])
    if not cv2.imwrite(str(path), strip):
        raise DemoError(f'{path} cannot be written')
    return path


def write_text(
    picture: Picture,
    text: str,
    place: tuple[int, int],
    *,
    size: float = 0.5,
    color: tuple[int, int, int] = _INK,
) -> None:
    """Write into a picture; ``place`` is the left end of the base line."""
    cv2.putText(picture, text, place, cv2.FONT_HERSHEY_DUPLEX, size, color, 1, cv2.LINE_AA)


def known_part(depth: NDArray[np.float32]) -> tuple[slice, slice]:
    """Rows and columns outside which no depth is known; all of them if none is known."""
    known = ~np.isnan(depth)
    if not known.any():
        return slice(None), slice(None)
    rows, columns = np.flatnonzero(known.any(axis=1)), np.flatnonzero(known.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _row(moment: Moment, style: _Style) -> list[Picture]:
    camera = _fitted(moment.camera)
    write_text(camera, f'{moment.time_s:.1f} s', (9, _ROW - 11), color=(0, 0, 0))
    write_text(camera, f'{moment.time_s:.1f} s', (8, _ROW - 12))
    panels = [camera, _fitted(moment.color[style.seen])]
    if style.with_truth:
        panels.append(_truth_panel(moment, style.seen, panels[1].shape[1]))
    cloud = top_view(
        moment.points,
        moment.point_colors,
        size=(_CLOUD_WIDTH, _ROW),
        step=style.step,
        unit=style.unit,
    )
    panels.append(cloud)
    return panels


def _truth_panel(moment: Moment, seen: tuple[slice, slice], width: int) -> Picture:
    if moment.truth is None:
        return np.full((_ROW, width, 3), _BACKGROUND, np.uint8)
    truth = np.where(moment.truth > 0, moment.truth, np.nan).astype(np.float32)
    picture = colorize(truth, colormap=COLORMAP)[seen]
    if np.isfinite(truth[seen]).mean() < _SPARSE:
        picture = np.asarray(cv2.dilate(picture, np.ones((5, 5), np.uint8)), np.uint8)
    return _fitted(picture)


def _fitted(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    size = (max(1, round(width * _ROW / height)), _ROW)
    shrinks = size[1] < height
    resized = cv2.resize(
        picture, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    return np.ascontiguousarray(resized)


def _heading(row: list[Picture], source: Source, model: Model, *, with_truth: bool) -> Picture:
    width = sum(panel.shape[1] for panel in row) + _GAP * (len(row) - 1)
    heading = np.full((_TITLE + _COLUMN_TITLE, width, 3), _BACKGROUND, np.uint8)
    write_text(heading, f'{source.path.name}   {source.camera}', (0, 24), size=0.65)
    write_text(heading, f'model {model.path.name}', (0, 50), color=_FAINT)
    titles = ['camera', 'depth: near is bright', 'true depth', 'cloud from above']
    names = titles if with_truth else titles[:2] + titles[3:]
    left = 0
    for panel, name in zip(row, names, strict=True):
        write_text(heading, name, (left, _TITLE + 20), color=_FAINT)
        left += panel.shape[1] + _GAP
    return heading


def _joined(panels: list[Picture]) -> Picture:
    gap = np.full((_ROW, _GAP, 3), _BACKGROUND, np.uint8)
    parts = [part for panel in panels for part in (panel, gap)][:-1]
    return np.hstack(parts)


def _stack(rows: list[Picture]) -> Picture:
    width = max(row.shape[1] for row in rows)
    padded = [
        cv2.copyMakeBorder(
            row, 0, _GAP, 0, width - row.shape[1], cv2.BORDER_CONSTANT, value=_BACKGROUND
        )
        for row in rows
    ]
    whole = cv2.copyMakeBorder(
        np.vstack(padded), _GAP, _GAP, 2 * _GAP, 2 * _GAP, cv2.BORDER_CONSTANT, value=_BACKGROUND
    )
    return np.asarray(whole, np.uint8)
