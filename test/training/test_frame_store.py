# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from monodepth2_training.data import store_document
from monodepth2_training.data.frame_store import FrameStore, StoredCamera
from monodepth2_training.data.frame_store_writer import FrameRecord, open_writer
from monodepth2_training.data.store_document import Progress, StoreDocument

from monodepth2_ros.errors import RecordingError
from monodepth2_ros.geometry.camera import PinholeCamera
from monodepth2_ros.model_description import TrainingCamera

WIDTH, HEIGHT = 8, 4
SOURCE = PinholeCamera(width=16, height=8, fx_px=10.0, fy_px=10.0, cx_px=7.5, cy_px=3.5)


def _camera(channels: int, name: str = '/camera/left') -> StoredCamera:
    return StoredCamera(
        name=name,
        image_topic=f'{name}/image_raw',
        camera=SOURCE.resized(WIDTH, HEIGHT),
        source=TrainingCamera(camera=SOURCE),
        channels=channels,
    )


def _document(*channels: int, **arguments: str) -> StoreDocument:
    return StoreDocument(
        width=WIDTH,
        height=HEIGHT,
        resize='bilinear',
        cameras=tuple(_camera(c, f'/camera_{i}') for i, c in enumerate(channels)),
        sources=('drive.mcap',),
        arguments={'width': '8', **arguments},
        progress=Progress(frames=(0,) * len(channels)),
    )


def _pixels(index: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 256, (channels, HEIGHT, WIDTH), np.uint8)


def _record(index: int) -> FrameRecord:
    motion = float('nan') if index == 0 else 0.01 * index
    return FrameRecord(
        stamp_ns=10**18 + index * 10**8, part=index // 4, motion=motion, brightness=0.5, clipped=0
    )


def _write(path: Path, *, frames: int = 6, channels: int = 3, complete: bool = True) -> Path:
    with open_writer(path, _document(channels), afresh=False) as writer:
        for index in range(frames):
            writer.append(0, _pixels(index, channels), _record(index))
        progress = Progress(frames=(frames,), tally={'stored': frames}, complete=complete)
        writer.checkpoint(progress)
    return path


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_document, '_SHARD_BYTES', 2 * 3 * HEIGHT * WIDTH + 5)


def test_pictures_and_table_come_back_as_they_were_written(
    small_shards: None, tmp_path: Path
) -> None:
    store = FrameStore.open(_write(tmp_path / 's'))
    table = store.frames(0)
    assert len(table) == 6
    assert (store.width, store.height, store.resize) == (WIDTH, HEIGHT, 'bilinear')
    assert (store.sources, store.tally) == (('drive.mcap',), {'stored': 6})
    assert store.cameras == (_camera(3, '/camera_0'),)
    for index in range(6):
        np.testing.assert_array_equal(store.image(0, index), _pixels(index))
    np.testing.assert_array_equal(table.stamps_ns, 10**18 + np.arange(6) * 10**8)
    np.testing.assert_array_equal(table.part, [0, 0, 0, 0, 1, 1])
    np.testing.assert_allclose(table.motion[1:], 0.01 * np.arange(1, 6), rtol=1e-6)
    assert np.isnan(table.motion[0])
    assert np.isnan(table.odometry).all()
    assert table.odometry.shape == (6, 8)
    assert len(list((tmp_path / 's' / 'camera_0').glob('*.u8'))) == 3


def test_a_grey_picture_is_stored_once_and_read_three_times(tmp_path: Path) -> None:
    store = FrameStore.open(_write(tmp_path / 's', channels=1))
    image = store.image(0, 2)
    assert image.shape == (3, HEIGHT, WIDTH)
    assert (image == _pixels(2, 1)).all()
    assert (tmp_path / 's/camera_0/pixels_00000.u8').stat().st_size == 6 * WIDTH * HEIGHT


def test_a_picture_is_a_view_that_nobody_can_write_to(tmp_path: Path) -> None:
    store = FrameStore.open(_write(tmp_path / 's'))
    with pytest.raises(ValueError, match='read-only'):
        store.image(0, 0)[0, 0, 0] = 1
    with pytest.raises(ValueError, match='read-only'):
        store.frames(0).motion[0] = 1
    assert store.image(0, 0).base is not None


