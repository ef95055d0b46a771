# SPDX-License-Identifier: Apache-2.0
"""``monodepth2 extract`` from the command line: summary, findings, exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from monodepth2_training.cli import main
from monodepth2_training.commands.progress import ProgressLine
from monodepth2_training.data.frame_store import FrameStore
from support import moving_bag
from support.moving_bag import PLAIN, START_NS, right_of, write_moving_bag

from monodepth2_ros.geometry.calibration_file import save_calibration

SIZE = ['--width', '64', '--height', '32']


@pytest.fixture(scope='module')
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cameras = {'/left': PLAIN, '/right': right_of(PLAIN, 0.2)}
    odd = moving_bag.message(moving_bag.picture(0, size=(64, 80)), 'mono8', START_NS + 3 * 10**8)
    folder = tmp_path_factory.mktemp('bags') / 'drive'
    return write_moving_bag(folder, frames=16, cameras=cameras, replaced={3: odd})


def test_a_pair_is_extracted_with_a_summary(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'store'
    assert main(['extract', str(bag), str(out), '--stereo', *SIZE]) == 0
    text = capsys.readouterr().out
    assert f'{out}: 30 pictures of 64x32 from drive in ' in text
    assert 'messages: 30 stored, 2 another resolution' in text
    assert '/right: 15 pictures, fx 45.00' in text
    assert '0.2000 m to the right' in text
    assert 'error: 2 of 32 messages were skipped: another resolution' in text
    assert len(FrameStore.open(out).frames(1)) == 15


def test_json_says_the_same(bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ['extract', str(bag), str(tmp_path / 's'), '--camera', '/left', '--json']
    assert main([*arguments, *SIZE, '--keep-every', '2', '--batch-size', '4']) == 0
    document = json.loads(capsys.readouterr().out)
    assert document['messages'] == {'stored': 8, 'thinned out': 8}
    assert document['cameras'][0]['name'] == '/left'
    assert document['cameras'][0]['camera']['fx_px'] == 45.0
    assert document['findings'] == []


def test_other_arguments_need_force(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ['extract', str(bag), str(tmp_path / 's'), '--camera', '/left', *SIZE]
    assert main(arguments) == 0
    assert main(arguments) == 0
    assert main([*arguments, '--max-frames', '4']) == 1
    assert 'made with max_frames 0 instead of 4' in capsys.readouterr().err
    assert main([*arguments, '--max-frames', '4', '--force']) == 0
    assert len(FrameStore.open(tmp_path / 's').frames(0)) == 4


@pytest.mark.parametrize(
    ('topic', 'text'),
    [('/odmo', "has no topic '/odmo'"), ('/left/image_raw', 'expected odometry')],
)
def test_odometry_that_is_not_there_costs_no_store(
    topic: str, text: str, bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ['extract', str(bag), str(tmp_path / 's'), '--camera', '/left', *SIZE]
    assert main(arguments) == 0
    assert main([*arguments, '--odometry', topic, '--force']) == 1
    assert text in capsys.readouterr().err
    assert len(FrameStore.open(tmp_path / 's').frames(0)) == 15


def test_a_folder_of_pictures_is_extracted_with_a_calibration(tmp_path: Path) -> None:
    import cv2

    folder = tmp_path / 'pictures'
    folder.mkdir()
    for index in range(4):
        cv2.imwrite(str(folder / f'{index}.png'), moving_bag.picture(index))
    save_calibration(tmp_path / 'camera.yaml', PLAIN)
    arguments = ['extract', str(folder), str(tmp_path / 's'), *SIZE, '--fps', '5']
    assert main(arguments) == 1
    assert main([*arguments, '--calibration', str(tmp_path / 'camera.yaml')]) == 0
    store = FrameStore.open(tmp_path / 's')
    assert (store.frames(0).stamps_ns[1:] - store.frames(0).stamps_ns[:-1] == 2 * 10**8).all()


@pytest.mark.parametrize(
    ('more', 'status', 'text'),
    [
        (['--width', '100'], 2, 'expected multiples of 32'),
        (['--batch-size', '0'], 2, '--batch-size 0 is not usable'),
        (['--camera', '/rear'], 1, "no camera '/rear'"),
        (['--odometry', '/pose'], 1, "has no topic '/pose'"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_a_status(
    more: list[str],
    status: int,
    text: str,
    bag: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(['extract', str(bag), str(tmp_path / 's'), *SIZE, *more]) == status
    captured = capsys.readouterr()
    assert captured.err.startswith('monodepth2 extract: error: ')
    assert text in captured.err
    assert captured.err.count('\n') == 1


def test_the_progress_line_tells_rate_and_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock_s = [100.0]
    monkeypatch.setattr('time.monotonic', lambda: clock_s[0])
    progress = ProgressLine(0)
    progress.reach(50, 100)
    clock_s[0] += 20.0
    progress.reach(70, 100)
    progress.close()
    assert capsys.readouterr().err == (
        '[################........] 70/100 frames  1.0/s  30 s left\n'
    )
