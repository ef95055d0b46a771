# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from monodepth2_training import cli
from PIL import Image
from support import md2_weights

from monodepth2_ros.geometry.calibration_file import save_calibration
from monodepth2_ros.geometry.camera import CameraCalibration
from monodepth2_ros.md2_checkpoint import STEREO_SCALE
from monodepth2_ros.model_description import ModelDescription, TrainingCamera
from monodepth2_ros.model_file import load_model, save_model
from monodepth2_ros.networks.depth_net import DepthNet, DepthNetConfig
from monodepth2_ros.recordings import RecordingWriter, cdr

HEIGHT, WIDTH = 50, 120
DISTORTED = CameraCalibration(
    width=WIDTH,
    height=HEIGHT,
    distortion_model='plumb_bob',
    D=(-0.3, 0.1, 0.0, 0.0, 0.0),
    K=(80.0, 0.0, 59.5, 0.0, 80.0, 24.5, 0.0, 0.0, 1.0),
)


@pytest.fixture(scope='module')
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    folder = tmp_path_factory.mktemp('models')
    light = DepthNetConfig(encoder='efficientnet_lite0', width=96, height=64)
    description = ModelDescription(network=light, resize='lanczos')
    torch.manual_seed(0)
    state = DepthNet(light).state_dict()
    files = {name: folder / f'{name}.safetensors' for name in ('relative', 'metric')}
    save_model(files['relative'], description, state)
    save_model(files['metric'], replace(description, scale=STEREO_SCALE), state)
    yield files
    shutil.rmtree(folder)


@pytest.fixture
def picture() -> np.ndarray:
    return (md2_weights.image(HEIGHT, WIDTH) * 255).astype(np.uint8)


def _predict(models: dict[str, Path], image: Path, out: Path, *more: str) -> int:
    model = models['relative' if '--relative' in more else 'metric']
    rest = [argument for argument in more if argument != '--relative']
    return cli.main(
        ['predict', f'--model={model}', f'--image={image}', f'--out={out}', '--device=cpu', *rest]
    )


def _write(folder: Path, name: str, picture: np.ndarray) -> Path:
    path = folder / name
    Image.fromarray(picture).save(path)
    return path


@pytest.mark.parametrize('name', ['colour.jpg', 'colour.png', 'grey.png', 'grey.jpg', 'alpha.png'])
def test_disparity_is_the_networks_on_the_picture_prepared_as_the_reference_does(
    name: str, models: dict[str, Path], picture: np.ndarray, tmp_path: Path
) -> None:
    mode = {'colour': 'RGB', 'grey': 'L', 'alpha': 'RGBA'}[name.partition('.')[0]]
    Image.fromarray(picture).convert(mode).save(tmp_path / name)
    assert _predict(models, tmp_path / name, tmp_path / 'd.npy', '--disparity') == 0
    disparity = np.load(tmp_path / 'd.npy')
    small = Image.open(tmp_path / name).convert('RGB').resize((96, 64), Image.Resampling.LANCZOS)
    rgb = torch.from_numpy(np.array(small)).permute(2, 0, 1)[None] / 255.0
    with torch.no_grad():
        expected = load_model(models['metric']).depth_net.finest(rgb)[0, 0].numpy()
    assert disparity.shape == (64, 96)
    assert disparity.dtype == np.float32
    np.testing.assert_allclose(disparity, expected, rtol=0, atol=1e-5)