@pytest.mark.parametrize('index', [-1, 6])
def test_a_picture_that_is_not_there_is_an_index_error(index: int, tmp_path: Path) -> None:
    with pytest.raises(IndexError, match='there are 6'):
        FrameStore.open(_write(tmp_path / 's')).image(0, index)


def test_a_store_travels_to_another_process_by_its_path(tmp_path: Path) -> None:
    sent = pickle.dumps(FrameStore.open(_write(tmp_path / 's')))
    assert len(sent) < 400
    np.testing.assert_array_equal(pickle.loads(sent).image(0, 3), _pixels(3))


def test_a_store_without_pictures_opens(tmp_path: Path) -> None:
    assert len(FrameStore.open(_write(tmp_path / 's', frames=0)).frames(0)) == 0


@pytest.mark.parametrize('kept', [0, 1, 3, 5])
def test_a_killed_run_continues_to_the_same_store(
    kept: int, small_shards: None, tmp_path: Path
) -> None:
    whole, killed = _write(tmp_path / 'whole'), tmp_path / 'killed'
    writer = open_writer(killed, _document(3), afresh=False)
    for index in range(6):
        if index == kept:
            writer.checkpoint(Progress(frames=(index,), messages=(index,)))
        writer.append(0, _pixels(index if index < kept else 99), _record(index))
    writer.__exit__()
    (killed / 'camera_0/index.bin').open('ab').write(b'half a record')
    with open_writer(killed, _document(3), afresh=False) as resumed:
        assert resumed.document.progress.frames == resumed.frames == (kept,)
        for index in range(kept, 6):
            resumed.append(0, _pixels(index), _record(index))
        resumed.checkpoint(Progress(frames=(6,), tally={'stored': 6}, complete=True))
    for file in sorted(path.relative_to(whole) for path in whole.rglob('*') if path.is_file()):
        assert (killed / file).read_bytes() == (whole / file).read_bytes(), file


def test_the_last_picture_can_be_read_back_while_writing(
    small_shards: None, tmp_path: Path
) -> None:
    with open_writer(tmp_path / 's', _document(3, 1), afresh=False) as writer:
        assert writer.last(0) is None
        for index in range(5):
            writer.append(0, _pixels(index), _record(index))
            record, pixels = writer.last(0) or pytest.fail('nothing was written')
            np.testing.assert_array_equal(pixels, _pixels(index))
            assert (record.stamp_ns, record.part) == (_record(index).stamp_ns, index // 4)
        assert writer.last(1) is None


def test_an_unfinished_store_is_refused_with_the_way_to_finish_it(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r'is unfinished \(6 pictures so far\): run the same'):
        FrameStore.open(_write(tmp_path / 's', complete=False))


@pytest.mark.parametrize(
    ('file', 'length'), [('pixels_00001.u8', 10), ('pixels_00002.u8', 0), ('index.bin', 100)]
)
def test_a_file_that_was_cut_short_is_noticed_on_opening(
    file: str, length: int, small_shards: None, tmp_path: Path
) -> None:
    path = _write(tmp_path / 's') / 'camera_0' / file
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(RecordingError, match=f'{file} holds {length} bytes, expected'):
        FrameStore.open(tmp_path / 's')
    path.unlink()
    with pytest.raises(RecordingError, match=f'{file} is missing, expected'):
        FrameStore.open(tmp_path / 's')


def test_what_is_no_store_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / 'nowhere', tmp_path):
        with pytest.raises(RecordingError, match=r'is no frame store: it holds no store\.json'):
            FrameStore.open(path)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('{"schema": 1', 'is damaged'),
        ('{"schema": 1}', 'lacks the key'),
        ('{"schema": 9}', 'is of schema 9, this version reads 1'),
        ('[]', 'is of schema None'),
    ],
)
def test_a_damaged_document_is_named(text: str, message: str, tmp_path: Path) -> None:
    (_write(tmp_path / 's') / 'store.json').write_text(text)
    with pytest.raises(RecordingError, match=message):
        FrameStore.open(tmp_path / 's')


def test_other_arguments_do_not_continue_a_store(tmp_path: Path) -> None:
    _write(tmp_path / 's')
    with pytest.raises(RecordingError, match=r'made with fps - instead of 5: .* add --force'):
        open_writer(tmp_path / 's', _document(3, fps='5'), afresh=False)
    moved = replace(_document(3), cameras=(_camera(3, '/other'),))
    with pytest.raises(RecordingError, match='made with another camera'):
        open_writer(tmp_path / 's', moved, afresh=False)
    with open_writer(tmp_path / 's', _document(3, fps='5'), afresh=True) as writer:
        assert writer.last(0) is None


