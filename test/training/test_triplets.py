# SPDX-License-Identifier: Apache-2.0
"""Sources are far enough in time and motion, never across a cut, and no frame is on both sides."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from monodepth2_training.data.frame_store import FrameTable
from monodepth2_training.data.time_blocks import clocks
from monodepth2_training.data.triplets import (
    MODES,
    Sample,
    Split,
    TripletSettings,
    make_split,
    source_names,
)

from monodepth2_ros.errors import ConfigError, TrainingError

ALL = TripletSettings(validation=0.0)


@dataclass
class Store:
    """The part of a frame store that choosing needs."""

    tables: list[FrameTable]
    baseline_m: float = 0.54
    path: Path = Path('drive.store')
    cameras: list[SimpleNamespace] = field(init=False)

    def __post_init__(self) -> None:
        count = len(self.tables)
        self.cameras = [SimpleNamespace(position_m=self.baseline_m * i) for i in range(count)]

    def frames(self, camera: int) -> FrameTable:
        return self.tables[camera]


def table(stamps_s, motion=0.01, part=0) -> FrameTable:
    stamps = np.round(np.asarray(stamps_s) * 1e9).astype(np.int64)
    count = len(stamps)
    parts = np.broadcast_to(np.asarray(part, np.int32), (count,))
    motions = np.broadcast_to(np.asarray(motion, np.float32), (count,)).copy()
    motions[np.diff(parts, prepend=-1) != 0] = np.nan
    return FrameTable(
        stamps_ns=stamps,
        motion=motions,
        brightness=np.full(count, 0.5, np.float32),
        clipped=np.zeros(count, np.float32),
        odometry=np.full((count, 8), np.nan),
        part=parts,
    )


def drive(count: int, rate_hz: float = 10.0, **values) -> FrameTable:
    return table(np.arange(count) / rate_hz, **values)


def choose(*tables: FrameTable, mode: str = 'mono', settings: TripletSettings = ALL) -> Split:
    return make_split(Store(list(tables)), mode=mode, settings=settings)


def steps(samples: tuple[Sample, ...]) -> set[tuple[int, ...]]:
    return {tuple(index - s.target for _, index in s.sources) for s in samples}


def targets(samples: tuple[Sample, ...]) -> list[int]:
    return [sample.target for sample in samples]


def frames_of(samples: tuple[Sample, ...]) -> set[tuple[int, int]]:
    return {frame for s in samples for frame in ((s.camera, s.target), *s.sources)}


def test_sources_are_named_in_order_for_each_mode() -> None:
    assert MODES == ('mono', 'stereo', 'mono_stereo', 'trinocular')
    assert source_names('mono') == ('previous', 'next')
    assert source_names('stereo') == ('partner',)
    assert source_names('mono_stereo') == ('previous', 'next', 'partner')
    assert source_names('trinocular') == ('left', 'right')


def test_an_unknown_mode_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="'sterio' is not known: did you mean 'stereo'"):
        source_names('sterio')


def test_at_10_hz_the_neighbours_are_the_next_frames() -> None:
    split = choose(drive(6))
    assert steps(split.training) == {(-1, 1)}
    assert targets(split.training) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ('rate_hz', 'step'),
    [(7.0, 1), (10.0, 1), (12.0, 1), (15.0, 2), (20.0, 2), (30.0, 3), (60.0, 5)],
)
def test_faster_cameras_take_more_frames_for_the_same_time(rate_hz: float, step: int) -> None:
    split = choose(drive(40, rate_hz, motion=0.1 / rate_hz))
    assert steps(split.training) == {(-step, step)}


def test_slow_motion_takes_more_frames_until_it_is_enough() -> None:
    split = choose(drive(20, motion=0.0015))
    inner = tuple(sample for sample in split.training if 3 <= sample.target < 17)
    assert steps(inner) == {(-3, 3)}


def test_motion_is_added_up_on_each_side_of_the_target() -> None:
    motion = [0.0, 0.01, 0.01, 0.01, 0.003, 0.003, 0.003, 0.01]
    [third] = [s for s in choose(drive(8, motion=motion)).training if s.target == 3]
    assert third.sources == ((0, 2), (0, 5))


def test_a_source_is_never_farther_than_max_step_however_little_moves() -> None:
    creeping = drive(30, motion=[0.0, *[0.0012] * 29])
    settings = TripletSettings(min_motion=0.02, validation=0.0)
    inner = tuple(s for s in choose(creeping, settings=settings).training if 5 <= s.target < 25)
    assert steps(inner) == {(-5, 5)}


def test_standing_still_drops_a_target_with_the_number_in_a_note() -> None:
    motion = np.full(30, 0.01)
    motion[10:21] = 0.0002
    split = choose(drive(30, motion=motion))
    assert targets(split.training) == [*range(1, 10), *range(20, 29)]
    assert split.notes == (
        '18 of 30 frames are targets: 2 have no earlier or no later frame '
        'near enough in time, 10 stand still',
    )


def test_a_standstill_can_be_kept_with_the_time_step_alone() -> None:
    motion = np.full(30, 0.01)
    motion[10:21] = 0.0002
    settings = TripletSettings(keep_standstill=True, validation=0.0)
    split = choose(drive(30, motion=motion), settings=settings)
    assert targets(split.training) == list(range(1, 29))
    standing = tuple(s for s in split.training if 10 <= s.target < 20)
    assert steps(standing) == {(-1, 1)}


def test_noise_at_a_high_rate_does_not_pass_for_driving() -> None:
    still = drive(300, 60.0, motion=[*[0.003] * 100, *[0.0001] * 100, *[0.003] * 100])
    assert not set(targets(choose(still).training)) & set(range(106, 194))


def test_no_triplet_crosses_a_part() -> None:
    split = choose(drive(12, part=[0] * 6 + [1] * 6))
    assert targets(split.training) == [1, 2, 3, 4, 7, 8, 9, 10]


def test_no_triplet_crosses_a_gap_but_one_missing_frame_is_none() -> None:
    stamps = np.delete(np.arange(20), [5, 12, 13]) / 10.0
    split = choose(table(stamps))
    reached = {(s.target, *(i for _, i in s.sources)) for s in split.training}
    assert (5, 4, 6) in reached, 'stamp 0.6 s uses 0.4 s'
    assert not any(a <= 10 < b for t, a, b in reached)


def two_rates(*, paused: bool) -> tuple[np.ndarray, np.ndarray]:
    """Stamps of 200 frames at 30 Hz and 180 at 10 Hz, and their parts: two, or one that slows."""
    fast, slow = np.arange(200) / 30.0, np.arange(180) / 10.0
    begin = fast[-1] + (10.0 if paused else 0.1)
    return np.concatenate([fast, begin + slow]), np.repeat([0, int(paused)], [200, 180])


@pytest.mark.parametrize('paused', [True, False], ids=['two recordings', 'one that slows down'])
def test_frames_of_a_lower_rate_are_used_as_well(paused: bool) -> None:
    stamps, part = two_rates(paused=paused)
    split = choose(table(stamps, part=part))
    slow = tuple(sample for sample in split.training if sample.target > 202)
    assert steps(slow) == {(-1, 1)}
    inner = [*range(3, 197), *range(201, 379)]
    assert set(inner) <= set(targets(split.training))
    assert not paused or targets(split.training) == inner


def test_a_gap_at_a_lower_rate_is_still_one() -> None:
    stamps, part = two_rates(paused=True)
    split = choose(table(np.delete(stamps, [300, 301]), part=np.delete(part, [300, 301])))
    assert not any(s.sources[0][1] < 300 <= s.sources[1][1] for s in split.training)


def test_what_is_nearer_than_the_shortest_step_and_a_period_is_no_gap() -> None:
    stamps = np.delete(np.arange(120), range(60, 64)) / 60.0
    assert targets(choose(table(stamps)).training) == list(range(5, 111))


def test_partners_are_found_at_a_lower_rate_as_well() -> None:
    stamps, part = two_rates(paused=True)
    pair = table(stamps, part=part), table(stamps + 0.001 + 0.03 * part, part=part)
    split = choose(*pair, mode='stereo')
    assert [sum(s.camera == c for s in split.training) for c in (0, 1)] == [380, 380]


def test_frames_farther_apart_than_max_step_are_no_neighbours() -> None:
    with pytest.raises(TrainingError, match=r'come every 1 s and triplets.max_step_s is 0.5'):
        choose(drive(20, rate_hz=1.0))
    far = TripletSettings(max_step_s=1.2, validation=0.0)
    assert steps(choose(drive(20, rate_hz=1.0), settings=far).training) == {(-1, 1)}


def test_a_recording_that_gives_no_target_is_told_with_its_rate() -> None:
    stamps = np.concatenate([np.arange(100) / 10.0, 100.0 + np.arange(40)])
    note, unused = choose(table(stamps, part=np.repeat([0, 1], [100, 40]))).notes
    assert note.startswith('98 of 140 frames are targets: 42 have no earlier')
    assert unused == '40 frames in a row, one every 1 s, give no target'


def test_a_short_stretch_without_a_target_is_not_told() -> None:
    assert len(choose(drive(100, part=[0] * 95 + [1] * 2 + [2] * 3)).notes) == 1


def test_a_cut_without_motion_is_not_crossed() -> None:
    motion = np.full(12, 0.01)
    motion[6] = np.nan
    assert targets(choose(drive(12, motion=motion)).training) == [1, 2, 3, 4, 7, 8, 9, 10]


def stereo_pair(count: int = 40) -> tuple[FrameTable, FrameTable]:
    """A pair like KITTI's: stamps a little apart, one frame missing on each side."""
    times = np.arange(count) / 10.0
    return table(np.delete(times, 23)), table(np.delete(times + 0.004, 22))


