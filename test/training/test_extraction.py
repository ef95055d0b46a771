# SPDX-License-Identifier: Apache-2.0
"""Extraction stores what the node's network would see, whole, in order, and resumably."""

from __future__ import annotations

import errno
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from monodepth2_training.cli import main
from monodepth2_training.data import extraction, extraction_books
from monodepth2_training.data.extraction import ExtractionSettings, extract
from monodepth2_training.data.frame_store import FrameStore
from monodepth2_training.data.frame_store_writer import FrameStoreWriter
from monodepth2_training.data.odometry import read_odometry
from monodepth2_training.data.triplets import TripletSettings, make_split
from numpy.typing import NDArray
from support import moving_bag
from support.moving_bag import BENT, PLAIN, START_NS, K, right_of, write_moving_bag

from monodepth2_ros.errors import CalibrationError, ConfigError, RecordingError
from monodepth2_ros.geometry.camera import Window
from monodepth2_ros.geometry.rectification import Rectifier
from monodepth2_ros.images import decode_compressed
from monodepth2_ros.inference.pipeline import FramePipeline, Wanted
from monodepth2_ros.inference.preprocess import network_input
from monodepth2_ros.recordings import RecordingWriter, image_frames, open_recording

KITTI = Path(__file__).parents[3] / 'shared' / 'data' / 'kitti_0039'
SMALL = ExtractionSettings(width=64, height=32)
PAIR = replace(SMALL, stereo=True)

needs_kitti = pytest.mark.skipif(not KITTI.exists(), reason='the KITTI recording is not here')


class _Listener:
    """Stands for the estimator: keeps what the node's network is given."""

    def __init__(self, settings: ExtractionSettings) -> None:
        self._settings = settings
        self.seen: list[NDArray[np.uint8]] = []

    @property
    def size(self) -> tuple[int, int]:
        return self._settings.width, self._settings.height

    def prepare(self, rgb: NDArray[np.uint8], window: Window | None = None):
        assert window is not None
        s = self._settings
        return network_input(rgb, window=window, width=s.width, height=s.height, resize=s.resize)

    def run(self, image):
        self.seen.append(image[0].numpy())
        return np.full(image.shape[2:], 0.5, np.float32)

    def depth(self, disparity, *, height, width, window=None, scale=None):
        return np.full((height, width), 5.0, np.float32)


def _seen_live(path: Path, topic: str, settings: ExtractionSettings, frames: int):
    listener = _Listener(settings)
    pipeline = FramePipeline(listener)
    with open_recording(path) as recording:
        calibration = recording.calibration(topic)
        for (_, image), _ in zip(image_frames(recording, topic), range(frames), strict=False):
            pipeline.process(image, calibration, Wanted(depth=True))
    return listener.seen


