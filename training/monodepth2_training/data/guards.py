# SPDX-License-Identifier: Apache-2.0
"""Looks for what would spoil the training on a frame store, and says what to do about it.

Motion is the median optical flow, as a share of the image width, over the shortest time between
frames that training compares: each single frame of a fast camera moves little. The bands are wide:
a KITTI drive at 10 Hz lies at 0.015, between 0.005 and 0.03.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.geometry.camera import PinholeCamera
from monodepth2_training.data.frame_store import FrameStore, FrameTable
from monodepth2_training.data.neighbours import find_neighbours, find_partners, period_ns
from monodepth2_training.data.network_unit import is_stereo_pair
from monodepth2_training.data.time_blocks import clocks
from monodepth2_training.data.triplets import TripletSettings

STANDING_MOTION = 0.001
"""Below this the camera counts as standing still: a sixth of a pixel at 160 columns."""

_LONGEST_NS = 60 * 10**9
_GOOD_MOTION = 0.015
_LEAST_MOTION, _MOST_MOTION = 0.004, 0.06
_MOST_STANDING = 0.5
_MOST_CLIPPED_SHARE = 0.25
_PLAUSIBLE_BRIGHTNESS = (0.08, 0.92)
_LEAST_FOCAL_PER_WIDTH, _MOST_FOCAL_PER_WIDTH = 0.2, 4.0
_LEAST_SHARE_USED = 0.95
_MOST_SQUEEZE = 1.5
_MOST_PAIR_MOTION = 0.002
_FEW_PICTURES = 5


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong or doubtful."""

    severity: str
    """``error``: training on it is pointless; ``warning``: it will be worse than it could be."""
    what: str
    """What was found, with figures."""
    fix: str
    """What to do."""

    def text(self) -> str:
        """All of it in one line."""
        return f'{self.severity}: {self.what}; {self.fix}'


def check_store(
    store: FrameStore, *, batch_size: int = 12, triplets: TripletSettings | None = None
) -> tuple[Finding, ...]:
    """Judge a store before it is trained on.

    Args:
        store: the store.
        batch_size: triplets that a training step takes.
        triplets: how far apart frames are compared; the defaults if None.

    Returns:
        what was found, errors first.
    """
    findings = list(_messages(store))
    for number, camera in enumerate(store.cameras):
        table = store.frames(number)
        findings += _focal_length(camera.name, camera.source.camera)
        findings += _shape(camera.name, camera.source.camera, store)
        findings += _count(camera.name, table, batch_size)
        findings += _motion(camera.name, table, triplets or TripletSettings())
        findings += _exposure(camera.name, table)
        findings += _overlap(store, number)
    if is_stereo_pair(store.cameras):
        for left in range(0, len(store.cameras), 2):
            findings += _pair(store, left)
    return tuple(sorted(findings, key=lambda finding: finding.severity))


def _messages(store: FrameStore) -> list[Finding]:
    """Judge what became of the messages."""
    tally, details = store.tally, store.document.progress.details
    fixes = {
        'another resolution': 'record one resolution in one topic, or extract the other ones '
        'with their own calibration into another store',
        'colour among grey': 'record one encoding in one topic',
        'encoding not supported': 'record one of the encodings in docs/conventions.md',
        'damaged': 'check the link to the camera and the disk that was recorded on',
        'repeated stamp': 'check that one driver alone publishes on the topic',
        'out of order': 'check that one driver alone publishes on the topic, in order',
    }
    total = sum(tally.values())
    return [
        Finding(
            severity='error' if tally[cause] > (1 - _LEAST_SHARE_USED) * total else 'warning',
            what=f'{tally[cause]} of {total} messages were skipped: {cause}'
            + (f' (the first: {details[cause]})' if cause in details else ''),
            fix=fix,
        )
        for cause, fix in fixes.items()
        if tally.get(cause)
    ]


def _focal_length(name: str, camera: PinholeCamera) -> list[Finding]:
    """Judge intrinsics that are legal and yet hardly those of a camera."""
    shares = camera.fx_px / camera.width, camera.fy_px / camera.width
    if camera.fx_px < 2.0 or camera.fy_px < 2.0:
        what = f'{name}: fx {camera.fx_px:g} and fy {camera.fy_px:g} are normalised, not in pixels'
        fix = f'multiply fx and cx by the width ({camera.width}), fy and cy by the height'
        return [Finding(severity='error', what=what, fix=f'{fix} in the calibration')]
    if min(shares) > _LEAST_FOCAL_PER_WIDTH and max(shares) < _MOST_FOCAL_PER_WIDTH:
        return []
    angle_deg = 2.0 * math.degrees(math.atan(0.5 * camera.width / camera.fx_px))
    return [
        Finding(
            severity='warning',
            what=f'{name}: fx {camera.fx_px:g} and fy {camera.fy_px:g} at {camera.width} columns '
            f'would be a view of {angle_deg:.0f} degrees',
            fix='check that the calibration is for this camera and this resolution',
        )
    ]


def _shape(name: str, camera: PinholeCamera, store: FrameStore) -> list[Finding]:
    """Judge how much the resize squeezes the picture."""
    squeeze = (store.width / store.height) / (camera.width / camera.height)
    if 1.0 / _MOST_SQUEEZE < squeeze < _MOST_SQUEEZE:
        return []
    pixels, shape = store.width * store.height, camera.width / camera.height
    width = max(32, round(math.sqrt(pixels * shape) / 32) * 32)
    height = max(32, round(width / shape / 32) * 32)
    return [
        Finding(
            severity='warning',
            what=f'{name}: pictures of {camera.width}x{camera.height} are squeezed into '
            f'{store.width}x{store.height}',
            fix=f'extract with --width {width} --height {height}, and train a network of that '
            'size',
        )
    ]


