# SPDX-License-Identifier: Apache-2.0
"""From recordings to a frame store: pictures as the node's network sees them, ready to train on.

Every core prepares pictures; reading and writing go on in order in the calling thread, and no
more than a few pictures per core are held at a time. A run that ended early is continued by the
same call.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import takewhile
from pathlib import Path

from monodepth2_ros.errors import RecordingError
from monodepth2_ros.geometry.camera import CameraCalibration
from monodepth2_ros.processor import core_count
from monodepth2_ros.recordings import Recording
from monodepth2_training.data.bags import (
    DriveFrame,
    choose_drive_camera,
    choose_stereo_pair,
    drive_frames,
)
from monodepth2_training.data.camera_plan import CameraPlan, plan_cameras
from monodepth2_training.data.extraction_books import STORED, ExtractionBooks
from monodepth2_training.data.extraction_groups import Group, grouped
from monodepth2_training.data.extraction_settings import ExtractionSettings
from monodepth2_training.data.first_pictures import channel_count
from monodepth2_training.data.frame_selection import FrameSelection
from monodepth2_training.data.frame_store import FrameStore
from monodepth2_training.data.frame_store_writer import open_writer
from monodepth2_training.data.listed_drives import open_sources
from monodepth2_training.data.odometry import OdometryReader, named_topic, odometry_reader
from monodepth2_training.data.ordered_work import in_order
from monodepth2_training.data.preparation import Preparation, Prepared, Skipped
from monodepth2_training.data.rigs import same_rigs
from monodepth2_training.data.store_document import Progress, StoreDocument

__all__ = ['ExtractionSettings', 'extract']

Plans = tuple[CameraPlan, ...]

_READ_ON_S = 5.0


def extract(
    paths: Sequence[Path],
    out: Path,
    settings: ExtractionSettings,
    *,
    calibration: CameraCalibration | None = None,
    afresh: bool = False,
    workers: int = 0,
    watch: Callable[[int, int], None] | None = None,
) -> FrameStore:
    """Extract recordings into one frame store, or go on with what was begun.

    Args:
        paths: the recordings, each anything that ``open_recording`` takes; with a list of frames
            in the settings, KITTI's root.
        out: folder of the store.
        settings: what to take.
        calibration: replaces the recorded one.
        afresh: whether a store that is there is deleted first.
        workers: threads that prepare pictures; 0 is one for each core.
        watch: is told how many messages are dealt with and how many there are.

    Returns:
        the finished store.

    Raises:
        RecordingError: nothing in a recording can be read, it lacks the odometry that is named,
            ``out`` cannot be used or written, or no picture could be stored.
        CalibrationError: a camera has no usable calibration, or the recordings' cameras differ
            by more than calibrations of one kind of camera do.
    """
    with ExitStack() as stack:
        opened = open_sources(paths, settings, calibration=calibration)
        recordings = [stack.enter_context(recording) for recording in opened]
        plans = [_plans(recording, settings) for recording in recordings]
        rigs = same_rigs(recordings, plans)
        document = _document(recordings, plans, rigs, settings)
        _check_wanted(recordings, settings)
        cameras = [plan for rig in sorted(set(rigs)) for plan in plans[rig]]
        preparations = _preparations(cameras, document)
        stack.enter_context(_told_where(out))
        writer = stack.enter_context(open_writer(out, document, afresh=afresh))
        books = ExtractionBooks(writer, most_frames=settings.max_frames or None)
        try:
            for number in range(books.progress.recording, len(recordings)):
                run = _RecordingRun(
                    recordings[number],
                    plans[number],
                    len(plans[0]) * sorted(set(rigs)).index(rigs[number]),
                    preparations,
                    settings,
                    books,
                )
                run.go(workers or core_count(), _Watched(watch, plans, number))
            _finish(books)
        except BaseException:
            with suppress(OSError):
                books.save()
            raise
    return FrameStore.open(out)


@contextmanager
def _told_where(out: Path) -> Iterator[None]:
    """Let a full disk be told with the store's name and how to go on."""
    try:
        yield
    except OSError as err:
        raise RecordingError(
            f'{out} cannot be written: {err.strerror or err}; make room or mend the permissions '
            'and start again in the same way: what is stored already is kept'
        ) from err