def _files(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob('*') if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.mark.parametrize('resize', ['bilinear', 'lanczos'])
@pytest.mark.parametrize('calibration', [PLAIN, BENT], ids=['plain', 'bent'])
@pytest.mark.parametrize('encoding', ['mono8', 'rgb8', 'jpeg', 'grey jpeg'])
def test_stored_pixels_are_those_that_the_node_feeds_its_network(
    encoding: str, calibration, resize: str, tmp_path: Path
) -> None:
    bag = write_moving_bag(
        tmp_path / 'bag', frames=6, encoding=encoding, cameras={'/camera': calibration}
    )
    settings = replace(SMALL, resize=resize)
    store = extract([bag], tmp_path / 'store', settings)
    live = _seen_live(bag, store.cameras[0].image_topic, settings, 6)
    assert len(store.frames(0)) == len(live) == 6
    for index, expected in enumerate(live):
        np.testing.assert_array_equal(store.image(0, index), expected)
    assert store.cameras[0].channels == (1 if encoding in ('mono8', 'grey jpeg') else 3)


def test_intrinsics_follow_rectification_crop_and_resize(tmp_path: Path) -> None:
    bag = write_moving_bag(tmp_path / 'bag', frames=3, cameras={'/camera': BENT})
    camera = extract([bag], tmp_path / 'store', SMALL).cameras[0]
    window = Rectifier(BENT).window
    source = camera.source.camera
    assert (source.width, source.height) == (window.width, window.height)
    assert (source.fx_px, source.cx_px) == (80.0, 62.0 - window.x)
    cx_px = (62.0 - window.x + 0.5) * 64 / window.width - 0.5
    cy_px = (39.0 - window.y + 0.5) * 32 / window.height - 0.5
    assert (camera.camera.cx_px, camera.camera.cy_px) == pytest.approx((cx_px, cy_px), abs=1e-9)
    assert camera.source.distortion_model == ''


@pytest.mark.parametrize('speed_px', [1.0, 3.0, 6.0])
def test_motion_is_the_share_of_the_width_that_the_picture_moves(
    speed_px: float, tmp_path: Path
) -> None:
    bag = write_moving_bag(tmp_path / 'bag', frames=10, speed_px=speed_px)
    table = extract([bag], tmp_path / 'store', SMALL).frames(0)
    assert np.isnan(table.motion[0])
    np.testing.assert_allclose(table.motion[1:], speed_px / 128, rtol=0.25)
    np.testing.assert_array_equal(table.stamps_ns, START_NS + np.arange(10) * 10**8)


def test_brightness_and_clipping_are_those_of_the_stored_picture(tmp_path: Path) -> None:
    white = moving_bag.message(np.full((80, 128, 3), 255, np.uint8), 'mono8', START_NS)
    bag = write_moving_bag(tmp_path / 'bag', frames=3, replaced={0: white})
    store = extract([bag], tmp_path / 'store', SMALL)
    table = store.frames(0)
    assert (table.brightness[0], table.clipped[0]) == (1.0, 1.0)
    assert table.brightness[1] == pytest.approx(store.image(0, 1).mean() / 255, rel=1e-6)
    assert table.clipped[1] == 0.0


def test_what_cannot_be_used_is_skipped_and_counted_by_cause(tmp_path: Path) -> None:
    odd = moving_bag.picture(0, size=(64, 80))
    replaced = {
        2: moving_bag.message(moving_bag.picture(2), 'mono8', START_NS + 2 * 10**8)[:5000],
        3: moving_bag.message(odd, 'mono8', START_NS + 3 * 10**8),
        4: moving_bag.message(moving_bag.picture(4), 'rgb8', START_NS + 4 * 10**8),
        6: moving_bag.message(moving_bag.picture(5), 'mono8', START_NS + 5 * 10**8),
    }
    bag = write_moving_bag(tmp_path / 'bag', frames=20, replaced=replaced)
    store = extract([bag], tmp_path / 'store', SMALL)
    assert store.tally == {
        'stored': 16,
        'damaged': 1,
        'another resolution': 1,
        'colour among grey': 1,
        'repeated stamp': 1,
    }
    details = store.document.progress.details
    assert 'the picture has 64x80 pixels, its calibration is for 128x80' in str(details)
    table = store.frames(0)
    assert len(table) == 16
    assert set(table.part) == {0}
    hole = int(np.flatnonzero(np.diff(table.stamps_ns) == 4 * 10**8)[0]) + 1
    assert table.motion[hole] == pytest.approx(4 * 3 / 128, rel=0.3)


def test_damaged_files_of_a_folder_are_counted_as_damaged_messages_are(tmp_path: Path) -> None:
    folder = tmp_path / 'images'
    folder.mkdir()
    for index in range(12):
        jpeg = simplejpeg.encode_jpeg(moving_bag.picture(index))
        whole = index not in (5, 7)
        (folder / f'{index}.jpg').write_bytes(jpeg if whole else jpeg[: len(jpeg) // 2])
    store = extract([folder], tmp_path / 'store', SMALL, calibration=PLAIN)
    assert store.tally == {'stored': 10, 'damaged': 2}
    assert store.document.progress.details == {'damaged': '5.jpg'}
    assert '2 of 12 images cannot be decoded' in store.document.progress.notes[0]


def test_damage_of_more_than_a_second_is_a_cut(tmp_path: Path) -> None:
    broken = {
        i: moving_bag.message(moving_bag.picture(i), 'mono8', START_NS + i * 10**8)[:99]
        for i in range(4, 16)
    }
    bag = write_moving_bag(tmp_path / 'bag', frames=20, replaced=broken)
    table = extract([bag], tmp_path / 'store', SMALL).frames(0)
    assert table.part.tolist() == [0] * 4 + [1] * 4
    assert np.flatnonzero(np.isnan(table.motion)).tolist() == [0, 4]


def test_a_gap_and_a_leap_back_in_time_begin_a_new_part(tmp_path: Path) -> None:
    times_s = [0.0, 0.1, 0.2, 1.3, 1.4, 0.5, 0.6, 1.5]
    bag = write_moving_bag(tmp_path / 'bag', times_s=times_s)
    table = extract([bag], tmp_path / 'store', SMALL).frames(0)
    assert table.part.tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    assert np.flatnonzero(np.isnan(table.motion)).tolist() == [0, 3, 5]
    np.testing.assert_array_equal(table.stamps_ns, START_NS + np.round(np.array(times_s) * 1e9))


def test_a_frame_out_of_order_costs_a_pair_no_partners(tmp_path: Path) -> None:
    cameras = {'/left': PLAIN, '/right': right_of(PLAIN, 0.2)}
    bag = write_moving_bag(tmp_path / 'bag', frames=30, cameras=cameras)
    with open_recording(bag) as recording, RecordingWriter(tmp_path / 'disordered') as writer:
        for topic in recording.topics:
            writer.add_topic(topic.name, topic.type)
        messages = list(recording.messages())
        left = [m for m in messages if m.topic == '/left/image_raw']
        swapped = {id(left[10]): left[11].data, id(left[11]): left[10].data}
        for message in messages:
            data = swapped.get(id(message), message.data)
            writer.write(message.topic, message.stamp_ns, data)
    store = extract([tmp_path / 'disordered'], tmp_path / 'store', PAIR)
    assert store.tally == {'stored': 59, 'out of order': 1}
    assert set(store.frames(0).part) == {0}
    split = make_split(store, mode='stereo', settings=TripletSettings(validation=0.0))
    assert len(split.training) == 58


def test_several_recordings_become_parts_of_one_store(tmp_path: Path) -> None:
    bags = [write_moving_bag(tmp_path / name, frames=3) for name in ('one', 'two')]
    store = extract(bags, tmp_path / 'store', SMALL)
    assert store.sources == ('one', 'two')
    assert store.frames(0).part.tolist() == [0, 0, 0, 1, 1, 1]
    np.testing.assert_array_equal(store.image(0, 4), store.image(0, 1))


def test_raw_and_rectified_pictures_with_one_P_are_each_prepared_in_their_own_way(
    tmp_path: Path,
) -> None:
    bent = replace(BENT, K=K, P=(*K[:3], 0.0, *K[3:6], 0.0, *K[6:], 0.0))
    cameras = {'raw': PLAIN, 'bent': bent, 'bent again': bent}
    bags = [
        write_moving_bag(tmp_path / name, frames=3, cameras={'/camera': calibration})
        for name, calibration in cameras.items()
    ]
    store = extract(bags, tmp_path / 'store', SMALL)
    assert [camera.name for camera in store.cameras] == ['/camera', '/camera of bent']
    assert store.cameras[0].camera == store.cameras[1].camera
    alone = extract(bags[1:2], tmp_path / 'alone', SMALL)
    for index in range(3):
        np.testing.assert_array_equal(store.image(1, index), alone.image(0, index))
    assert [len(store.frames(camera)) for camera in (0, 1)] == [3, 6]


@pytest.mark.parametrize('path', ['.', 'inside/..'])
def test_a_recording_that_is_the_working_folder_has_its_name(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bag = write_moving_bag(tmp_path / 'bag', frames=3)
    (bag / 'inside').mkdir()
    monkeypatch.chdir(bag)
    store = extract([Path(path)], tmp_path / 'store', SMALL)
    assert store.sources == ('bag',)
    assert extract([bag], tmp_path / 'store', SMALL).sources == ('bag',)


def test_recordings_of_different_cameras_are_refused(tmp_path: Path) -> None:
    bags = [
        write_moving_bag(tmp_path / 'one', frames=2),
        write_moving_bag(tmp_path / 'two', frames=2, cameras={'/camera': BENT}),
    ]
    with pytest.raises(CalibrationError, match=r'with another camera than .* a store of its own'):
        extract(bags, tmp_path / 'store', SMALL)


def test_a_pair_shares_its_window_and_knows_its_baseline(tmp_path: Path) -> None:
    cameras = {'/left': BENT, '/right': right_of(BENT, 0.25, D=(-0.3, 0.1, 0.0, 0.0, 0.0))}
    bag = write_moving_bag(tmp_path / 'bag', frames=5, cameras=cameras)
    store = extract([bag], tmp_path / 'store', PAIR)
    left, right = store.cameras
    assert (left.name, right.name) == ('/left', '/right')
    np.testing.assert_array_equal(left.camera.K, right.camera.K)
    assert left.source.camera.K.tolist() == right.source.camera.K.tolist()
    assert (left.position_m, right.position_m) == (0.0, pytest.approx(0.25))
    windows = [Rectifier(calibration).window for calibration in cameras.values()]
    assert left.source.camera.width == min(w.x + w.width for w in windows) - max(
        w.x for w in windows
    )
    assert [len(store.frames(c)) for c in (0, 1)] == [5, 5]


def test_two_cameras_whose_rows_do_not_correspond_are_no_pair(tmp_path: Path) -> None:
    P = list(right_of(BENT, 0.25).P)
    P[6] += 3.0
    cameras = {'/left': BENT, '/right': right_of(BENT, 0.25, P=tuple(P))}
    bag = write_moving_bag(tmp_path / 'bag', frames=2, cameras=cameras)
    with pytest.raises(CalibrationError, match='cy_px of P is 39 and 42, expected the same'):
        extract([bag], tmp_path / 'store', PAIR)


@pytest.mark.parametrize('late_s', [0.0, 0.015])
def test_thinning_takes_the_same_instants_of_both_cameras(late_s: float, tmp_path: Path) -> None:
    cameras = {'/left': PLAIN, '/right': right_of(PLAIN, 0.2)}
    missing = [('/left', 5), ('/right', 2), ('/right', 3)]
    late = {'/right': late_s}
    bag = write_moving_bag(
        tmp_path / 'bag', frames=12, cameras=cameras, missing=missing, late_s=late
    )
    store = extract([bag], tmp_path / 'store', replace(PAIR, keep_every=3))
    taken = [((store.frames(c).stamps_ns - START_NS) // 10**8).tolist() for c in (0, 1)]
    assert taken == [[0, 3, 6, 9], [0, 6, 9]]
    assert set(store.frames(1).part) == {0}


def test_only_the_wanted_stretch_is_taken(tmp_path: Path) -> None:
    bag = write_moving_bag(tmp_path / 'bag', frames=20)
    settings = replace(SMALL, start_s=0.3, end_s=1.2, max_frames=5)
    table = extract([bag], tmp_path / 'store', settings).frames(0)
    assert ((table.stamps_ns - START_NS) // 10**8).tolist() == [3, 4, 5, 6, 7]


def test_the_store_is_the_same_whatever_the_number_of_threads(tmp_path: Path) -> None:
    cameras = {'/left': BENT, '/right': right_of(BENT, 0.2)}
    bag = write_moving_bag(tmp_path / 'bag', frames=30, cameras=cameras)
    stores = []
    for workers in (1, 5):
        extract([bag], tmp_path / str(workers), PAIR, workers=workers)
        stores.append(_files(tmp_path / str(workers)))
    assert stores[0] == stores[1]


class _Stopped(BaseException):
    """Ends a run as Ctrl-C does."""


@pytest.mark.parametrize('calls', [1, 4, 6])
@pytest.mark.parametrize('killed', [False, True], ids=['interrupted', 'killed'])
def test_a_run_that_ended_early_is_continued_to_the_same_store(
    killed: bool, calls: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extraction_books, '_CHECKPOINT_PERIOD_S', -1.0)
    cameras = {'/left': BENT, '/right': right_of(BENT, 0.2)}
    damaged = {12: b'\0' * 40}
    bags = [
        write_moving_bag(
            tmp_path / name, frames=20, cameras=cameras, replaced=damaged, late_s={'/right': 0.015}
        )
        for name in ('one', 'two')
    ]
    settings = replace(PAIR, keep_every=2)
    assert extract(bags, tmp_path / 'whole', settings).document.progress.frames == (18, 18)
    out, told = tmp_path / 'store', []

    def stop(done: int, total: int) -> None:
        told.append((done, total))
        if len(told) == calls:
            if killed:
                shutil.copytree(out, tmp_path / 'left')
            raise _Stopped

    with pytest.raises(_Stopped):
        extract(bags, out, settings, watch=stop)
    out = tmp_path / 'left' if killed else out
    with pytest.raises(RecordingError, match='is unfinished'):
        FrameStore.open(out)
    resumed: list[tuple[int, int]] = []
    extract(bags, out, settings, watch=lambda *progress: resumed.append(progress))
    assert resumed[0] >= told[-1]
    assert _files(out) == _files(tmp_path / 'whole')


@pytest.mark.parametrize('lost', [range(7, 8), range(4, 16)], ids=['at a gap', 'long enough'])
def test_a_cut_at_damaged_pictures_is_there_when_a_run_is_continued_behind_them(
    lost: range, tmp_path: Path
) -> None:
    times_s = [0.1 * index + 3.0 * (index > 6) * (len(lost) == 1) for index in range(28)]
    damaged = {
        index: moving_bag.message(
            moving_bag.picture(index), 'mono8', START_NS + round(times_s[index] * 1e9)
        )[:99]
        for index in lost
    }
    bag = write_moving_bag(tmp_path / 'bag', times_s=times_s, replaced=damaged)
    extract([bag], tmp_path / 'whole', SMALL)

    def stop(done: int, total: int) -> None:
        if done > max(lost):
            raise _Stopped

    with pytest.raises(_Stopped):
        extract([bag], tmp_path / 'store', SMALL, watch=stop)
    again = extract([bag], tmp_path / 'store', SMALL)
    assert again.frames(0).part[-1] == 1
    assert _files(tmp_path / 'store') == _files(tmp_path / 'whole')


def test_a_full_disk_is_told_with_the_store_and_the_way_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bag, out = write_moving_bag(tmp_path / 'bag', frames=6), tmp_path / 'store'

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, 'No space left on device')

    with monkeypatch.context() as patch:
        patch.setattr(FrameStoreWriter, 'append', full)
        with pytest.raises(RecordingError) as caught:
            extract([bag], out, SMALL)
    assert f'{out} cannot be written: No space left on device; make room' in str(caught.value)
    assert 'start again in the same way' in str(caught.value)
    assert extract([bag], out, SMALL).document.progress.frames == (6,)


def test_a_finished_store_is_left_as_it_is(tmp_path: Path) -> None:
    bag = write_moving_bag(tmp_path / 'bag', frames=3)
    extract([bag], tmp_path / 'store', SMALL)
    before = _files(tmp_path / 'store')
    extract([bag], tmp_path / 'store', SMALL)
    assert _files(tmp_path / 'store') == before
    with pytest.raises(RecordingError, match='made with keep_every 1 instead of 2'):
        extract([bag], tmp_path / 'store', replace(SMALL, keep_every=2))
    again = extract([bag], tmp_path / 'store', replace(SMALL, keep_every=2), afresh=True)
    assert len(again.frames(0)) == 2


def test_a_bag_recorded_again_under_the_same_name_is_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bag = write_moving_bag(tmp_path / 'bag', frames=3)
    extract([bag], tmp_path / 'store', SMALL)
    shutil.rmtree(bag)
    monkeypatch.setattr(moving_bag, 'START_NS', START_NS + 60_500_000_000)
    write_moving_bag(bag, frames=3)
    first, second = (f'{START_NS // 10**9 + s:.3f} s on' for s in (0, 60.5))
    with pytest.raises(RecordingError, match=rf'from {first}\) instead of bag .* from {second}\)'):
        extract([bag], tmp_path / 'store', SMALL)


def test_what_can_be_read_of_a_damaged_recording_is_kept_and_the_damage_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = extraction.drive_frames

    def cut_short(recording, cameras, odometry):
        for number, frame in enumerate(whole(recording, cameras, odometry)):
            if number == 7:
                raise RecordingError('the bag is damaged: 7 messages could be read')
            yield frame

    bag = write_moving_bag(tmp_path / 'bag', frames=12)
    monkeypatch.setattr(extraction, 'drive_frames', cut_short)
    store = extract([bag], tmp_path / 'store', SMALL)
    assert len(store.frames(0)) == 7
    assert store.document.progress.notes == ('the bag is damaged: 7 messages could be read',)


def test_a_calibration_for_another_size_names_the_way_out(tmp_path: Path) -> None:
    other = replace(PLAIN, width=256, height=160)
    bag = write_moving_bag(tmp_path / 'bag', frames=2, cameras={'/camera': other})
    with pytest.raises(CalibrationError, match=r'has 128x80 pixels, .* for 256x160; .*--calibra'):
        extract([bag], tmp_path / 'store', SMALL)
    store = extract([bag], tmp_path / 'store', SMALL, calibration=PLAIN)
    assert len(store.frames(0)) == 2


def test_a_recording_without_one_usable_picture_is_refused(tmp_path: Path) -> None:
    broken = [
        moving_bag.message(moving_bag.picture(i), 'jpeg', START_NS + i * 10**8)[:600]
        for i in range(3)
    ]
    bag = write_moving_bag(
        tmp_path / 'bag', frames=3, encoding='jpeg', replaced=dict(enumerate(broken))
    )
    with pytest.raises(RecordingError, match='is a usable picture'):
        extract([bag], tmp_path / 'store', SMALL)
    intact = write_moving_bag(tmp_path / 'intact', frames=3)
    with pytest.raises(RecordingError, match=r'start_s is 50, but intact is 0\.2 s long: begin'):
        extract([intact], tmp_path / 'other', replace(SMALL, start_s=50.0))
    assert not (tmp_path / 'other').exists()
    with pytest.raises(RecordingError, match='no picture could be stored: no message'):
        extract([intact], tmp_path / 'other', replace(SMALL, start_s=0.15, end_s=0.19))


@pytest.mark.parametrize(
    ('changes', 'text'),
    [
        ({'width': 100}, 'size 100x32 is not usable: expected multiples of 32'),
        ({'resize': 'nearest'}, "resize 'nearest' is not known"),
        ({'keep_every': 0}, 'keep_every 0 is not usable: expected 1 or more'),
        ({'fps': float('nan')}, 'fps nan is not usable'),
        ({'end_s': 1.0, 'start_s': 2.0}, 'expected more than start_s'),
        ({'cameras': ('/a', '/b')}, '2 cameras are named: expected one, or a pair'),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(changes: dict, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        replace(SMALL, **changes)


def test_odometry_of_a_generated_drive_stands_beside_its_frames(tmp_path: Path) -> None:
    arguments = ['--frames', '6', '--width', '64', '--height', '32', '--device', 'cpu']
    assert main(['generate', str(tmp_path / 'drive'), *arguments]) == 0
    store = extract([tmp_path / 'drive'], tmp_path / 'store', replace(SMALL, max_frames=5))
    odometry = store.frames(0).odometry
    assert odometry.shape == (5, 8)
    travelled_m = np.linalg.norm(np.diff(odometry[:, :3], axis=0), axis=1)
    np.testing.assert_allclose(travelled_m[1:], odometry[1:-1, 7] * 0.1, rtol=0.05)
    np.testing.assert_allclose(np.linalg.norm(odometry[:, 3:7], axis=1), 1.0, rtol=1e-9)


@pytest.fixture(scope='module')
def drives(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two generated drives of 20 pictures."""
    arguments = ['--frames', '20', '--width', '64', '--height', '32', '--device', 'cpu']
    paths = [tmp_path_factory.mktemp('drives') / name for name in ('one', 'two')]
    for seed, path in enumerate(paths):
        assert main(['generate', str(path), *arguments, f'--seed={seed}']) == 0
    return paths


@pytest.mark.parametrize('calls', [1, 3])
def test_each_recording_has_its_own_odometry_when_a_run_is_continued_too(
    calls: int, drives: list[Path], tmp_path: Path
) -> None:
    told = []

    def stop(*progress: int) -> None:
        told.append(progress)
        if len(told) == calls:
            raise _Stopped

    with pytest.raises(_Stopped):
        extract(drives, tmp_path / 'store', SMALL, watch=stop)
    table = extract(drives, tmp_path / 'store', SMALL).frames(0)
    assert np.bincount(table.part).tolist() == [20, 20]
    for part, drive in enumerate(drives):
        mine = table.part == part
        with open_recording(drive) as recording:
            expected = read_odometry(recording).at(table.stamps_ns[mine])
        np.testing.assert_array_equal(table.odometry[mine], expected)
        assert np.isfinite(expected[1:-1]).all()


@needs_kitti
def test_the_pair_of_a_real_drive_has_its_true_geometry(tmp_path: Path) -> None:
    settings = ExtractionSettings(stereo=True, end_s=0.6)
    store = extract([KITTI], tmp_path / 'store', settings)
    left, right = store.cameras
    np.testing.assert_array_equal(left.camera.K, right.camera.K)
    assert right.position_m == pytest.approx(0.5372, abs=1e-4)
    source = left.source.camera
    assert (source.width, source.height) == (1243, 375)
    assert (source.fx_px, source.cx_px, source.cy_px) == (721.5377, 609.5593, 172.854)
    assert left.camera.cx_px == pytest.approx((609.5593 + 0.5) * 640 / 1243 - 0.5, abs=1e-9)
    assert left.camera.cy_px == pytest.approx((172.854 + 0.5) * 192 / 375 - 0.5, abs=1e-9)
    assert store.tally == {'stored': 12}
    window = Window(x=0, y=0, width=1243, height=375)
    with open_recording(KITTI) as recording:
        rectifier = Rectifier(recording.calibration(right.image_topic))
        _, image = next(image_frames(recording, right.image_topic))
    rectified = rectifier.rectify(decode_compressed(image))
    expected = network_input(rectified, window=window, width=640, height=192, resize='bilinear')
    np.testing.assert_array_equal(store.image(1, 0), expected[0].numpy())


@needs_kitti
def test_a_real_camera_is_stored_as_the_node_sees_it(tmp_path: Path) -> None:
    settings = ExtractionSettings(cameras=('/camera/left',), end_s=0.6)
    store = extract([KITTI], tmp_path / 'store', settings)
    frames = len(store.frames(0))
    assert frames == 6
    live = _seen_live(KITTI, store.cameras[0].image_topic, settings, frames)
    for index, expected in enumerate(live):
        np.testing.assert_array_equal(store.image(0, index), expected)
    assert np.isfinite(store.frames(0).odometry[2:]).all()
