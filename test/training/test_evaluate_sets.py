# SPDX-License-Identifier: Apache-2.0
"""``monodepth2 evaluate`` on KITTI, KITTI odometry, Make3D and for KITTI's server."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from monodepth2_training.cli import main
from monodepth2_training.evaluation.odometry.recorded_path import recorded_path
from support import kitti_world, md2_weights
from support.tiny_model import write_tiny_model

from monodepth2_ros.md2_checkpoint import import_md2
from monodepth2_ros.model_description import Scale, TrainingCamera
from monodepth2_ros.model_file import save_model
from monodepth2_ros.recordings import open_recording


@pytest.fixture(scope='module')
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model in metres with a pose network."""
    folder = tmp_path_factory.mktemp('model')
    checkpoint = md2_weights.write_checkpoint(folder / 'md2', pose=True, stereo=True)
    description, state, pose = import_md2(checkpoint)
    save_model(folder / 'm.safetensors', description, state, pose)
    return folder / 'm.safetensors'


@pytest.fixture(scope='module')
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = kitti_world.write_raw(tmp_path_factory.mktemp('kitti'))
    kitti_world.write_split(root / 'split.txt', range(3))
    return root


def evaluate(*arguments: object) -> int:
    return main(['evaluate', *(str(argument) for argument in arguments)])


def printed(capsys: pytest.CaptureFixture[str]) -> dict:
    document: dict = json.loads(capsys.readouterr().out)
    return document


def metric_model(path: Path, metres_per_unit: float, focal: float = 1.0) -> Path:
    """A model whose camera has a multiple of the focal length of ``kitti_world``'s."""
    camera = kitti_world.frames()[0].camera
    camera = replace(camera, fx_px=focal * camera.fx_px, fy_px=focal * camera.fy_px)
    return write_tiny_model(
        path,
        encoder='efficientnet_lite0',
        scale=Scale(value=metres_per_unit, spread=0.0, frames=0, method='test'),
        camera=TrainingCamera(camera=camera),
    )


@pytest.mark.parametrize('truth', ['lidar', 'improved'])
def test_metres_on_kitti_are_those_that_the_node_gives_through_its_camera(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], truth: str
) -> None:
    same = metric_model(tmp_path / 'same.safetensors', 20.0)
    wide = metric_model(tmp_path / 'wide.safetensors', 10.0, focal=0.5)
    found = []
    for file in (same, wide):
        kitti = (f'--kitti={raw}', f'--split={raw / "split.txt"}', f'--kitti-truth={truth}')
        assert evaluate(*kitti, f'--model={file}', '--device=cpu', '--json') == 0
        found.append(printed(capsys))
    wanted, other = (one['depth']['methods'][0]['errors']['metric'] for one in found)
    assert other == pytest.approx(wanted, rel=1e-5)
    assert found[1]['facts']['another camera'].endswith('depth is multiplied by 2.000')
    assert 'another camera' not in found[0]['facts']
    assert found[0]['doubts'] == found[1]['doubts'] == []


