# SPDX-License-Identifier: Apache-2.0
"""Chooses training items from a frame store: targets, their sources, and validation's share.

A target is compared with an earlier and a later frame of its camera (``mono``), with the frame
that the other camera took at the same moment (``stereo``), or with all three (``mono_stereo``).
The middle one of three cameras in a row is compared with both others (``trinocular``): what a near
thing hides from one, the other sees.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import ConfigError, TrainingError
from monodepth2_ros.typed_document import nearest
from monodepth2_training.data import split_notes
from monodepth2_training.data.frame_store import FrameStore, FrameTable
from monodepth2_training.data.neighbours import (
    Indices,
    Step,
    find_neighbours,
    find_partners,
)
from monodepth2_training.data.network_unit import is_stereo_pair, stand_in_rows
from monodepth2_training.data.time_blocks import choose_blocks, clocks, in_blocks

_SOURCES = {
    'mono': ('previous', 'next'),
    'stereo': ('partner',),
    'mono_stereo': ('previous', 'next', 'partner'),
    'trinocular': ('left', 'right'),
}

MODES = tuple(_SOURCES)
"""What a target is compared with: M, S and MS of the paper, and a row of three cameras."""


def source_names(mode: str) -> tuple[str, ...]:
    """Names of the sources of each item in a mode, in their order.

    Raises:
        ConfigError: the mode is not known.
    """
    if mode not in _SOURCES:
        raise ConfigError(f'mode {mode!r} is not known: {nearest(str(mode), MODES)}')
    return _SOURCES[mode]


def learns_motion(mode: str) -> bool:
    """Whether a mode compares frames of different moments, whose motion has to be learnt."""
    return 'next' in source_names(mode)


def needs_three_cameras(mode: str) -> bool:
    """Whether a mode learns from rows of three cameras, which no recording gives."""
    return 'left' in source_names(mode)


@dataclass(frozen=True, kw_only=True)
class TripletSettings:
    """How items are chosen."""

    min_motion: float = 0.004
    """Motion between target and source that is enough, as a share of the image width: 2.6 pixels
    of 640. A car in town makes it within a tenth of a second, down to about 2 m/s."""
    still_motion: float = 0.001
    """A target that moves less than this within ``min_step_s``, on both sides, stands still."""
    keep_standstill: bool = False
    """Whether targets that stand still are used, with sources chosen by time alone."""
    min_step_s: float = 0.075
    """Shortest time between target and source: 1 frame at 10 Hz, 3 frames at 30 Hz."""
    max_step_s: float = 0.5
    """Longest time between target and source, and between two frames without a cut."""
    validation: float = 0.1
    """Share of the time that is set aside for validation, in up to 5 blocks; 0 for none."""

    def __post_init__(self) -> None:
        """Refuse values that cannot be met."""
        for name, highest in _HIGHEST.items():
            value = getattr(self, name)
            if not 0.0 <= value <= highest:
                raise ConfigError(f'{name} {value} is out of range: expected 0 to {highest:g}')
        if self.max_step_s <= 0.0 or self.max_step_s < self.min_step_s:
            raise ConfigError(
                f'max_step_s {self.max_step_s} is too short: expected more than 0 and at least '
                f'min_step_s {self.min_step_s}'
            )

    @property
    def step(self) -> Step:
        """The same, as the search for neighbours takes it."""
        return Step(
            min_motion=self.min_motion,
            min_ns=max(1, round(self.min_step_s * 1e9)),
            max_ns=round(self.max_step_s * 1e9),
        )


_HIGHEST = {
    'min_motion': 1.0,
    'still_motion': 1.0,
    'min_step_s': 60.0,
    'max_step_s': 60.0,
    'validation': 0.5,
}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One training item: indices into the store."""

    camera: int
    """Camera of the target."""
    target: int
    """Index of the target in its camera's ``FrameTable``."""
    sources: tuple[tuple[int, int], ...]
    """Camera and index of each source, in the order of ``source_names``."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Items to train on and to validate with; no frame is in both."""

    training: tuple[Sample, ...]
    """In the order of cameras and time."""
    validation: tuple[Sample, ...]
    """In the order of cameras and time; may be empty, see ``notes``."""
    notes: tuple[str, ...]
    """What was dropped, how much of it and why; for the user."""


def make_split(store: FrameStore, *, mode: str, settings: TripletSettings) -> Split:
    """Choose items from all cameras of a store and set some aside for validation.

    Raises:
        ConfigError: the mode is not known.
        TrainingError: the store lacks the cameras of the mode, or no item is left.
    """
    names = source_names(mode)
    if 'partner' in names:
        _check_pair(store)
    if needs_three_cameras(mode):
        _check_rows(store)
    tables = [store.frames(camera) for camera in range(len(store.cameras))]
    times_ns = clocks(tables)
    drops: Counter[str] = Counter()
    found = []
    targets = range(1, len(tables), 3) if needs_three_cameras(mode) else range(len(tables))
    for camera in targets:
        sources, masks = _choose(camera, tables, times_ns, names, settings)
        dropped, reasons = _dropped(masks)
        drops += reasons
        found.append(_items(camera, sources)[~dropped])
    items = np.concatenate(found)
    considered = [tables[camera] for camera in targets]
    if len(items) == 0:
        raise TrainingError(
            split_notes.nothing_left(considered, drops, max_step_s=settings.max_step_s)
        )
    note = split_notes.targets_note(len(items), sum(map(len, considered)), drops)
    unused = [
        split_notes.unused_note(table, chosen[:, 0, 1])
        for table, chosen in zip(considered, found, strict=True)
    ]
    notes = tuple(dict.fromkeys([note, *filter(None, unused)]))
    return _divide(items, times_ns, settings.validation, notes)