def test_depth_has_the_pictures_size_and_the_models_unit(
    models: dict[str, Path],
    picture: np.ndarray,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    image = _write(tmp_path, 'p.png', picture)
    assert _predict(models, image, tmp_path / 'metric.npy') == 0
    captured = capsys.readouterr()
    assert 'metres at scale 5.4' in captured.out
    assert captured.err == ''
    assert _predict(models, image, tmp_path / 'relative.npy', '--relative') == 0
    captured = capsys.readouterr()
    assert captured.err == 'monodepth2 predict: relative depth (scale unknown)\n'
    metric, relative = np.load(tmp_path / 'metric.npy'), np.load(tmp_path / 'relative.npy')
    assert metric.shape == (HEIGHT, WIDTH)
    assert metric.dtype == np.float32
    assert relative.min() >= 0.1
    np.testing.assert_allclose(metric, 5.4 * relative, rtol=1e-5)


@pytest.mark.parametrize(
    ('name', 'image', 'out', 'formats'),
    [
        ('p.png', 'p.png', 'p.png', ''),
        ('p.png', 'p.png', '../in/p.png', ''),
        ('p.png', 'p.png', '../link/p.png', 'color'),
        ('p_mm.png', 'p_mm.png', 'p.png', 'color,png16'),
        ('p.png', '.', '.', 'color,png16'),
        ('p.png', '.', '../link', ''),
    ],
)
def test_no_result_replaces_a_picture_or_joins_the_pictures(
    models: dict[str, Path],
    picture: np.ndarray,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    image: str,
    out: str,
    formats: str,
) -> None:
    folder = tmp_path / 'in'
    folder.mkdir()
    (tmp_path / 'link').symlink_to(folder)
    before = _write(folder, name, picture).read_bytes()
    assert _predict(models, folder / image, folder / out, f'--format={formats}') == 2
    assert 'is the input: give another name or folder' in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == [name]
    assert (folder / name).read_bytes() == before


def test_a_given_scale_replaces_the_models(
    models: dict[str, Path], picture: np.ndarray, tmp_path: Path
) -> None:
    image = _write(tmp_path, 'p.png', picture)
    _predict(models, image, tmp_path / 'a.npy', '--relative')
    _predict(models, image, tmp_path / 'b.npy', '--scale', '2.5')
    np.testing.assert_allclose(
        np.load(tmp_path / 'b.npy'), 2.5 * np.load(tmp_path / 'a.npy'), rtol=1e-5
    )


def test_metres_through_another_camera_are_those_of_the_node(
    models: dict[str, Path],
    picture: np.ndarray,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    image = _write(tmp_path, 'p.png', picture)
    calibration = replace(DISTORTED, distortion_model='', D=())
    save_calibration(tmp_path / 'camera.yaml', calibration)
    loaded = load_model(models['metric'])
    wide = replace(calibration.rectified_camera(), fx_px=40.0, fy_px=40.0)
    description = replace(loaded.description, camera=TrainingCamera(camera=wide))
    other = tmp_path / 'other.safetensors'
    save_model(other, description, loaded.depth_net.state_dict())
    through = f'--calibration={tmp_path / "camera.yaml"}'
    assert _predict({'metric': other}, image, tmp_path / 'as_trained.npy') == 0
    capsys.readouterr()
    assert _predict({'metric': other}, image, tmp_path / 'a.npy', through) == 0
    said = capsys.readouterr()
    assert said.err.endswith('the model was trained at 40 px: depth is multiplied by 2.000\n')
    assert 'metres at scale 10.8' in said.out
    depth_m = np.load(tmp_path / 'a.npy')
    np.testing.assert_allclose(depth_m, 2.0 * np.load(tmp_path / 'as_trained.npy'), rtol=1e-5)
    # A scale that is given is that of the camera in use.
    assert _predict({'metric': other}, image, tmp_path / 'b.npy', through, '--scale=5.4') == 0
    np.testing.assert_allclose(2.0 * np.load(tmp_path / 'b.npy'), depth_m, rtol=1e-5)


def test_every_format_holds_the_same_depth(
    models: dict[str, Path], picture: np.ndarray, tmp_path: Path
) -> None:
    image = _write(tmp_path, 'p.png', picture)
    out = tmp_path / 'out.npy'
    assert _predict(models, image, out, '--format', 'npy,png16,color', '--scale', '1') == 0
    depth = np.load(out)
    millimetres = cv2.imread(str(tmp_path / 'out_mm.png'), cv2.IMREAD_UNCHANGED)
    colour = cv2.imread(str(tmp_path / 'out_color.png'), cv2.IMREAD_UNCHANGED)
    assert millimetres.dtype == np.uint16
    near = depth < 65.0
    np.testing.assert_allclose(millimetres[near] / 1000.0, depth[near], atol=6e-4)
    assert colour.shape == (HEIGHT, WIDTH, 3)
    assert colour[depth.argmin() // WIDTH, depth.argmin() % WIDTH].sum() > 400


def test_the_ending_of_the_name_chooses_the_format(
    models: dict[str, Path], picture: np.ndarray, tmp_path: Path
) -> None:
    image = _write(tmp_path, 'p.png', picture)
    assert _predict(models, image, tmp_path / 'depth.png') == 0
    assert cv2.imread(str(tmp_path / 'depth.png'), cv2.IMREAD_UNCHANGED).dtype == np.uint16


def test_a_name_with_another_ending_is_refused_and_no_folder_of_that_name_made(
    models: dict[str, Path],
    picture: np.ndarray,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    image, folder = _write(tmp_path, 'p.png', picture), tmp_path / 'run.2'
    assert _predict(models, image, tmp_path / 'depth.jpg') == 2
    assert 'depth.jpg is no name for depth: end it in .npy or .png' in capsys.readouterr().err
    assert not (tmp_path / 'depth.jpg').exists()
    folder.mkdir()
    assert _predict(models, image, folder) == 0
    assert [path.name for path in folder.iterdir()] == ['p.npy']


def test_a_folder_gives_a_file_for_each_picture_named_after_it(
    models: dict[str, Path], picture: np.ndarray, tmp_path: Path
) -> None:
    folder = tmp_path / 'in'
    folder.mkdir()
    for name in ('b.png', 'a.jpg', 'a.png'):
        _write(folder, name, picture)
    (folder / 'notes.txt').write_text('not a picture')
    assert _predict(models, folder, tmp_path / 'out') == 0
    names = sorted(path.name for path in (tmp_path / 'out').iterdir())
    assert names == ['a.jpg.npy', 'a.png.npy', 'b.npy']


def test_a_damaged_picture_in_a_folder_is_skipped_and_named(
    models: dict[str, Path],
    picture: np.ndarray,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / 'in'
    folder.mkdir()
    for name in ('a.png', 'c.png'):
        _write(folder, name, picture)
    (folder / 'b.png').write_bytes((folder / 'a.png').read_bytes()[:200])
    assert _predict(models, folder, tmp_path / 'out', '--json') == 1
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert document['images'] == 2
    assert document['failures'][0].startswith('b: ')
    assert 'error: 1 of 3 pictures were skipped: b: ' in captured.err
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['a.npy', 'c.npy']


def test_a_video_gives_numbered_files_and_can_be_thinned(
    models: dict[str, Path], picture: np.ndarray, tmp_path: Path
) -> None:
    video = cv2.VideoWriter(
        str(tmp_path / 'v.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 10.0, (WIDTH, HEIGHT)
    )
    for _ in range(6):
        video.write(picture)
    video.release()
    assert (
        _predict(models, tmp_path / 'v.avi', tmp_path / 'o', '--every', '2', '--limit', '2') == 0
    )
    assert sorted(path.name for path in (tmp_path / 'o').iterdir()) == ['000000.npy', '000002.npy']


def test_a_calibration_with_distortion_rectifies_first(
    models: dict[str, Path],
    picture: np.ndarray,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    image = _write(tmp_path, 'p.png', picture)
    yaml = tmp_path / 'camera.yaml'
    save_calibration(yaml, replace(DISTORTED, P=(60, 0, 59.5, 0, 0, 60, 24.5, 0, 0, 0, 1, 0)))
    arguments = ('--calibration', str(yaml), '--json')
    assert _predict(models, image, tmp_path / 'd.npy', *arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert document['rectified'] is True
    assert document['camera']['fx_px'] == 60.0
    depth = np.load(tmp_path / 'd.npy')
    assert np.isnan(depth[0, 0])
    assert np.isfinite(depth[HEIGHT // 2, WIDTH // 2])
    assert _predict(models, image, tmp_path / 'd.npy', *arguments, '--rectify', 'never') == 0
    assert json.loads(capsys.readouterr().out)['rectified'] is False
    assert np.isfinite(np.load(tmp_path / 'd.npy')).all()


def _write_bag(
    path: Path, picture: np.ndarray, calibration: CameraCalibration, *others: str
) -> None:
    with RecordingWriter(path) as bag:
        for name in ('/cam', *others):
            bag.add_topic(f'{name}/image_raw', 'sensor_msgs/msg/Image')
            bag.add_topic(f'{name}/camera_info', 'sensor_msgs/msg/CameraInfo')
        for i in range(3):
            header = {'stamp_ns': 10**9 * (i + 1), 'frame_id': 'camera'}
            rows = picture[: HEIGHT - 10 * (i == 1)]
            image = cdr.image(rows, encoding='rgb8', **header)
            info = cdr.camera_info(calibration, **header)
            for name in ('/cam', *others):
                bag.write(f'{name}/camera_info', header['stamp_ns'], info)
                bag.write(f'{name}/image_raw', header['stamp_ns'], image)


def test_a_bag_is_rectified_by_its_own_calibration_and_odd_frames_are_skipped(
    models: dict[str, Path],
    picture: np.ndarray,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _write_bag(tmp_path / 'bag', picture, DISTORTED)
    assert _predict(models, tmp_path / 'bag', tmp_path / 'o', '--topic=/cam', '--json') == 1
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert (document['images'], document['rectified']) == (2, True)
    assert document['topic'] == '/cam/image_raw'
    assert '1 of 3 pictures were skipped: 000001_2000000000: the calibration' in captured.err
    names = sorted(path.name for path in (tmp_path / 'o').iterdir())
    assert names == ['000000_1000000000.npy', '000002_3000000000.npy']
    assert _predict(models, tmp_path / 'bag', tmp_path / 'p', '--rectify=never') == 0
    assert '3 x npy of /cam/image_raw -> ' in capsys.readouterr().out
    assert np.load(tmp_path / 'p' / '000001_2000000000.npy').shape == (HEIGHT - 10, WIDTH)


def test_an_unusable_recorded_calibration_is_refused_with_the_way_around_it(
    models: dict[str, Path],
    picture: np.ndarray,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    broken = replace(DISTORTED, K=(float('nan'), *DISTORTED.K[1:]))
    _write_bag(tmp_path / 'bag', picture, broken)
    assert _predict(models, tmp_path / 'bag', tmp_path / 'o') == 1
    assert 'as recorded cannot be used, --rectify never ignores it' in capsys.readouterr().err


def test_a_bag_without_such_a_camera_names_those_it_has(
    models: dict[str, Path],
    picture: np.ndarray,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _write_bag(tmp_path / 'bag', picture, DISTORTED)
    assert _predict(models, tmp_path / 'bag', tmp_path / 'o', '--topic=/front') == 1
    assert "no camera '/front'; its cameras are: /cam/image_raw" in capsys.readouterr().err


def test_of_several_cameras_in_a_bag_one_has_to_be_named(
    models: dict[str, Path],
    picture: np.ndarray,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _write_bag(tmp_path / 'bag', picture[:HEIGHT], DISTORTED, '/rear')
    assert _predict(models, tmp_path / 'bag', tmp_path / 'o') == 1
    said = capsys.readouterr().err.splitlines()
    assert said[0].endswith('has 2 cameras: name one.')
    assert [line.split()[0] for line in said[1:]] == ['/cam/image_raw', '/rear/image_raw']
    assert _predict(models, tmp_path / 'bag', tmp_path / 'o', '--topic=/rear', '--limit=1') == 0
    assert '1 x npy of /rear/image_raw' in capsys.readouterr().out


def test_a_calibration_of_another_size_is_refused(
    models: dict[str, Path],
    picture: np.ndarray,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    image = _write(tmp_path, 'p.png', picture[:, :100])
    yaml = tmp_path / 'camera.yaml'
    save_calibration(yaml, DISTORTED)
    assert _predict(models, image, tmp_path / 'd.npy', '--calibration', str(yaml)) == 1
    assert 'is for images of 120x50, this one has 100x50' in capsys.readouterr().err


def test_limits_mark_depth_as_rep_117_says(
    models: dict[str, Path], picture: np.ndarray, tmp_path: Path
) -> None:
    image = _write(tmp_path, 'p.png', picture)
    _predict(models, image, tmp_path / 'all.npy')
    depth = np.load(tmp_path / 'all.npy')
    low, high = np.quantile(depth, (0.2, 0.8)).tolist()
    limits = ('--min-depth-m', str(low), '--max-depth-m', str(high))
    _predict(models, image, tmp_path / 'some.npy', *limits)
    marked = np.load(tmp_path / 'some.npy')
    assert np.isneginf(marked[depth < low - 1e-4]).all()
    assert np.isposinf(marked[depth > high + 1e-4]).all()
    kept = np.isfinite(marked)
    np.testing.assert_array_equal(marked[kept], depth[kept])


def test_sixteen_bit_pictures_are_scaled_not_cut_off(
    models: dict[str, Path], picture: np.ndarray, tmp_path: Path
) -> None:
    grey = picture[..., 0]
    eight = _write(tmp_path, 'eight.png', grey)
    cv2.imwrite(str(tmp_path / 'sixteen.png'), grey.astype(np.uint16) * 257)
    _predict(models, eight, tmp_path / 'a.npy', '--disparity')
    _predict(models, tmp_path / 'sixteen.png', tmp_path / 'b.npy', '--disparity')
    np.testing.assert_array_equal(np.load(tmp_path / 'a.npy'), np.load(tmp_path / 'b.npy'))


@pytest.mark.parametrize('content', [b'', b'no image at all', b'\x89PNG\r\n\x1a\n cut off'])
def test_an_unreadable_picture_is_one_line_and_status_1(
    content: bytes, models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 'p.png').write_bytes(content)
    assert _predict(models, tmp_path / 'p.png', tmp_path / 'd.npy') == 1
    err = capsys.readouterr().err
    assert err.count('\n') == 1
    assert f'{tmp_path / "p.png"} is no image that can be read' in err
    assert not (tmp_path / 'd.npy').exists()


def test_a_missing_picture_is_named(
    models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _predict(models, tmp_path / 'p.jpg', tmp_path / 'd.npy') == 1
    assert 'p.jpg does not exist: expected an image file' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('more', 'message'),
    [
        (('--format', 'tiff'), "format 'tiff' is not known"),
        (('--format', 'png16'), 'does not fit format png16: expected a name in .png'),
        (('--disparity', '--format', 'color'), '--disparity is written as npy only'),
        (('--scale', '-1'), '--scale -1.0 is not usable'),
        (('--scale', 'nan'), '--scale nan is not usable'),
        (('--every', '0'), '--every and --limit take whole numbers from 1'),
        (('--min-depth-m', '9', '--max-depth-m', '3'), 'must be 0 <= min < max'),
        (('--colormap', 'magna'), "did you mean 'magma'"),
        (('--topic', '/camera'), 'is no bag: leave it out'),
    ],
)
def test_arguments_that_cannot_be_meant_end_with_status_2(
    more: tuple[str, ...],
    message: str,
    models: dict[str, Path],
    picture: np.ndarray,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    image = _write(tmp_path, 'p.png', picture)
    assert _predict(models, image, tmp_path / 'd.npy', *more) == 2
    assert message in capsys.readouterr().err


def test_many_pictures_do_not_fit_into_one_file(
    models: dict[str, Path],
    picture: np.ndarray,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / 'in'
    folder.mkdir()
    _write(folder, 'a.png', picture)
    assert _predict(models, folder, tmp_path / 'd.npy') == 2
    assert 'names one file for many pictures: give a folder' in capsys.readouterr().err