def test_metres_through_an_unknown_camera_are_doubted(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = kitti_world.write_make3d(tmp_path)
    (tmp_path / 'image').mkdir()
    cv2.imwrite(str(tmp_path / 'image' / '0000000000.png'), np.zeros((35, 121, 3), np.uint8))
    own = metric_model(tmp_path / 'own.safetensors', 20.0)
    server = (f'--kitti-server={tmp_path}', f'--submission={tmp_path / "out"}')
    for data in ((f'--make3d={root}',), server):
        for file, doubted in ((own, True), (model, False)):
            assert evaluate(*data, f'--model={file}', '--device=cpu', '--json') == 0
            doubts = [doubt['what'] for doubt in printed(capsys)['doubts']]
            assert any('camera of the pictures is not known' in what for what in doubts) == doubted


def test_a_model_is_judged_on_kitti_with_all_scalings_and_a_report(
    raw: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'out'
    kitti = (f'--kitti={raw}', f'--split={raw / "split.txt"}', f'--model={model}', '--device=cpu')
    assert evaluate(*kitti, f'--out={out}', '--json') == 0
    plain = printed(capsys)
    assert plain['kind'] == 'kitti'
    assert plain['facts']['frames'] == '3 of 3 that are there'
    assert set(plain['depth']['methods'][0]['errors']) == {'metric', 'recording', 'frame'}
    assert plain['depth']['methods'][1]['name'] == 'constant depth'
    assert {path.name for path in out.iterdir()} == {
        'evaluation.html',
        'evaluation.md',
        'evaluation.json',
    }
    assert evaluate(*kitti, '--json', '--flip', '--kitti-truth=improved') == 0
    flipped = printed(capsys)
    assert flipped['facts']['flip post-processing'] == 'yes'
    assert 'improved truth, none crop' in flipped['title']


def test_missing_files_are_said_first(
    raw: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    split = kitti_world.write_split(tmp_path / 'split.txt', [0, 7])
    kitti = (f'--kitti={raw}', f'--split={split}', f'--model={model}', '--device=cpu')
    assert evaluate(*kitti, '--json') == 0
    document = printed(capsys)
    assert document['verdict'].startswith('Do not believe the figures yet: 2 of 6 files')
    assert 'download' in document['doubts'][0]['advice']


def test_the_predictions_of_a_peer_are_judged_alike(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, shots = kitti_world.frames()
    np.save(tmp_path / 'd.npy', np.stack([0.54 / np.minimum(s.depth_m, 1e4) for s in shots]))
    kitti = (f'--kitti={raw}', f'--split={raw / "split.txt"}')
    predictions = (f'--predictions={tmp_path / "d.npy"}', '--scale=0.54')
    assert evaluate(*kitti, *predictions, '--json') == 0
    errors = printed(capsys)['depth']['methods'][0]['errors']
    assert errors['metric']['abs_rel'] < 0.03


def test_predictions_that_say_nothing_are_blamed_and_not_the_truth(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / 'd.npy', np.zeros((3, 8, 16), np.float32))
    kitti = (f'--kitti={raw}', f'--split={raw / "split.txt"}')
    assert evaluate(*kitti, f'--predictions={tmp_path / "d.npy"}') == 1
    assert 'd.npy is unusable, because no value is finite' in capsys.readouterr().err


def test_odometry_is_judged_on_sequences(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = kitti_world.write_odometry(tmp_path, '09')
    arguments = (f'--kitti-odometry={root}', f'--model={model}', '--device=cpu', '--json')
    assert evaluate(*arguments, '--sequences=09') == 0
    document = printed(capsys)
    assert document['tables']['snippets'][0]['path'] == 'KITTI odometry 09'
    assert document['verdict'].startswith('KITTI odometry 09: ')
    assert evaluate(*arguments) == 1
    assert 'poses/10.txt' in capsys.readouterr().err


def test_motion_is_judged_by_the_odometry_of_any_recording(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = tmp_path / 'drive'
    small = ('--frames=8', '--width=160', '--height=48', '--device=cpu')
    assert main(['generate', str(bag), *small]) == 0
    capsys.readouterr()
    with open_recording(bag) as recording:
        path = recorded_path(recording, every=2)
        assert [rgb.shape for rgb in path.read()] == [(48, 160, 3)] * 4
    # The camera looks along its z, which is where the vehicle drives.
    steps = np.linalg.solve(path.poses[:-1], path.poses[1:])[:, :3, 3]
    assert (steps[:, 2] > 0.9 * np.linalg.norm(steps, axis=1)).all()
    arguments = (f'--bag={bag}', '--trajectory', f'--model={model}', '--device=cpu', '--json')
    assert evaluate(*arguments) == 0
    document = printed(capsys)
    assert document['facts']['camera mounted'] == 'by /tf_static'
    assert document['facts']['pictures'] == '8'
    assert document['tables']['snippets'][0]['ATE mean, m'] > 0.0


def test_make3d_is_judged(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = kitti_world.write_make3d(tmp_path)
    assert evaluate(f'--make3d={root}', f'--model={model}', '--device=cpu', '--json') == 0
    document = printed(capsys)
    assert document['depth']['max_depth_m'] == 70.0
    assert document['depth']['methods'][0]['errors']['frame']['log10'] > 0.0


def test_depth_pictures_for_the_server_are_written(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 'image').mkdir()
    picture = (md2_weights.image(35, 121) * 255).astype(np.uint8)
    cv2.imwrite(str(tmp_path / 'image' / '0000000000.png'), picture)
    out = tmp_path / 'submission'
    server = (f'--kitti-server={tmp_path}', f'--model={model}', '--device=cpu')
    assert evaluate(*server, f'--submission={out}') == 0
    assert '499 of 500 files are missing' in capsys.readouterr().out
    written = cv2.imread(str(out / '0000000000.png'), cv2.IMREAD_UNCHANGED)
    assert (written.shape, written.dtype) == ((352, 1216), np.uint16)
    assert evaluate(*server) == 2
    assert '--submission OUT' in capsys.readouterr().err


@pytest.mark.parametrize('taken', ['image', 'predictions'])
def test_a_submission_never_replaces_what_it_is_made_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], taken: str
) -> None:
    for name in ('image', 'predictions'):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / '0000000000.png'), np.ones((9, 9), np.uint16))
    before = (tmp_path / taken / '0000000000.png').read_bytes()
    server = (f'--kitti-server={tmp_path}', f'--predictions={tmp_path / "predictions"}')
    assert evaluate(*server, f'--submission={tmp_path / taken}') == 2
    assert f'{tmp_path / taken} is the input' in capsys.readouterr().err
    assert (tmp_path / taken / '0000000000.png').read_bytes() == before


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        ((), 'evaluate on one of --bag, --kitti, --kitti-odometry, --kitti-server, --make3d'),
        (('--kitti=a', '--make3d=b', '--model=m'), 'evaluate on one of'),
        (('--kitti=a',), 'give --model'),
        (('--kitti=a', '--model=m', '--predictions=p'), 'give --model'),
        (('--kitti-odometry=a', '--predictions=p'), 'give --model'),
        (('--kitti=a', '--model=m'), 'needs --split FILE, the list of test files: the Eigen'),
        (('--kitti=a', '--model=m', '--trajectory'), '--trajectory goes with --bag'),
        (('--kitti=a', '--predictions=p', '--scale=-1'), '--scale -1.0 is not usable'),
        (('--bag=a', '--model=m', '--scale=2'), '--scale goes with --predictions: leave it out'),
        (('--bag=a', '--model=m', '--split=s'), '--split goes with --kitti: leave it out'),
        (('--make3d=a', '--model=m', '--kitti-crop=garg'), '--kitti-crop goes with --kitti'),
        (('--bag=a', '--model=m', '--submission=s'), '--submission goes with --kitti-server'),
        (('--make3d=a', '--model=m', '--truth=/points'), '--truth goes with --bag'),
    ],
)
def test_what_cannot_be_meant_is_refused(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(*arguments) == 2
    assert said in capsys.readouterr().err