def test_the_partner_is_the_other_camera_at_the_same_moment() -> None:
    left, right = stereo_pair()
    split = choose(left, right, mode='stereo')
    for sample in split.training:
        [(other, index)] = sample.sources
        assert other == 1 - sample.camera
        stamp = (left, right)[sample.camera].stamps_ns[sample.target]
        assert abs((left, right)[other].stamps_ns[index] - stamp) <= 4_000_000
    by_camera = [[s.target for s in split.training if s.camera == c] for c in (0, 1)]
    assert by_camera == [[i for i in range(39) if i != 22], [i for i in range(39) if i != 22]]
    assert '2 have no frame of the other camera at their moment' in split.notes[0]


@pytest.mark.parametrize('late_s', [0.0, 0.02, -0.03])
def test_a_faster_camera_has_partners_at_their_moments_alone(late_s: float) -> None:
    fast, slow = np.arange(60) / 30.0, np.arange(20) / 10.0 + late_s
    split = choose(table(fast), table(slow), mode='stereo')
    for sample in split.training:
        [(other, index)] = sample.sources
        apart_s = (fast, slow)[sample.camera][sample.target] - (fast, slow)[other][index]
        assert abs(apart_s) <= 0.017
    found = [sum(s.camera == camera for s in split.training) for camera in (0, 1)]
    assert found[0] == found[1] >= 19


