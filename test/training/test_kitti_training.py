# SPDX-License-Identifier: Apache-2.0
"""KITTI's raw drives as they ship: opened as recordings, and trained on by the papers' lists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from monodepth2_training.cli import main
from monodepth2_training.data.bags import choose_stereo_pair
from monodepth2_training.data.dataset import TripletDataset
from monodepth2_training.data.extraction import extract
from monodepth2_training.data.extraction_settings import ExtractionSettings
from monodepth2_training.data.listed_drives import listed_frames, lists_both_cameras
from monodepth2_training.data.network_unit import is_stereo_pair
from monodepth2_training.data.triplets import TripletSettings, make_split
from support import kitti_world
from support.tiny_training import LIGHT

from monodepth2_ros.errors import CalibrationError, RecordingError
from monodepth2_ros.recordings import open_recording
from monodepth2_ros.recordings.cameras import decode_frame

ONE = '2011_09_26/2011_09_26_drive_0001_sync'
TWO = '2011_09_28/2011_09_28_drive_0002_sync'
SETTINGS = ExtractionSettings(width=64, height=32, stereo=True)
ALL = TripletSettings(validation=0.0)


@pytest.fixture(scope='module')
def kitti(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days, whose cameras were calibrated anew in between."""
    root = tmp_path_factory.mktemp('kitti')
    kitti_world.write_pair(root, ONE, count=7)
    return kitti_world.write_pair(root, TWO, focal=0.594)


def write_list(path: Path, *lines: str) -> Path:
    path.write_text('\n'.join(lines) + '\n')
    return path


def split_settings(path: Path, **changes: object) -> ExtractionSettings:
    return ExtractionSettings(width=64, height=32, stereo=True, split=str(path), **changes)


def test_a_drive_opens_as_the_pair_that_took_it(kitti: Path) -> None:
    with open_recording(kitti / ONE) as recording:
        left, right = choose_stereo_pair(recording)
        messages = list(recording.messages([right.topics.image]))
        assert recording.notes == ()
    assert (left.name, right.name) == ('/image_02', '/image_03')
    step_px_m = left.calibration.P[3] - right.calibration.P[3]
    assert step_px_m / left.calibration.P[0] == pytest.approx(50.5 / 96.0)
    assert not left.calibration.needs_rectification
    assert [m.stamp_ns % 10**9 for m in messages] == [64389445 + n * 10**8 for n in range(7)]
    assert messages[0].stamp_ns // 10**9 == 1317042121
    assert decode_frame(messages[3]).shape == (48, 160, 3)


def test_a_drive_without_times_says_so_and_without_calibration_or_pictures_is_refused(
    tmp_path: Path,
) -> None:
    kitti_world.write_pair(tmp_path, ONE, count=3)
    (tmp_path / ONE / 'image_02' / 'timestamps.txt').unlink()
    with open_recording(tmp_path / ONE) as recording:
        (note,) = recording.notes
        assert 'taken to be at 10 Hz' in note
        image = recording.image_topics()[0]
        stamps = [message.stamp_ns for message in recording.messages([image])]
    assert np.diff(stamps).tolist() == [10**8] * 2
    (tmp_path / '2011_09_26' / 'calib_cam_to_cam.txt').unlink()
    with pytest.raises(RecordingError, match=r'calib_cam_to_cam\.txt cannot be read'):
        open_recording(tmp_path / ONE)
    (tmp_path / 'empty' / 'image_02' / 'data').mkdir(parents=True)
    with pytest.raises(RecordingError, match='holds no picture as image_02/data/0000000000'):
        open_recording(tmp_path / 'empty')


def test_a_picture_that_cannot_be_read_does_not_end_its_drive(tmp_path: Path) -> None:
    kitti_world.write_pair(tmp_path, ONE, count=6)
    for number in (0, 3):
        lost = tmp_path / ONE / 'image_02' / 'data' / f'{number:010d}.png'
        lost.unlink()
        lost.symlink_to('fetched later')
    store = extract([tmp_path / ONE], tmp_path / 'store', SETTINGS)
    assert store.tally == {'stored': 10, 'damaged': 2}
    (note,) = store.document.progress.notes
    assert '2 of 12 pictures cannot be read and are left out, the first is' in note
    assert note.endswith('image_02/data/0000000000.png (No such file or directory)')


