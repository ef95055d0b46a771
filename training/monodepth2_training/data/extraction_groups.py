# SPDX-License-Identifier: Apache-2.0
"""Cuts the stream of frames into groups that are prepared at once, each of one camera."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from monodepth2_training.data.bags import DriveFrame
from monodepth2_training.data.frame_selection import FrameSelection
from monodepth2_training.data.preparation import GROUP, Tail


@dataclass(kw_only=True)
class Group:
    """Frames of one camera that follow each other, and what was left out between them."""

    camera: int
    """Number of the camera."""
    before: Tail
    """Last small picture of the group before."""
    tail: Tail = field(default_factory=Future)
    """Last small picture of this one."""
    frames: list[DriveFrame] = field(default_factory=list)
    """At most ``preparation.GROUP``."""
    cuts: list[bool] = field(default_factory=list)
    """For each frame, whether the one before it is no neighbour."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Messages among them that were not taken, by outcome."""
    messages: int = 0
    """Messages of the camera up to here."""


def grouped(
    frames: Iterable[DriveFrame],
    selection: FrameSelection,
    *,
    done: Sequence[int],
    tails: list[Tail],
) -> Iterator[Group]:
    """Select and group the frames of one recording.

    Args:
        frames: all frames in the order of recording.
        selection: decides which are taken.
        done: for each camera, how many of its messages were dealt with by an earlier run.
        tails: for each camera, the last small picture so far; replaced by that of its last group.
    """
    seen = [0] * len(tails)
    open_groups = [Group(camera=c, before=tail) for c, tail in enumerate(tails)]
    for frame in frames:
        camera = frame.camera
        choice = selection.choose(camera, frame.stamp_ns)
        seen[camera] += 1
        if seen[camera] <= done[camera]:
            continue
        group = open_groups[camera]
        group.messages = seen[camera]
        if choice.outcome != 'taken':
            group.left_out[choice.outcome] += 1
            continue
        group.frames.append(frame)
        group.cuts.append(choice.cut)
        if len(group.frames) == GROUP:
            tails[camera] = group.tail
            open_groups[camera] = Group(camera=camera, before=group.tail, messages=seen[camera])
            yield group
    for camera, group in enumerate(open_groups):
        group.messages = max(seen[camera], done[camera])
        tails[camera] = group.tail
        yield group