def test_standing_still_does_not_matter_to_stereo_alone() -> None:
    pair = drive(10, motion=0.0), drive(10, motion=0.0)
    assert len(choose(*pair, mode='stereo').training) == 20


def test_mono_uses_every_camera_and_mono_stereo_has_all_three_sources() -> None:
    pair = stereo_pair()
    assert {s.camera for s in choose(*pair).training} == {0, 1}
    assert {len(s.sources) for s in choose(*pair).training} == {2}
    three = choose(*pair, mode='mono_stereo').training
    assert {s.camera for s in three} == {0, 1}
    assert {tuple(c != s.camera for c, _ in s.sources) for s in three} == {(False, False, True)}


def test_stereo_needs_two_cameras_at_two_places() -> None:
    with pytest.raises(TrainingError, match=r'has 1 camera\(s\): a stereo mode needs the two'):
        choose(drive(10), mode='stereo')
    together = Store([drive(10), drive(10)], baseline_m=0.0)
    with pytest.raises(TrainingError, match='both cameras at one place'):
        make_split(together, mode='mono_stereo', settings=ALL)


def test_cameras_of_simulated_recordings_that_all_begin_at_zero_pair_within_their_own() -> None:
    times = np.concatenate([np.arange(20), np.arange(20)]) / 10.0
    part = [0] * 20 + [1] * 20
    split = choose(table(times, part=part), table(times, part=part), mode='stereo')
    assert all(
        sample.sources == ((1 - sample.camera, sample.target),) for sample in split.training
    )
    assert len(split.training) == 80


@pytest.mark.parametrize(
    'begins_s',
    [(1.7e9, 1.0, 1.0, 1.0), (0.0, 0.0, 0.0, 1.7e9, 0.0), (1.0, 1.7e9) * 6],
    ids=['set, then unset', 'set between', 'set while recording'],
)
def test_recordings_of_a_computer_without_a_clock_pair_and_validate(
    begins_s: tuple[float, ...],
) -> None:
    part = np.repeat(np.arange(len(begins_s)), 50)
    stamps = np.concatenate([round(begin) + np.arange(50) / 10.0 for begin in begins_s])
    left = table(stamps, part=part)
    right = replace(left, stamps_ns=left.stamps_ns + 4_000_000)
    times_ns, other_ns = clocks((left, right))
    assert (np.diff(times_ns) > 0).all()
    assert set(other_ns - times_ns) == {4_000_000}
    split = choose(left, right, mode='stereo', settings=TripletSettings())
    assert len(split.training) + len(split.validation) == 2 * len(stamps)
    assert len(split.validation) == pytest.approx(0.2 * len(stamps), rel=0.25)