def test_a_list_gives_its_frames_and_their_neighbours_each_with_the_camera_of_its_day(
    kitti: Path, tmp_path: Path
) -> None:
    frames = write_list(tmp_path / 'train.txt', f'{ONE} 2 l', f'{ONE} 3 r', f'{TWO} 1 l')
    assert listed_frames(frames) == {ONE: {1, 2, 3, 4}, TWO: {0, 1, 2}}
    assert lists_both_cameras(frames)
    store = extract([kitti], tmp_path / 'store', split_settings(frames))
    assert [len(store.frames(camera)) for camera in range(4)] == [4, 4, 3, 3]
    names = [camera.name for camera in store.cameras]
    assert names[:2] == ['/image_02', '/image_03']
    assert names[2:] == [f'{name} of {Path(TWO).name}' for name in names[:2]]
    assert is_stereo_pair(store.cameras)
    samples = make_split(store, mode='mono_stereo', settings=ALL).training
    batch = TripletDataset(store, samples).__getitems__(range(len(samples)))
    cameras = batch.ids[:, 0]
    assert cameras.tolist() == [0, 0, 1, 1, 2, 3]
    fx = batch.K[:, 0, 0]
    np.testing.assert_allclose(fx[cameras < 2], 0.6 * 64, rtol=1e-6)
    np.testing.assert_allclose(fx[cameras > 1], 0.594 * 64, rtol=1e-6)
    assert all(sample.sources[-1][0] == sample.camera ^ 1 for sample in samples)
    # A tenth of a unit to the right camera, and as much back.
    steps = batch.T_target_to_cameras[:, -1, 0, 3].tolist()
    assert steps == pytest.approx([-0.1, -0.1, 0.1, 0.1, -0.1, 0.1], rel=0.03)


def test_what_is_missing_of_a_list_is_said_and_the_rest_is_taken(
    kitti: Path, tmp_path: Path
) -> None:
    other = ONE.replace('0001', '0009')
    frames = write_list(tmp_path / 'train.txt', f'{other} 4 l', f'{ONE} 6 l')
    notes = extract([kitti], tmp_path / 'store', split_settings(frames)).document.progress.notes
    assert any(f'1 of 2 drives of {frames} are not in {kitti} ({other})' in n for n in notes)
    missing = f'1 of 3 pictures that are asked for are missing, the first is {kitti / ONE}'
    assert any(note.startswith(missing) for note in notes)
    alone = write_list(tmp_path / 'alone.txt', f'{other} 4 l')
    with pytest.raises(RecordingError, match=r'1 of 1 drives .* download the "synced'):
        extract([kitti], tmp_path / 'none', split_settings(alone))


def test_another_lens_is_no_new_calibration(kitti: Path, tmp_path: Path) -> None:
    wide = kitti_world.write_pair(tmp_path, TWO, count=2, focal=0.5)
    with pytest.raises(CalibrationError, match='with another camera than'):
        extract([kitti / ONE, wide / TWO], tmp_path / 'store', SETTINGS)


def test_kitti_is_trained_on_as_it_ships(
    kitti: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = write_list(tmp_path / 'train.txt', *(f'{ONE} {n} {c}' for n in (2, 3) for c in 'lr'))
    changes = [f'--set={change}' for change in (*LIGHT, 'log.pictures=0')]
    run = tmp_path / 'run'
    words = ('--config=smoke', f'--out={run}', '--device=cpu', '--epochs=1', *changes)
    assert main(['train', str(kitti), f'--split={frames}', *words]) == 0
    # The shape of a run's progress goes to the terminal; the model tells what it learnt from.
    said = capsys.readouterr().out
    assert f'{run / "model.safetensors"}: after 1 epochs, 4 samples' in said
    assert main(['train', '--resume', f'--out={run}', f'--split={frames}', '--device=cpu']) == 2
