# SPDX-License-Identifier: Apache-2.0
"""When the pictures of a video or an image folder were taken, as far as that is known.

Images whose names are nothing but a time are stamped by it, in the unit that its digits give:
today's Unix time has 10 digits before the point in seconds, 13 in ms, 16 in us and 19 in ns.
Names of 18 digits or more are in ns however small their value is, as a simulator's time begins at
0. Else the first picture is stamped 1 s and the next ones follow as a video's container tells or
at the frame rate, where numbers of images are missing after as many periods.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from statistics import median, median_low

from monodepth2_ros.errors import RecordingError
from monodepth2_ros.recordings.natural_order import natural_key

_FIRST_STAMP_NS = 10**9
_FOLDER_FPS = 10.0
_UNITS_NS = {r'\d{10}\.\d+': 10**9, r'[1-9]\d{12}': 10**6, r'\d{15,17}': 10**3, r'\d{18,}': 1}
_LATEST_NS = 2**31 * 10**9
_SHORTEST_STEP_NS = 10**6
_LONGEST_STEP_NS = 1000 * 10**9


def regular_stamps(fps: float) -> Callable[[int], int]:
    """What gives the stamp in ns of each picture of a constant frame rate by its number."""
    return lambda index: _FIRST_STAMP_NS + round(index * 1e9 / fps)


def container_stamps(positions_ns: Iterable[int], *, period_ns: int) -> Iterator[int]:
    """The stamps in ns of a video's frames, whose rate may vary.

    Args:
        positions_ns: where each frame lies, as the container tells it.
        period_ns: time after which a frame follows whose position is not behind the one before.
    """
    begin_ns, stamp_ns = 0, 0
    for index, position_ns in enumerate(positions_ns):
        begin_ns = begin_ns if index else position_ns
        told_ns = _FIRST_STAMP_NS + position_ns - begin_ns
        stamp_ns = told_ns if told_ns > stamp_ns else stamp_ns + period_ns
        yield stamp_ns


def stamped_images(images: Sequence[Path], *, fps: float) -> tuple[list[Path], list[int]]:
    """Put the images of a folder in order.

    Args:
        images: the files.
        fps: frame rate; 0 takes stamps from names that are times, else 10 Hz.

    Returns:
        the files, and the stamp of each in ns.

    Raises:
        RecordingError: names look like times, and no camera gives such.
    """
    times_ns = [] if fps else _named_times_ns(images)
    if times_ns:
        stamps_ns, files = zip(*sorted(zip(times_ns, images, strict=True)), strict=True)
        return list(files), list(stamps_ns)
    stamp_ns = regular_stamps(fps or _FOLDER_FPS)
    ordered = sorted(images, key=lambda image: natural_key(image.name))
    return ordered, [stamp_ns(place) for place in _places([image.stem for image in ordered])]


def _places(stems: Sequence[str]) -> Sequence[int]:
    """How many usual steps each name lies after the first one.

    The usual step is the median one of the running number that alone differs between the names;
    where there is no such number, or not all steps are multiples of the usual one, names follow
    each other without a hole.
    """
    matches = [re.fullmatch(r'(.*?)(\d+)', stem) for stem in stems]
    found = [match.groups() for match in matches if match]
    numbers = [int(number) for _, number in found]
    steps = [later - earlier for earlier, later in pairwise(numbers)]
    usual = median_low(steps) if steps else 0
    running = len(found) == len(stems) and len({prefix for prefix, _ in found}) == 1
    if not running or usual <= 0 or any(step <= 0 or step % usual for step in steps):
        return range(len(stems))
    return [(number - numbers[0]) // usual for number in numbers]


def _named_times_ns(images: Sequence[Path]) -> list[int]:
    """The times that the names of images are; empty if they are none."""
    stems = [image.stem for image in images]
    for pattern, unit_ns in _UNITS_NS.items():
        if stems and all(re.fullmatch(pattern, stem) for stem in stems):
            times_ns = [int(Decimal(stem) * unit_ns) for stem in stems]
            _check_times(images[0], sorted(times_ns))
            return times_ns
    return []


def _check_times(image: Path, times_ns: Sequence[int]) -> None:
    """Refuse times above 1000 Hz, below 1 mHz, or after 2038, where a header's seconds end."""
    steps_ns = [later - earlier for earlier, later in pairwise(times_ns)]
    step_ns = median(steps_ns) if steps_ns else _SHORTEST_STEP_NS
    if not _SHORTEST_STEP_NS <= step_ns <= _LONGEST_STEP_NS or times_ns[-1] >= _LATEST_NS:
        raise RecordingError(
            f'{image.parent}: images named like {image.name} would be {step_ns / 1e9:.3g} s '
            f'apart, the first at {times_ns[0] / 1e9:.9g} s: if their names are no times, give '
            'the frame rate (fps)'
        )
