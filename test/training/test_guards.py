# SPDX-License-Identifier: Apache-2.0
"""Each fault of a frame store is found, told with figures, and comes with what to do."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from monodepth2_training.data.extraction import ExtractionSettings, extract
from monodepth2_training.data.frame_store import FrameStore
from monodepth2_training.data.frame_store_writer import FrameRecord, open_writer
from monodepth2_training.data.guards import check_store
from monodepth2_training.data.store_document import Progress, StoredCamera, StoreDocument
from monodepth2_training.data.triplets import TripletSettings, make_split
from support.moving_bag import START_NS, message, picture, write_moving_bag

from monodepth2_ros.errors import CalibrationError
from monodepth2_ros.geometry.camera import CameraCalibration, PinholeCamera
from monodepth2_ros.model_description import TrainingCamera

SOURCE = PinholeCamera(width=128, height=64, fx_px=100.0, fy_px=100.0, cx_px=63.5, cy_px=31.5)


def _store(
    folder: Path,
    *,
    motion: list[float] | None = None,
    source: PinholeCamera = SOURCE,
    tally: dict[str, int] | None = None,
    size: tuple[int, int] = (64, 32),
    second_late_ns: int | None = None,
    parts: int = 1,
    period_ns: int = 10**8,
    **fields: float,
) -> FrameStore:
    motion = motion if motion is not None else [0.015] * 30
    width, height = size
    camera = StoredCamera(
        name='/camera',
        image_topic='/camera/image_raw',
        camera=source.resized(width, height),
        source=TrainingCamera(camera=source),
        channels=1,
    )
    second = replace(camera, name='/second', position_m=0.5)
    late_ns = (0,) if second_late_ns is None else (0, second_late_ns)
    document = StoreDocument(
        width=width,
        height=height,
        resize='bilinear',
        cameras=(camera, second)[: len(late_ns)],
        sources=('drive',),
        arguments={},
        progress=Progress(frames=(0,) * len(late_ns)),
    )
    with open_writer(folder, document, afresh=True) as writer:
        for (number, later_ns), part, (index, moved) in product(
            enumerate(late_ns), range(parts), enumerate(motion)
        ):
            record = FrameRecord(
                stamp_ns=index * period_ns + later_ns,
                part=part,
                motion=float('nan') if index == 0 else moved,
                **{'brightness': 0.5, 'clipped': 0.01, **fields},
            )
            writer.append(number, np.zeros((1, height, width), np.uint8), record)
        count = parts * len(motion)
        progress = Progress(
            frames=(count,) * len(late_ns), tally=tally or {'stored': count}, complete=True
        )
        writer.checkpoint(progress)
    return FrameStore.open(folder)


def test_a_sound_store_gives_no_finding(tmp_path: Path) -> None:
    assert check_store(_store(tmp_path / 's')) == ()


@pytest.mark.parametrize(
    ('what', 'severity', 'found', 'fix'),
    [
        (
            {'motion': [0.002] * 30},
            'warning',
            r'100 ms apart move by 0\.20% of',
            'min_step_s to about 0.75',
        ),
        ({'motion': [0.09] * 30}, 'error', 'too far apart', 'record at about 60 Hz'),
        ({'motion': [0.0] * 20 + [0.02] * 10}, 'warning', 'still in 66% of', 'while driving'),
        ({'motion': [0.0] * 30}, 'error', 'still in 100% of', 'while driving'),
        ({'motion': [0.015] * 10}, 'error', '8 of 10 .* one batch of 12', 'lower the batch size'),
        (
            {'clipped': 0.4, 'brightness': 0.8},
            'warning',
            '40% of the pixels',
            'shorter exposure',
        ),
        ({'brightness': 0.03}, 'warning', 'the mean is 3%', 'longer exposure'),
        (
            {'source': replace(SOURCE, fx_px=1.1, fy_px=1.9)},
            'error',
            'fx 1.1 and fy 1.9 are normalised',
            r'multiply fx and cx by the width \(128\)',
        ),
        (
            {'source': replace(SOURCE, fx_px=1000.0, fy_px=1000.0)},
            'warning',
            'would be a view of 7 degrees',
            'for this camera and this resolution',
        ),
        ({'size': (192, 32)}, 'warning', '128x64 are squeezed into 192x32', '--width 96'),
        (
            {'tally': {'stored': 29, 'another resolution': 10}},
            'error',
            '10 of 39 messages were skipped: another resolution',
            'one resolution in one topic',
        ),
        (
            {'tally': {'stored': 299, 'damaged': 1}},
            'warning',
            '1 of 300 messages were skipped: damaged',
            'check the link',
        ),
    ],
)
def test_a_fault_is_told_with_its_fix(
    what: dict, severity: str, found: str, fix: str, tmp_path: Path
) -> None:
    findings = check_store(_store(tmp_path / 's', **what))
    assert [finding.severity for finding in findings] == [severity]
    assert re.search(found, findings[0].what), findings[0].what
    assert re.search(fix, findings[0].fix), findings[0].fix
    assert findings[0].text() == f'{severity}: {findings[0].what}; {findings[0].fix}'


@pytest.mark.parametrize('moved', [0.003, 0.00095])
def test_the_small_steps_of_a_fast_camera_add_up(tmp_path: Path, moved: float) -> None:
    assert check_store(_store(tmp_path / 's', motion=[moved] * 60, period_ns=16_666_667)) == ()


def test_a_fast_camera_is_told_which_step_keeps_motion_in_the_band(tmp_path: Path) -> None:
    slow = _store(tmp_path / 'slow', motion=[0.0006] * 90, period_ns=16_666_667)
    (finding,) = check_store(slow)
    assert '83 ms apart move by 0.30% of' in finding.what
    assert finding.fix == 'set triplets.min_step_s to about 0.42 and triplets.max_step_s to 0.83'
    followed = TripletSettings(min_step_s=0.42, max_step_s=0.83)
    assert check_store(slow, triplets=followed) == ()
    assert len(make_split(slow, mode='mono', settings=followed).training) > 20
    (finding,) = check_store(_store(tmp_path / 'fast', motion=[0.02] * 60, period_ns=16_666_667))
    assert '83 ms apart move by 10.00% of' in finding.what
    assert finding.fix == 'drive slower, or set triplets.min_step_s to about 0.013'


@pytest.mark.parametrize('late_ms', [-20, 20])
def test_a_pair_that_is_not_triggered_at_once_is_told(tmp_path: Path, late_ms: int) -> None:
    (finding,) = check_store(_store(tmp_path / 's', second_late_ns=late_ms * 10**6))
    assert finding.severity == 'warning'
    assert '/camera and /second: the two of a pair are 20 ms apart' in finding.what
    assert 'moves by 0.30% of the width' in finding.what
    assert 'train in mode mono' in finding.fix


def test_a_pair_may_be_a_little_apart_while_it_hardly_moves(tmp_path: Path) -> None:
    assert check_store(_store(tmp_path / 'soon', second_late_ns=10 * 10**6)) == ()
    assert (
        check_store(_store(tmp_path / 'slow', motion=[0.006] * 30, second_late_ns=3 * 10**7)) == ()
    )


def _overlaps(store: FrameStore) -> list[str]:
    return [found.what for found in check_store(store) if 'overlap' in found.what]


def test_a_bag_and_a_piece_of_it_overlap(tmp_path: Path) -> None:
    bags = [write_moving_bag(tmp_path / str(count), frames=count) for count in (20, 8)]
    settings = ExtractionSettings(width=64, height=32)
    (found,) = _overlaps(extract(bags, tmp_path / 'store', settings))
    assert found.startswith('/camera: 8 pictures are there twice')


def test_drives_that_begin_at_the_same_time_do_not_overlap(tmp_path: Path) -> None:
    stamps_ns = [START_NS + index * 10**8 for index in range(20)]
    others = {
        index: message(picture(40 + index), 'mono8', stamp_ns)
        for index, stamp_ns in enumerate(stamps_ns)
    }
    bags = [
        write_moving_bag(tmp_path / 'one', frames=20),
        write_moving_bag(tmp_path / 'other', frames=20, replaced=others),
    ]
    store = extract(bags, tmp_path / 'store', ExtractionSettings(width=64, height=32))
    stamps = [set(store.frames(0).stamps_ns[store.frames(0).part == part]) for part in (0, 1)]
    assert stamps[0] == stamps[1] == set(stamps_ns)
    assert _overlaps(store) == []


def test_pictures_that_only_look_alike_do_not_overlap(tmp_path: Path) -> None:
    store = _store(tmp_path / 's', parts=2)
    assert len(_overlaps(store)) == 1
    pictures = [np.full((3, 32, 64), index, np.uint8) for index in range(60)]
    store.image = lambda camera, index: pictures[index]  # type: ignore[method-assign]
    assert _overlaps(store) == []


def test_errors_come_before_warnings(tmp_path: Path) -> None:
    store = _store(tmp_path / 's', motion=[0.002] * 8, clipped=0.9)
    severities = [finding.severity for finding in check_store(store)]
    assert severities == ['error', 'warning', 'warning']


def test_the_batch_size_is_the_callers(tmp_path: Path) -> None:
    store = _store(tmp_path / 's', motion=[0.015] * 10)
    assert check_store(store, batch_size=8) == ()


@pytest.mark.parametrize(
    'K', [(1.1, 0, 0.5, 0, 1.9, 0.5, 0, 0, 1), (-90.0, 0, 63, 0, 90.0, 40, 0, 0, 1)]
)
def test_a_normalised_or_negative_calibration_does_not_get_that_far(K: tuple) -> None:
    with pytest.raises(CalibrationError):
        CameraCalibration(width=128, height=80, K=K).checked()