class _RecordingRun:
    """Extracts one recording."""

    def __init__(
        self,
        recording: Recording,
        plans: Plans,
        first_camera: int,
        preparations: Sequence[Preparation],
        settings: ExtractionSettings,
        books: ExtractionBooks,
    ) -> None:
        """Take a recording whose cameras are those of the store from ``first_camera`` on."""
        self._recording, self._plans, self._settings = recording, plans, settings
        self._first_camera, self._preparations = first_camera, preparations
        self._books = books

    def go(self, workers: int, watched: _Watched) -> None:
        """Prepare and store all pictures that are still to be dealt with."""
        books, odometry = self._books, self._odometry()
        selection = FrameSelection(len(self._preparations), keep_every=self._settings.keep_every)
        frames = self._frames(odometry)
        end_ns = self._recording.start_ns + round((self._settings.end_s or float(2**32)) * 1e9)
        wanted = takewhile(lambda frame: frame.message.stamp_ns < end_ns, frames)
        groups = grouped(wanted, selection, done=books.progress.messages, tails=books.tails())
        results = in_order(groups, self._prepare, workers=workers)
        try:
            for group, prepared in results:
                books.enter(group, prepared)
                watched.tell(sum(books.progress.messages))
                if books.full:
                    break
            if odometry is not None:
                _read_on(frames)
        finally:
            results.close()
            # Some damage shows only where it is read.
            books.note(*self._recording.notes)
        books.begin_next_recording(
            None if odometry is None else odometry.odometry(), self._recording.damaged_files
        )

    def _prepare(self, group: Group) -> list[Prepared | Skipped]:
        return self._preparations[group.camera](group.frames, group.before, group.tail)

    def _frames(self, odometry: OdometryReader | None) -> Iterator[DriveFrame]:
        """All frames from the wanted time on, up to where the recording is damaged."""
        start_ns = self._recording.start_ns + round(self._settings.start_s * 1e9)
        cameras = [plan.drive for plan in self._plans]
        try:
            for frame in drive_frames(self._recording, cameras, odometry):
                if frame.message.stamp_ns >= start_ns:
                    yield dataclasses.replace(frame, camera=self._first_camera + frame.camera)
        except RecordingError as err:
            self._books.note(str(err))

    def _odometry(self) -> OdometryReader | None:
        """What takes the odometry; None where there is none or it cannot be read."""
        try:
            return odometry_reader(self._recording, self._settings.odometry)
        except RecordingError as err:
            if self._settings.odometry:
                raise
            self._books.note(f'no odometry: {err}')
            return None


def _read_on(frames: Iterator[DriveFrame]) -> None:
    """Read on a little, so that the last pictures lie between odometry."""
    first = next(frames, None)
    for frame in frames:
        if first and frame.message.stamp_ns - first.message.stamp_ns > _READ_ON_S * 1e9:
            return


class _Watched:
    """Tells of the progress over all recordings."""

    def __init__(
        self, watch: Callable[[int, int], None] | None, plans: Sequence[Plans], number: int
    ) -> None:
        counts = [sum(plan.drive.topics.frames for plan in cameras) for cameras in plans]
        self._watch, self._before, self._total = watch, sum(counts[:number]), sum(counts)

    def tell(self, messages: int) -> None:
        """So many messages of this recording are dealt with."""
        if self._watch is not None:
            self._watch(self._before + messages, self._total)


def _plans(recording: Recording, settings: ExtractionSettings) -> Plans:
    """The cameras to take and how."""
    if settings.stereo:
        return plan_cameras(choose_stereo_pair(recording, settings.cameras))
    return plan_cameras([choose_drive_camera(recording, *settings.cameras)])


def _check_wanted(recordings: Sequence[Recording], settings: ExtractionSettings) -> None:
    """Refuse what is asked for and not there, before anything is written or deleted.

    Raises:
        RecordingError: a recording lacks the odometry that is named, or all end before the start.
    """
    if settings.odometry:
        for recording in recordings:
            named_topic(recording, settings.odometry)
    longest = max(recordings, key=lambda recording: recording.duration_s)
    if settings.start_s > longest.duration_s:
        raise RecordingError(
            f'start_s is {settings.start_s:g}, but {longest.name} is {longest.duration_s:.1f} s '
            'long: begin earlier'
        )


def _document(
    recordings: Sequence[Recording],
    plans: Sequence[Plans],
    rigs: Sequence[int],
    settings: ExtractionSettings,
) -> StoreDocument:
    """The document of the store before anything is in it."""
    stored = tuple(
        plan.stored(
            width=settings.width,
            height=settings.height,
            channels=channel_count(recordings[rig], plan),
            of=f' of {recordings[rig].name}' if rig else '',
        )
        for rig in sorted(set(rigs))
        for plan in plans[rig]
    )
    asked = {name: str(value) for name, value in dataclasses.asdict(settings).items()}
    asked['recordings'] = ', '.join(
        f'{r.name} ({r.message_count} messages from {r.start_ns / 1e9:.3f} s on)'
        for r in recordings
    )
    given = recordings[0].given_calibration
    if given is not None:
        asked['calibration'] = str(given)
    return StoreDocument(
        width=settings.width,
        height=settings.height,
        resize=settings.resize,
        cameras=stored,
        sources=tuple(recording.name for recording in recordings),
        arguments=asked,
        progress=Progress(frames=(0,) * len(stored)),
    )


def _preparations(plans: Sequence[CameraPlan], document: StoreDocument) -> list[Preparation]:
    """How the pictures of each camera of the store are made."""
    return [
        Preparation(
            plan,
            width=document.width,
            height=document.height,
            resize=document.resize,
            channels=camera.channels,
        )
        for plan, camera in zip(plans, document.cameras, strict=True)
    ]


def _finish(books: ExtractionBooks) -> None:
    """Mark the store as complete, unless there is nothing in it."""
    tally = books.progress.tally
    if not tally.get(STORED):
        found = ', '.join(f'{count} {outcome}' for outcome, count in tally.items()) or 'no message'
        details = '; '.join(books.progress.details.values())
        raise RecordingError(f'no picture could be stored: {found}. {details}'.strip())
    if not books.progress.complete:
        books.finish()