def _count(name: str, table: FrameTable, batch_size: int) -> list[Finding]:
    """Judge the number of frames that have both neighbours."""
    inner = _inner_frames(table.part)
    if inner >= batch_size:
        return []
    return [
        Finding(
            severity='error',
            what=f'{name}: {inner} of {len(table)} frames have a neighbour on both sides, fewer '
            f'than one batch of {batch_size}',
            fix='record for longer, or lower the batch size',
        )
    ]


def _inner_frames(part: NDArray[np.int32]) -> int:
    """Frames between two others of their part."""
    return int(((part[1:-1] == part[:-2]) & (part[1:-1] == part[2:])).sum())


def _motion(name: str, table: FrameTable, triplets: TripletSettings) -> list[Finding]:
    """Judge how far the picture moves within the shortest step that training takes."""
    _, later = find_neighbours(table, replace(triplets.step, min_motion=0.0, max_ns=_LONGEST_NS))
    known = np.flatnonzero(later.by_time >= 0)
    if not known.size:
        return []
    motion, ahead = later.motion[known], later.by_time[known]
    standing = float((motion < STANDING_MOTION).mean())
    if standing > _MOST_STANDING:
        what = f'{name}: the camera stands still in {standing:.0%} of the frames'
        fix = 'record while driving; training drops standing frames unless told to keep them'
        return [Finding(severity='error' if standing > 0.95 else 'warning', what=what, fix=fix)]
    median = float(np.median(motion[motion >= STANDING_MOTION]))
    step_s = float(np.median(table.stamps_ns[ahead] - table.stamps_ns[known])) / 1e9
    wanted_s = step_s * _GOOD_MOTION / median
    found = f'{name}: frames {step_s * 1e3:.0f} ms apart move by {median:.2%} of the width'
    set_step = f'set triplets.min_step_s to about {wanted_s:.2g}'
    if median < _LEAST_MOTION:
        longest = f' and triplets.max_step_s to {2.0 * wanted_s:.2g}'
        fix = set_step + (longest if wanted_s > 0.8 * triplets.max_step_s else '')
        return [Finding(severity='warning', what=f'{found}: too little parallax', fix=fix)]
    if median > _MOST_MOTION:
        record = f'record at about {1.0 / wanted_s:.2g} Hz; drop --keep-every if it is set'
        several = float(np.median(ahead - known)) > 1.0
        fix = f'drive slower, or {set_step if several else record}'
        what = f'{found}: too far apart to be matched'
        return [Finding(severity='error', what=what, fix=fix)]
    return []


def _exposure(name: str, table: FrameTable) -> list[Finding]:
    """Judge how many pixels show nothing because they are black or white."""
    if not len(table):
        return []
    clipped, brightness = float(np.median(table.clipped)), float(np.median(table.brightness))
    low, high = _PLAUSIBLE_BRIGHTNESS
    if clipped <= _MOST_CLIPPED_SHARE and low <= brightness <= high:
        return []
    wanted = 'longer' if brightness < 0.5 else 'shorter'
    return [
        Finding(
            severity='warning',
            what=f'{name}: {clipped:.0%} of the pixels are black or white, the mean is '
            f'{brightness:.0%}',
            fix=f'set a {wanted} exposure, or let the camera choose it',
        )
    ]


def _overlap(store: FrameStore, number: int) -> list[Finding]:
    """Judge whether recordings share pictures, by the pixels of a few that look alike."""
    if store.is_generated:
        return []
    twins = _twins(store.frames(number))
    few = twins[:: len(twins) // _FEW_PICTURES + 1]
    images = ((store.image(number, one), store.image(number, other)) for one, other in few)
    if not any(np.array_equal(one, other) for one, other in images):
        return []
    return [
        Finding(
            severity='warning',
            what=f'{store.cameras[number].name}: {len(twins)} pictures are there twice, with one '
            'stamp and the same pixels: recordings overlap, and validation may see what was '
            'trained on',
            fix='name each recording only once, and of those that overlap only one',
        )
    ]


def _twins(table: FrameTable) -> list[tuple[int, int]]:
    """Pictures in different parts with one stamp, of one brightness and as much clipping.

    Stamps alone prove nothing: those of simulated drives all begin alike.
    """
    seen: dict[tuple[int, float, float], int] = {}
    looks = (table.stamps_ns, table.brightness, table.clipped)
    twins = []
    for index, look in enumerate(zip(*(column.tolist() for column in looks), strict=True)):
        before = seen.setdefault(look, index)
        if table.part[before] != table.part[index]:
            twins.append((before, index))
    return twins


def _pair(store: FrameStore, left: int) -> list[Finding]:
    """Judge how far the picture moves between the two exposures of a pair."""
    table, other = store.frames(left), store.frames(left + 1)
    times_ns, other_ns = clocks((table, other))
    partner = find_partners(times_ns, other_ns, table, other)
    motion = table.motion[np.isfinite(table.motion)]
    if not motion.size or not (partner >= 0).any():
        return []
    apart_ns = float(np.median(np.abs(other_ns[partner] - times_ns)[partner >= 0]))
    moved = float(np.median(motion)) * apart_ns / period_ns(table)
    if moved <= _MOST_PAIR_MOTION:
        return []
    return [
        Finding(
            severity='warning',
            what=f'{store.cameras[left].name} and {store.cameras[left + 1].name}: the two of a '
            f'pair are {1e-6 * apart_ns:.3g} ms apart, in which the picture moves by '
            f'{moved:.2%} of the width',
            fix='trigger both cameras at once, or train in mode mono: a stereo mode takes the '
            'two for one moment',
        )
    ]
