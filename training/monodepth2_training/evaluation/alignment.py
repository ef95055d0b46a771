# SPDX-License-Identifier: Apache-2.0
"""Finds a wrong mounting or a wrong clock by looking where rims in true depth fit the pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import atan, degrees
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import ImageError
from monodepth2_ros.recordings.cameras import decode_frame, frame_stamp_ns
from monodepth2_training.evaluation.edges import (
    FEWEST_FRAMES,
    FEWEST_JUMPS,
    Places,
    better_place,
    depth_jumps,
    enlargement,
    fit,
    picture_edges,
)
from monodepth2_training.evaluation.evaluation import Doubt

if TYPE_CHECKING:
    from monodepth2_ros.inference.views import View
    from monodepth2_ros.recordings import Recording
    from monodepth2_training.evaluation.true_frames import TrueFrame

_MOST_FRAMES = 16
_PICTURES_AROUND = 3
_STEPS, _STEP_RAD = 7, 0.006
_UNREMARKABLE = 1.1
_UNKNOWN_FOCAL_PX = 500.0


@dataclass(frozen=True, kw_only=True)
class Rims:
    """The jumps in true depth of one frame."""

    stamp_ns: int
    """Of its picture."""
    places: Places
    """Rows and columns [N, 2] in the enlarged picture."""


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """How true depth fits the pictures."""

    frames: int
    """Frames that were looked at; 0 says nothing."""
    delay_s: float
    """How much later truth is stamped than the picture that it fits; 0 if it fits its own."""
    fit: float
    """How well rims lie on edges of their own pictures, 0 to 1."""
    fit_elsewhere: float
    """The same in the mean over other places of these pictures: what chance gives."""
    turn_deg: tuple[float, float]
    """By how much truth would fit better further right and down; 0 if it fits where it is."""
    examples: tuple[tuple[str, NDArray[np.uint8]], ...]
    """Some pictures, RGB [H, W, 3], with rims drawn onto them."""


def rims_of(frame: TrueFrame) -> Rims:
    """The jumps of a frame."""
    times = enlargement(frame.true_m.shape[1])
    true_m = frame.true_m.repeat(times, axis=0).repeat(times, axis=1)
    return Rims(stamp_ns=frame.stamp_ns, places=depth_jumps(true_m))


def check_alignment(
    recording: Recording, image_topic: str, view: View, rims: list[Rims]
) -> Alignment:
    """Try rims on their own pictures, on the pictures around them, and moved about.

    Args:
        recording: what holds the pictures.
        image_topic: of the pictures.
        view: how they are rectified.
        rims: of all judged frames; some are looked at.
    """
    usable = [one for one in rims if len(one.places) >= FEWEST_JUMPS]
    chosen = usable[:: max(1, -(-len(usable) // _MOST_FRAMES))]
    if len(chosen) < FEWEST_FRAMES:
        return Alignment(
            frames=0, delay_s=0.0, fit=0.0, fit_elsewhere=0.0, turn_deg=(0.0, 0.0), examples=()
        )
    stamps = [frame_stamp_ns(message) for message in recording.messages([image_topic])]
    around = {one.stamp_ns: _around(stamps, one.stamp_ns) for one in chosen}
    wanted = {stamp for stamps in around.values() for stamp in stamps}
    step_px = max(1, round(_STEP_RAD * _focal_px(view)))
    by_stamp = {one.stamp_ns: one.places for one in chosen}
    in_time: dict[int, dict[int, float]] = {one.stamp_ns: {} for one in chosen}
    moved: list[dict[tuple[int, int], float]] = []
    examples = []
    for stamp_ns, rgb in _pictures(recording, image_topic, view, wanted):
        edges = picture_edges(rgb)
        for own_ns, neighbours in around.items():
            if stamp_ns in neighbours:
                later = neighbours.index(stamp_ns) - neighbours.index(own_ns)
                in_time[own_ns][later] = fit(edges, by_stamp[own_ns])
        if stamp_ns in by_stamp:
            moved.append(_fits_moved(edges, by_stamp[stamp_ns], step_px))
            if len(moved) in (2, 5, 8):
                seconds = (stamp_ns - recording.start_ns) / 1e9
                examples.append((f'{seconds:.2f} s', _drawn(rgb, by_stamp[stamp_ns])))
    return _alignment(in_time, moved, stamps, step_px, view, tuple(examples))


def _alignment(
    in_time: dict[int, dict[int, float]],
    moved: list[dict[tuple[int, int], float]],
    stamps: list[int],
    step_px: int,
    view: View,
    examples: tuple[tuple[str, NDArray[np.uint8]], ...],
) -> Alignment:
    """Draw the conclusions."""
    period_s = float(np.median(np.diff(np.sort(stamps)))) / 1e9
    complete = [f for f in in_time.values() if len(f) == 2 * _PICTURES_AROUND + 1]
    when, where = better_place(complete, 0), better_place(moved, (0, 0))
    elsewhere = float(np.mean([list(fits.values()) for fits in moved])) if moved else 0.0
    # With a mounting that is far off, some picture fits best by chance.
    if when and when.fit < _UNREMARKABLE * elsewhere:
        when = None
    # Each looks a little like the other: what fits better is what happened.
    if when and where:
        when, where = (when, None) if when.fit >= where.fit else (None, where)
    right, down = where.place if where and isinstance(where.place, tuple) else (0, 0)
    return Alignment(
        frames=len(moved),
        delay_s=-when.place * period_s if when and isinstance(when.place, int) else 0.0,
        fit=float(np.mean([fits[0, 0] for fits in moved])) if moved else 0.0,
        fit_elsewhere=elsewhere,
        turn_deg=(degrees(atan(right / _focal_px(view))), degrees(atan(down / _focal_px(view)))),
        examples=examples,
    )


def alignment_doubts(alignment: Alignment, *, lidar: bool) -> list[Doubt]:
    """What an alignment says about the truth."""
    if not alignment.frames:
        return []
    if alignment.delay_s:
        late, amount = ('late', alignment.delay_s * 1e3)
        if amount < 0.0:
            late, amount = ('early', -amount)
        return [
            Doubt(
                what=f'The truth is stamped {amount:.0f} ms too {late}: its rims fit the pictures '
                f'of then better than their own, in {alignment.frames} frames.',
                advice=f'Synchronise the clocks, or add --truth-delay-ms '
                f'{alignment.delay_s * 1e3:.0f} and look at the overlays again: if rims '
                'still miss, the mounting is wrong.',
                urgent=True,
            )
        ]
    right, down = alignment.turn_deg
    source = 'extrinsics or camera_info' if lidar else 'the depth image or its camera_info'
    if right or down:
        return [
            Doubt(
                what='The truth does not lie on the picture: its rims fit better '
                f'{_direction(right, down)}.',
                advice=f'Check {source}; look at the overlays.',
                urgent=True,
            )
        ]
    if alignment.fit < _UNREMARKABLE * alignment.fit_elsewhere:
        return [
            Doubt(
                what='Rims in the truth lie on edges of the picture no more often than by chance '
                f'({alignment.fit:.2f} where they should, {alignment.fit_elsewhere:.2f} '
                'elsewhere).',
                advice=f'Check {source} and the clocks; look at the overlays.',
                urgent=True,
            )
        ]
    return []


def _direction(right_deg: float, down_deg: float) -> str:
    """A small turn in words."""
    sides = (
        (abs(right_deg), 'to the right' if right_deg > 0.0 else 'to the left'),
        (abs(down_deg), 'down' if down_deg > 0.0 else 'up'),
    )
    words = ' and '.join(f'{angle:.1f} degrees {side}' for angle, side in sides if angle)
    farthest = max(angle for angle, _ in sides)
    searched = degrees(atan(_STEPS * _STEP_RAD))
    return words if farthest < 0.9 * searched else f'{words}, where the search ends, or farther'


def _around(stamps: list[int], own_ns: int) -> list[int]:
    """Stamps of a picture and of those around it, in order."""
    place = stamps.index(own_ns)
    return stamps[max(0, place - _PICTURES_AROUND) : place + _PICTURES_AROUND + 1]


def _pictures(
    recording: Recording, image_topic: str, view: View, wanted: set[int]
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Some pictures as the network sees them, small ones enlarged."""
    for message in recording.messages([image_topic]):
        stamp_ns = frame_stamp_ns(message)
        if stamp_ns not in wanted:
            continue
        try:
            rgb = view.rectified(decode_frame(message))
        except ImageError:
            continue
        times = enlargement(rgb.shape[1])
        yield stamp_ns, np.asarray(cv2.resize(rgb, None, fx=times, fy=times))


def _focal_px(view: View) -> float:
    """Of the enlarged pictures."""
    camera = view.camera
    return camera.fx_px * enlargement(camera.width) if camera else _UNKNOWN_FOCAL_PX


def _fits_moved(
    edges: NDArray[np.float32], places: Places, step_px: int
) -> dict[tuple[int, int], float]:
    """How well rims fit, moved to the right and down by up to 2.4 degrees."""
    steps = range(-_STEPS * step_px, _STEPS * step_px + 1, step_px)
    return {(x, y): fit(edges, places, right_px=x, down_px=y) for x in steps for y in steps}


def _drawn(rgb: NDArray[np.uint8], places: Places) -> NDArray[np.uint8]:
    """A picture with rims drawn onto it."""
    drawn = rgb.copy()
    for row, column in places:
        drawn[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = (255, 60, 0)
    return drawn