def test_nothing_but_a_frame_store_is_ever_replaced(tmp_path: Path) -> None:
    (tmp_path / 'precious.txt').write_text('mine')
    for afresh in (False, True):
        with pytest.raises(RecordingError, match='exists and is no frame store'):
            open_writer(tmp_path, _document(3), afresh=afresh)
    assert (tmp_path / 'precious.txt').read_text() == 'mine'


@pytest.mark.parametrize('text', ['{}', '[]', '{"schema": 1}'])
def test_a_folder_whose_document_is_of_something_else_is_never_replaced(
    text: str, tmp_path: Path
) -> None:
    (tmp_path / 'store.json').write_text(text)
    (tmp_path / 'photo.jpg').write_text('mine')
    with pytest.raises(RecordingError, match='is not replaced, since it may be no frame store'):
        open_writer(tmp_path, _document(3), afresh=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['photo.jpg', 'store.json']


def test_a_store_is_replaced_and_what_else_lies_in_its_folder_is_kept(tmp_path: Path) -> None:
    with open_writer(tmp_path / 's', _document(3, 3), afresh=False):
        (tmp_path / 's/photo.jpg').write_text('mine')
        (tmp_path / 's/camera_0/notes.txt').write_text('mine')
    with open_writer(tmp_path / 's', _document(1), afresh=True) as writer:
        writer.append(0, _pixels(0, 1), _record(0))
        writer.checkpoint(Progress(frames=(1,), complete=True))
    assert len(FrameStore.open(tmp_path / 's').frames(0)) == 1
    assert (tmp_path / 's/photo.jpg').read_text() == 'mine'
    assert (tmp_path / 's/camera_0/notes.txt').read_text() == 'mine'
    assert not (tmp_path / 's/camera_1').exists()


@pytest.mark.parametrize('afresh', [False, True])
def test_a_store_is_written_by_one_writer_at_a_time(afresh: bool, tmp_path: Path) -> None:
    with open_writer(tmp_path / 's', _document(3), afresh=False) as writer:
        writer.append(0, _pixels(0), _record(0))
        with pytest.raises(RecordingError, match='is being written by another extraction: wait'):
            open_writer(tmp_path / 's', _document(3), afresh=afresh)
        writer.append(0, _pixels(1), _record(1))
        writer.checkpoint(Progress(frames=(2,)))
    with open_writer(tmp_path / 's', _document(3), afresh=False) as writer:
        assert writer.frames == (2,)


def test_a_writer_that_cannot_be_opened_keeps_nobody_out(tmp_path: Path) -> None:
    _write(tmp_path / 's')
    with pytest.raises(RecordingError, match='made with fps') as refused:
        open_writer(tmp_path / 's', _document(3, fps='5'), afresh=False)
    with open_writer(tmp_path / 's', _document(3), afresh=False) as writer:
        assert writer.frames == (6,)
    assert refused.value.__traceback__ is not None


def test_a_store_that_lost_bytes_is_not_continued(tmp_path: Path) -> None:
    _write(tmp_path / 's', complete=False)
    (tmp_path / 's/camera_0/pixels_00000.u8').write_bytes(b'')
    with pytest.raises(RecordingError, match='delete it and begin anew'):
        open_writer(tmp_path / 's', _document(3), afresh=False)


@pytest.mark.parametrize('shape', [(1, HEIGHT, WIDTH), (3, WIDTH, HEIGHT), (HEIGHT, WIDTH, 3)])
def test_a_picture_of_another_shape_is_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    with (
        open_writer(tmp_path / 's', _document(3), afresh=False) as writer,
        pytest.raises(RecordingError, match='does not fit the store: expected'),
    ):
        writer.append(0, np.zeros(shape, np.uint8), _record(0))


def test_the_document_is_plain_json(tmp_path: Path) -> None:
    content = json.loads((_write(tmp_path / 's') / 'store.json').read_text())
    assert content['cameras'][0]['camera']['fx_px'] == 5.0
    assert content['progress']['complete'] is True
