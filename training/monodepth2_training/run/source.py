# SPDX-License-Identifier: Apache-2.0
"""What a run trains on: a frame store, recordings to be extracted first, or generated drives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from monodepth2_ros.errors import CalibrationError, RecordingError
from monodepth2_ros.geometry.calibration_file import load_calibration
from monodepth2_ros.recordings import open_recording
from monodepth2_training.data.bags import choose_stereo_pair
from monodepth2_training.data.extraction import extract
from monodepth2_training.data.extraction_settings import ExtractionSettings
from monodepth2_training.data.frame_store import FrameStore
from monodepth2_training.data.generated_settings import GeneratedSettings
from monodepth2_training.data.generated_store import generate_store
from monodepth2_training.data.listed_drives import lists_both_cameras
from monodepth2_training.data.network_unit import is_stereo_pair
from monodepth2_training.data.store_document import DOCUMENT
from monodepth2_training.data.triplets import needs_three_cameras

if TYPE_CHECKING:
    from monodepth2_training.config import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class RunSource:
    """What a run trains on, so that it can be resumed without naming it again."""

    frame_store: str
    """Folder of the frame store."""
    recordings: tuple[str, ...] = ()
    """What is extracted into it; empty if the store was given."""
    extraction: ExtractionSettings = field(default_factory=ExtractionSettings)
    """How recordings are extracted."""
    calibration: str = ''
    """Camera YAML that replaces the recorded calibration; empty for none."""
    generated: GeneratedSettings = field(default_factory=GeneratedSettings)
    """Drives that are rendered in place of recordings."""


def choose_source(
    paths: Sequence[Path],
    frames: Path,
    config: TrainingConfig,
    *,
    cameras: Sequence[str] = (),
    fps: float = 0.0,
    calibration: str = '',
    split: Path | None = None,
) -> RunSource:
    """Take one frame store, or recordings that are to be extracted into ``frames``.

    Args:
        paths: one frame store, recordings, or beside a list KITTI's root.
        frames: folder of the frame store to be made.
        config: decides the size, and whether a pair is needed.
        cameras: image topics or namespaces; empty finds them.
        fps: true frame rate of a video or image folder.
        calibration: camera YAML that replaces the recorded one.
        split: list of frames of KITTI; one that names both cameras gives both.

    Raises:
        RecordingError: there is no source, one does not exist, a frame store is among several, or
            recordings cannot give what the mode needs.
        EvaluationError: the list cannot be read.
    """
    if not paths and config.generated.drives:
        return RunSource(
            frame_store=str(frames.resolve()),
            extraction=ExtractionSettings(
                width=config.network.width, height=config.network.height
            ),
            generated=config.generated,
        )
    stores = [path for path in paths if (path / DOCUMENT).is_file()]
    _check_paths(paths, stores, config.mode)
    if stores:
        return RunSource(frame_store=str(stores[0].resolve()))
    settings = ExtractionSettings(
        width=config.network.width,
        height=config.network.height,
        cameras=tuple(cameras),
        stereo=config.mode != 'mono' or (split is not None and lists_both_cameras(split)),
        fps=fps,
        split='' if split is None else str(split.resolve()),
    )
    return RunSource(
        frame_store=str(frames.resolve()),
        recordings=tuple(str(path.resolve()) for path in paths),
        extraction=settings,
        calibration=str(Path(calibration).resolve()) if calibration else '',
    )


def _check_paths(paths: Sequence[Path], stores: Sequence[Path], mode: str) -> None:
    """Refuse what a run of this mode cannot be given."""
    if not paths or (stores and len(paths) > 1):
        raise RecordingError(
            f'{len(paths)} sources with {len(stores)} frame store(s) among them: give one or more '
            'recordings, or one frame store'
        )
    if not stores and needs_three_cameras(mode):
        raise RecordingError(
            f'mode {mode} learns from generated drives, and recordings give two cameras at most: '
            'add --set mode=stereo for a pair, or --set mode=mono'
        )
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise RecordingError(f'{missing[0]} does not exist: expected a recording or a frame store')


def holds_pair(paths: Sequence[Path], *, cameras: Sequence[str] = ()) -> bool:
    """Whether the first frame store or recording, if there is one, holds a rectified pair.

    Args:
        paths: one frame store, or recordings of the same cameras.
        cameras: those that were named; one alone is meant to be used alone.

    Raises:
        RecordingError: it cannot be read.
    """
    if paths and (paths[0] / DOCUMENT).is_file():
        return is_stereo_pair(FrameStore.open(paths[0]).cameras)
    if not paths or len(cameras) == 1:
        return False
    with open_recording(paths[0]) as recording:
        try:
            choose_stereo_pair(recording, cameras)
        except (RecordingError, CalibrationError):
            return False
    return True


def open_source(source: RunSource, watch: Callable[[int, int], None]) -> FrameStore:
    """Open the frame store of a run that is resumed; its recordings are needed for the rest only.

    Raises:
        RecordingError: the store is damaged, or a recording cannot be read.
        CalibrationError: a camera has no usable calibration.
    """
    try:
        return FrameStore.open(Path(source.frame_store))
    except RecordingError:
        return make_source(source, watch)


def make_source(source: RunSource, watch: Callable[[int, int], None]) -> FrameStore:
    """Make the frame store of a new run, or go on with what was begun from the same content.

    Raises:
        RecordingError: the store is damaged, a recording cannot be read, or a recording or the
            calibration has changed since the store was begun.
        CalibrationError: a camera has no usable calibration.
    """
    store, size = Path(source.frame_store), source.extraction
    if source.generated.drives:
        return generate_store(
            store, source.generated, width=size.width, height=size.height, watch=watch
        )
    if not source.recordings:
        return FrameStore.open(store)
    calibration = load_calibration(source.calibration) if source.calibration else None
    recordings = [Path(path) for path in source.recordings]
    return extract(recordings, store, source.extraction, calibration=calibration, watch=watch)