def _check_pair(store: FrameStore) -> None:
    """Refuse a store without pairs of cameras at different places."""
    if len(store.cameras) % 2:
        raise TrainingError(
            f'{store.path} has {len(store.cameras)} camera(s): a stereo mode needs the two of a '
            'rectified pair; extract both, or train in mode mono'
        )
    if not is_stereo_pair(store.cameras):
        raise TrainingError(
            f'{store.path} has both cameras at one place: a stereo mode needs the baseline, '
            'which the right camera_info holds in P[0, 3] as minus fx times metres; calibrate '
            'the pair, or train in mode mono'
        )


def _check_rows(store: FrameStore) -> None:
    """Refuse a store without three cameras in a row."""
    if not stand_in_rows(store.cameras, 3):
        raise TrainingError(
            f'{store.path} has {len(store.cameras)} camera(s), not three side by side, or rows of '
            'three: mode trinocular learns from generated drives with generated.cameras 3 and '
            'generated.baseline_m; train in mode stereo, mono_stereo or mono'
        )


def _choose(
    camera: int,
    tables: Sequence[FrameTable],
    times_ns: Sequence[Indices],
    names: Sequence[str],
    settings: TripletSettings,
) -> tuple[list[tuple[int, Indices]], dict[str, NDArray[np.bool_]]]:
    """Camera and index of the sources of all frames of a camera, and which frames to drop."""
    sources, masks = [], {}
    if 'next' in names:
        earlier, later = find_neighbours(tables[camera], settings.step)
        missing = (earlier.index < 0) | (later.index < 0)
        still = np.maximum(earlier.motion, later.motion) < settings.still_motion
        masks[split_notes.UNREACHED] = missing
        masks[split_notes.STILL] = still & (not settings.keep_standstill)
        sources = [(camera, np.where(still, n.by_time, n.index)) for n in (earlier, later)]
    for other in _others(camera, names):
        pair = tables[camera], tables[other]
        partner = find_partners(times_ns[camera], times_ns[other], *pair)
        masks[split_notes.ALONE] = masks.get(split_notes.ALONE, False) | (partner < 0)
        sources.append((other, partner))
    return sources, masks


def _others(camera: int, names: Sequence[str]) -> list[int]:
    """Numbers of the cameras that a camera is compared with, in the order of ``names``."""
    beside = {'partner': camera ^ 1, 'left': camera - 1, 'right': camera + 1}
    return [beside[name] for name in names if name in beside]


def _dropped(
    masks: Mapping[str, NDArray[np.bool_]],
) -> tuple[NDArray[np.bool_], Counter[str]]:
    """Which frames are dropped for one reason or another, and how many for which reason first."""
    dropped = np.zeros_like(next(iter(masks.values())))
    reasons: Counter[str] = Counter()
    for reason, mask in masks.items():
        reasons[reason] = int((mask & ~dropped).sum())
        dropped |= mask
    return dropped, reasons


def _items(camera: int, sources: Sequence[tuple[int, Indices]]) -> Indices:
    """Camera and index of the frames of all a camera's items, [N, 1 + S, 2]."""
    count = len(sources[0][1])
    frames = [(camera, np.arange(count)), *sources]
    columns = [np.stack([np.full(count, c), index], axis=1) for c, index in frames]
    return np.stack(columns, axis=1)


def _divide(
    items: Indices, times_ns: Sequence[Indices], share: float, notes: tuple[str, ...]
) -> Split:
    """Items [N, 1 + S, 2] whose frames are all in validation's blocks, or all outside."""
    begins = np.cumsum([0, *map(len, times_ns)])
    times = np.concatenate(times_ns)[begins[items[..., 0]] + items[..., 1]]
    leading = int(np.bincount(items[:, 0, 0]).argmax())
    edges = choose_blocks(times, times[items[:, 0, 0] == leading, 0], share)
    inside = in_blocks(times, edges)
    training, validation = items[~inside.any(axis=1)], items[inside.all(axis=1)]
    if len(training) == 0 or len(validation) == 0:
        unsplit = (split_notes.unsplit_note(len(items), share),) if share else ()
        return Split(training=_samples(items), validation=(), notes=(*notes, *unsplit))
    sides = split_notes.split_note(
        training=len(training),
        validation=len(validation),
        left_out=len(items) - len(training) - len(validation),
        blocks=len(edges) // 2,
    )
    return Split(
        training=_samples(training), validation=_samples(validation), notes=(*notes, sides)
    )


def _samples(items: Indices) -> tuple[Sample, ...]:
    """Items [N, 1 + S, 2] one by one."""
    return tuple(
        Sample(camera=frames[0][0], target=frames[0][1], sources=tuple(map(tuple, frames[1:])))
        for frames in items.tolist()
    )