@pytest.mark.parametrize('mode', MODES)
def test_no_frame_is_on_both_sides_of_the_split(mode: str) -> None:
    cameras = stereo_pair(400) if mode != 'trinocular' else (*stereo_pair(400), drive(400))
    split = choose(*cameras, mode=mode, settings=TripletSettings())
    assert split.validation
    assert not frames_of(split.training) & frames_of(split.validation)


def test_validation_is_a_few_blocks_of_about_the_share() -> None:
    split = choose(drive(1002), settings=TripletSettings(validation=0.1))
    places = np.array(targets(split.validation))
    assert 85 <= len(places) <= 100
    assert (np.diff(places) > 1).sum() == 4
    assert 'in 5 block(s) of time validate' in split.notes[1]


def test_both_cameras_of_a_moment_are_on_one_side() -> None:
    left, right = stereo_pair(300)
    split = choose(left, right, settings=TripletSettings(validation=0.2))
    moments = [
        {round((left, right)[c].stamps_ns[i] / 1e8) for c, i in frames_of(side)}
        for side in (split.training, split.validation)
    ]
    assert not moments[0] & moments[1]


def test_a_short_recording_has_fewer_blocks() -> None:
    split = choose(drive(102), settings=TripletSettings(validation=0.1))
    assert (np.diff(targets(split.validation)) > 1).sum() == 0
    assert len(split.validation) == 8


def test_a_recording_too_short_to_split_trains_on_all_of_it_and_says_so() -> None:
    split = choose(drive(8), settings=TripletSettings(validation=0.1))
    assert (len(split.training), split.validation) == (6, ())
    assert 'nothing validates: 6 samples are too few' in split.notes[1]


@given(
    count=st.integers(3, 120),
    rate_hz=st.sampled_from([5.0, 10.0, 30.0]),
    share=st.floats(0.0, 0.5),
    seed=st.integers(0, 2**16),
)
@hypothesis_settings(max_examples=60, deadline=None)
def test_whatever_the_recording_samples_keep_the_rules(
    count: int, rate_hz: float, share: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    times = np.sort(random.uniform(-0.2, 0.2, count) / rate_hz + np.arange(count) / rate_hz)
    parts = np.cumsum(random.random(count) < 0.05)
    frames = table(times, motion=random.exponential(0.01, count), part=parts - parts[0])
    settings = TripletSettings(validation=share)
    try:
        split = choose(frames, settings=settings)
    except TrainingError:
        return
    assert not frames_of(split.training) & frames_of(split.validation)
    assert split.training
    for sample in (*split.training, *split.validation):
        (_, before), (_, after) = sample.sources
        assert before < sample.target < after
        assert len(set(frames.part[[before, sample.target, after]].tolist())) == 1
        for other in (before, after):
            apart_s = abs(frames.stamps_ns[other] - frames.stamps_ns[sample.target]) * 1e-9
            assert settings.min_step_s <= apart_s <= settings.max_step_s


@pytest.mark.parametrize(
    ('frames', 'message'),
    [
        (
            drive(40, motion=0.0),
            'no sample is left of 40 frames: .* 38 stand still; .*keep_standstill',
        ),
        (drive(2), 'no sample is left of 2 frames: 2 have no earlier .* record 3 frames or more'),
        (drive(0), 'no sample is left of 0 frames: none is stored'),
    ],
)
def test_a_recording_without_a_single_sample_is_refused_with_the_fix(
    frames: FrameTable, message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        choose(frames)


def test_unsynchronised_cameras_are_refused_for_stereo() -> None:
    later = table(np.arange(40) / 10.0 + 100.0)
    with pytest.raises(TrainingError, match=r'80 have no frame of the other .* synchronised'):
        choose(drive(40), later, mode='stereo')


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'validation': 0.6}, 'validation 0.6 is out of range: expected 0 to 0.5'),
        ({'min_motion': float('nan')}, 'min_motion nan is out of range'),
        ({'min_step_s': 1.0}, 'max_step_s 0.5 is too short'),
    ],
)
def test_settings_out_of_range_are_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TripletSettings(**values)
