# SPDX-License-Identifier: Apache-2.0
"""Keeps the books of an extraction: writes what was prepared, counts what was not, saves both."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

from monodepth2_training.data.bags import DriveFrame
from monodepth2_training.data.extraction_groups import Group
from monodepth2_training.data.frame_selection import LONGEST_GAP_S
from monodepth2_training.data.frame_store_writer import FrameRecord, FrameStoreWriter
from monodepth2_training.data.odometry import Odometry
from monodepth2_training.data.picture_motion import small_picture
from monodepth2_training.data.preparation import DAMAGED, Prepared, Skipped, Tail

STORED = 'stored'
"""The outcome of a picture that is in the store."""

_CHECKPOINT_PERIOD_S = 5.0


class ExtractionBooks:
    """What one run has stored so far, on top of what earlier runs stored.

    Attributes:
        progress: up to the last group that was entered as a whole.
    """

    def __init__(self, writer: FrameStoreWriter, *, most_frames: int | None = None) -> None:
        """Continue where the store ends; store at most ``most_frames`` of each camera."""
        self._writer, self._most_frames = writer, most_frames
        progress = writer.document.progress
        messages = progress.messages or (0,) * len(writer.frames)
        earlier = writer.frames if progress.earlier is None else progress.earlier
        self.progress = replace(progress, messages=messages, earlier=earlier)
        self._last = [writer.last(camera) for camera in range(len(messages))]
        self._stamps_ns = [None if last is None else last[0].stamp_ns for last in self._last]
        self._parts = [-1 if last is None else last[0].part for last in self._last]
        self._cut = list(progress.cuts or (False,) * len(messages))
        self._hole = list(progress.holes or (False,) * len(messages))
        self._saved_s = time.monotonic()

    @property
    def full(self) -> bool:
        """Whether every camera has as many pictures as wanted."""
        most = self._most_frames
        return most is not None and min(self.progress.frames) >= most

    def tails(self) -> list[Tail]:
        """The small picture of each camera's last stored picture."""
        tails: list[Tail] = [Future() for _ in self._last]
        for tail, last in zip(tails, self._last, strict=True):
            tail.set_result(None if last is None else small_picture(last[1]))
        return tails

    def enter(self, group: Group, results: Sequence[Prepared | Skipped]) -> None:
        """Store the pictures of a group and count all its messages."""
        tally, details = Counter(self.progress.tally), dict(self.progress.details)
        tally.update(group.left_out)
        for frame, cut, result in zip(group.frames, group.cuts, results, strict=True):
            self._cut[group.camera] |= cut
            outcome = self._settle(frame, result)
            tally[outcome] += 1
            if isinstance(result, Skipped):
                details.setdefault(outcome, f'{frame.message.topic}: {result.detail}')
        messages = list(self.progress.messages)
        messages[group.camera] = group.messages
        self.progress = replace(
            self.progress,
            frames=self._writer.frames,
            messages=tuple(messages),
            cuts=tuple(self._cut),
            holes=tuple(self._hole),
            tally=dict(tally),
            details=details,
        )
        if time.monotonic() - self._saved_s > _CHECKPOINT_PERIOD_S:
            self.save()

    def begin_next_recording(self, odometry: Odometry | None, damaged: Sequence[Path]) -> None:
        """All messages of a recording are dealt with.

        Args:
            odometry: the recording's, if it has any.
            damaged: files of pictures that it had no message of.
        """
        if odometry is not None:
            for camera, first in enumerate(self.progress.earlier or ()):
                self._writer.enter_odometry(camera, first, odometry.at)
        tally, details = Counter(self.progress.tally), dict(self.progress.details)
        if damaged:
            tally[DAMAGED] += len(damaged)
            details.setdefault(DAMAGED, damaged[0].name)
        self.progress = replace(
            self.progress,
            recording=self.progress.recording + 1,
            earlier=self._writer.frames,
            messages=(0,) * len(self.progress.messages),
            tally=dict(tally),
            details=details,
        )
        self.save()

    def note(self, *notes: str) -> None:
        """Keep notes about the recordings, each once."""
        kept = dict.fromkeys((*self.progress.notes, *notes))
        self.progress = replace(self.progress, notes=tuple(kept))

    def finish(self) -> None:
        """Mark the store as complete."""
        self.progress = replace(self.progress, complete=True)
        self.save()

    def save(self) -> None:
        """Make everything count that was entered so far."""
        self._writer.checkpoint(self.progress)
        self._saved_s = time.monotonic()

    def _settle(self, frame: DriveFrame, result: Prepared | Skipped) -> str:
        """Store one picture, or not; gives the outcome."""
        camera = frame.camera
        if isinstance(result, Skipped):
            self._hole[camera] = True
            return result.cause
        if self._most_frames is not None and self._writer.frames[camera] >= self._most_frames:
            return 'more than wanted'
        cut = self._cut[camera] or self._is_gap(camera, frame.stamp_ns)
        self._cut[camera] = self._hole[camera] = False
        self._parts[camera] += cut
        self._stamps_ns[camera] = frame.stamp_ns
        record = FrameRecord(
            stamp_ns=frame.stamp_ns,
            part=self._parts[camera],
            motion=float('nan') if cut else result.motion,
            brightness=result.brightness,
            clipped=result.clipped,
        )
        self._writer.append(camera, result.pixels, record)
        return STORED

    def _is_gap(self, camera: int, stamp_ns: int) -> bool:
        """Whether so many pictures could not be used that this one has no neighbour before it."""
        last_ns = self._stamps_ns[camera]
        if last_ns is None:
            return True
        return self._hole[camera] and stamp_ns - last_ns > LONGEST_GAP_S * 1e9
