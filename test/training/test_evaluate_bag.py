# SPDX-License-Identifier: Apache-2.0
"""``monodepth2 evaluate`` on bags: figures, reports, and truth that does not fit."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from monodepth2_training import cli
from monodepth2_training.evaluation.alignment import Rims, check_alignment
from monodepth2_training.evaluation.depth_errors import METRICS
from monodepth2_training.evaluation.true_frames import view_of_camera
from support.lidar_bag import CAMERA, ODOMETRY_TYPE, START_NS, scene, write_lidar_bag
from support.make_bag import camera_info, image
from support.tiny_model import write_tiny_model

from monodepth2_ros.model_description import Scale, TrainingCamera
from monodepth2_ros.recordings import RecordingWriter, cdr, open_recording
from monodepth2_ros.recordings.messages import (
    CAMERA_INFO_TYPE,
    COMPRESSED_IMAGE_TYPE,
    IMAGE_TYPE,
)


@pytest.fixture(scope='module')
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give an untrained model that believes in metres."""
    path = tmp_path_factory.mktemp('model') / 'tiny.safetensors'
    scale = Scale(value=20.0, spread=0.0, frames=0, method='test')
    return write_tiny_model(path, encoder='efficientnet_lite0', scale=scale)


def evaluate(model: Path, bag: Path, *options: str, capsys: pytest.CaptureFixture[str]) -> dict:
    words = ('--model', str(model), '--bag', str(bag), '--threads', '1', '--json', *options)
    status, said = cli.main(['evaluate', *words]), capsys.readouterr()
    found = json.loads(said.out)
    # Without any figure the status says so, and the last line why.
    assert status == (0 if found['depth'] else 1)
    assert ('error: nothing could be judged: ' in said.err) == (status == 1)
    return found


def said(document: dict) -> str:
    return ' '.join(doubt['what'] + doubt['advice'] for doubt in document['doubts'])


def test_a_lidar_gives_figures_and_three_reports(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = write_lidar_bag(tmp_path / 'bag')
    found = evaluate(model, bag, '--out', str(tmp_path / 'out'), capsys=capsys)
    assert (found['schema'], found['kind'], found['doubts']) == (1, 'bag', [])
    names = [method['name'] for method in found['depth']['methods']]
    assert names == ['model', 'usual depth of each place', 'one depth everywhere']
    errors = found['depth']['methods'][0]['errors']
    assert list(errors) == ['metric', 'recording', 'frame']
    assert set(errors['frame']) == set(METRICS)
    assert len(found['depth']['frames']) == 12
    assert json.loads((tmp_path / 'out' / 'evaluation.json').read_text()) == found
    page = (tmp_path / 'out' / 'evaluation.html').read_text()
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert found['verdict'] in (tmp_path / 'out' / 'evaluation.md').read_text()
    assert page.count('<svg') == 4


def test_one_depth_everywhere_scores_what_it_must(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = write_lidar_bag(tmp_path / 'bag', frames=2, step_m=0.0)
    found = evaluate(model, bag, '--keep-hidden', capsys=capsys)
    true = scene(0.0)[1][::4, ::2].astype(np.float64)
    expected = np.mean(np.abs(np.median(true) - true) / true)
    constant = found['depth']['methods'][-1]['errors']
    assert 'metric' not in constant
    assert constant['frame']['abs_rel'] == pytest.approx(expected, rel=1e-4)
    # Both frames are the same: what the other one holds is exactly right.
    usual = found['depth']['methods'][1]['errors']['metric']
    assert usual['abs_rel'] < expected / 3


def test_metres_are_those_that_the_node_gives_through_a_camera_of_twice_the_focal_length(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = write_lidar_bag(tmp_path / 'bag', frames=2)
    wide = replace(CAMERA, fx_px=100.0, fy_px=100.0)
    files = [
        write_tiny_model(
            tmp_path / f'{value:g}.safetensors',
            encoder='efficientnet_lite0',
            scale=Scale(value=value, spread=0.0, frames=0, method='test'),
            camera=TrainingCamera(camera=camera),
        )
        for value, camera in ((20.0, CAMERA), (10.0, wide))
    ]
    same, other = (evaluate(file, bag, capsys=capsys) for file in files)
    wanted, found = (one['depth']['methods'][0]['errors']['metric'] for one in (same, other))
    assert found == pytest.approx(wanted, rel=1e-5)
    assert other['facts']['another camera'].endswith('depth is multiplied by 2.000')
    assert 'another camera' not in same['facts']


def test_the_predictions_of_a_peer_are_judged_beside_the_same_guesses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = write_lidar_bag(tmp_path / 'bag', frames=3)
    stack = np.stack([0.5 / scene(0.3 * number)[1] for number in range(3)])
    np.save(tmp_path / 'peer.npy', stack)
    words = ('evaluate', '--bag', str(bag), '--json', '--keep-hidden')
    peer = (f'--predictions={tmp_path / "peer.npy"}', '--scale=0.5')
    assert cli.main([*words, *peer]) == 0
    found = json.loads(capsys.readouterr().out)
    assert 'truth is 1.000 times as far in the median pixel' in found['verdict']
    model, usual, constant = found['depth']['methods']
    assert (model['name'], model['ratio']) == ('peer.npy', pytest.approx(0.5, rel=1e-3))
    assert model['errors']['metric']['abs_rel'] < 1e-5 < usual['errors']['frame']['abs_rel']
    assert constant['errors']['frame']['abs_rel'] > 0.1
    np.save(tmp_path / 'peer.npy', stack[:2])
    assert cli.main([*words, *peer]) == 1
    assert 'holds 2 predictions, but the camera has 3 pictures' in capsys.readouterr().err
    assert cli.main([*words, *peer, '--motion']) == 2
    assert 'which tell depth and no motion' in capsys.readouterr().err


def test_a_clock_that_is_100_ms_late_is_found_and_can_be_set_right(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = write_lidar_bag(tmp_path / 'bag', late_ns=10**8)
    found = evaluate(model, bag, capsys=capsys)
    assert 'Do not believe the figures' in found['verdict']
    assert 'stamped 100 ms too late' in said(found)
    assert '--truth-delay-ms 100' in said(found)
    assert evaluate(model, bag, '--truth-delay-ms', '100', capsys=capsys)['doubts'] == []


def test_a_clock_of_another_hour_is_told_by_the_stamps(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = write_lidar_bag(tmp_path / 'bag', frames=4, late_ns=3600 * 10**9)
    found = evaluate(model, bag, capsys=capsys)
    assert found['depth'] is None
    assert 'No truth is within 20 ms of a picture' in said(found)


def test_rims_are_looked_at_all_over_the_recording(tmp_path: Path) -> None:
    places = np.stack([np.arange(40, 80), np.arange(200, 240)], axis=1).astype(np.int32)
    rims = [Rims(stamp_ns=START_NS + index * 10**8, places=places) for index in range(31)]
    with open_recording(write_lidar_bag(tmp_path / 'bag', frames=31)) as recording:
        view = view_of_camera(recording, '/camera/image_raw')
        found = check_alignment(recording, '/camera/image_raw', view, rims)
    assert found.frames == 16
    assert [name for name, _ in found.examples] == ['0.20 s', '0.80 s', '1.40 s']


@pytest.mark.parametrize('yaw_deg', [1.5, -1.5])
def test_a_turned_mounting_is_found_with_its_direction(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], yaw_deg: float
) -> None:
    bag = write_lidar_bag(tmp_path / 'bag', step_m=0.0, yaw_deg=yaw_deg)
    side = 'left' if yaw_deg > 0 else 'right'
    found = said(evaluate(model, bag, capsys=capsys))
    assert re.search(rf'rims fit better 1\.[3-7] degrees to the {side}', found)


def test_exact_truth_of_small_pictures_is_believed(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag, size = tmp_path / 'bag', ('--width', '320', '--height', '96')
    assert cli.main(['generate', str(bag), '--seed', '104', '--frames', '8', *size]) == 0
    capsys.readouterr()
    assert 'rims' not in said(evaluate(model, bag, capsys=capsys)).lower()


def test_a_lidar_that_looks_elsewhere_gives_no_figures_and_the_reason(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = write_lidar_bag(tmp_path / 'bag', frames=3, yaw_deg=180.0)
    found = evaluate(model, bag, capsys=capsys)
    assert found['depth'] is None
    assert 'None of 3 frames has 100 pixels with truth' in said(found)


def test_a_lidar_without_tf_names_the_frames_and_takes_a_file(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = write_lidar_bag(tmp_path / 'bag', told=False)
    found = evaluate(model, bag, capsys=capsys)
    assert found['depth'] is None
    assert "does not link 'lidar' to 'camera'" in said(found)
    assert '--extrinsics FILE' in said(found)
    assert 'no pose network' in said(found)
    file = tmp_path / 'mounting.yaml'
    file.write_text('translation_m: [0, 0, 0]\nquaternion_xyzw: [0.5, -0.5, 0.5, 0.5]\n')
    found = evaluate(model, bag, '--extrinsics', str(file), capsys=capsys)
    assert found['doubts'] == []
    assert len(found['depth']['frames']) == 12


def test_no_damaged_message_ends_the_evaluation(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Compressed depth, of which one is no picture and one is of another size."""
    depth = np.tile(np.linspace(1500, 9000, 48).astype(np.uint16)[:, None], (1, 64))
    bag = tmp_path / 'bag'
    with RecordingWriter(bag) as writer:
        writer.add_topic('/camera/image_raw', IMAGE_TYPE)
        writer.add_topic('/camera/camera_info', CAMERA_INFO_TYPE)
        writer.add_topic('/camera/depth/image_rect/compressedDepth', COMPRESSED_IMAGE_TYPE)
        for index, pixels in enumerate((depth, None, depth[:10], depth)):
            stamp_ns = 10**18 + index * 10**8
            writer.write('/camera/camera_info', stamp_ns, camera_info(stamp_ns))
            writer.write('/camera/image_raw', stamp_ns, image(10 * index, stamp_ns))
            packed = b'' if pixels is None else cv2.imencode('.png', pixels)[1].tobytes()
            content = cdr.typestore().types[COMPRESSED_IMAGE_TYPE](
                header=cdr.header(stamp_ns, 'camera'),
                format='16UC1; compressedDepth png',
                data=np.frombuffer(bytes(12) + packed, np.uint8),
            )
            data = cdr.serialize(content, COMPRESSED_IMAGE_TYPE)
            writer.write('/camera/depth/image_rect/compressedDepth', stamp_ns, data)
    found = evaluate(model, bag, capsys=capsys)
    assert len(found['depth']['frames']) == 2
    assert '1 frames cannot be read' in said(found)


def write_depth_bag(path: Path, *sizes: tuple[int, int], depth_frame: str = 'camera') -> Path:
    """Pictures of these widths and heights before a flat wall, and odometry that says nothing."""
    with RecordingWriter(path) as writer:
        writer.add_topic('/camera/image_raw', IMAGE_TYPE)
        writer.add_topic('/camera/depth', IMAGE_TYPE)
        writer.add_topic('/odom', ODOMETRY_TYPE)
        for index, (width, height) in enumerate(sizes):
            stamp_ns = START_NS + index * 10**8
            rgb = np.full((height, width, 3), 20 * index, np.uint8)
            for topic, pixels, encoding, frame in (
                ('/camera/image_raw', rgb, 'rgb8', 'camera'),
                ('/camera/depth', np.full((48, 64), 4.0, np.float32), '32FC1', depth_frame),
            ):
                content = cdr.image(pixels, encoding=encoding, stamp_ns=stamp_ns, frame_id=frame)
                writer.write(topic, stamp_ns, content)
    return path


def test_a_flat_wall_is_judged_though_a_guess_is_right_everywhere(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = write_depth_bag(tmp_path / 'bag', *2 * [(64, 48)])
    found = evaluate(model, bag, capsys=capsys)
    assert found['depth']['methods'][-1]['errors']['frame']['abs_rel'] == 0.0
    assert 'worse than a guess that never looks at the picture (0.000)' in found['verdict']


def test_pictures_of_another_size_than_the_first_are_left_out(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = write_depth_bag(tmp_path / 'bag', (64, 48), (32, 24), *4 * [(64, 48)])
    found = evaluate(model, bag, capsys=capsys)
    assert len(found['depth']['frames']) == 5
    assert '1 frames cannot be read: a picture has 32x24 pixels: expected 64x48' in said(found)
    words = ('--method=lidar', f'--model={model}', f'--bag={bag}')
    assert cli.main(['scale', *words]) == 0
    assert '1 frames are left out: a picture has 32x24' in capsys.readouterr().out


def test_depth_of_another_view_is_taken_only_by_name_and_then_doubted_first(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = write_depth_bag(tmp_path / 'bag', *6 * [(64, 48)], depth_frame='other')
    found = evaluate(model, bag, capsys=capsys)
    assert found['depth'] is None
    assert "/camera/depth is in the frame 'other', /camera/image_raw in 'camera'" in said(found)
    assert '--truth' in said(found)
    named = evaluate(model, bag, '--truth=/camera/depth', capsys=capsys)
    assert named['depth'] is not None
    assert 'Do not believe the figures yet: The truth is of another view' in named['verdict']
    words = ('scale', '--method=lidar', f'--model={model}', f'--bag={bag}')
    assert cli.main([*words]) == 1
    assert "in the frame 'other'" in capsys.readouterr().out
    assert cli.main([*words, '--truth=/camera/depth', '--write']) == 1
    assert 'DOUBTFUL: depth is of another view: /camera/depth is in' in capsys.readouterr().out


def test_of_several_cameras_one_has_to_be_named(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with RecordingWriter(tmp_path / 'bag') as writer:
        for name in ('/front', '/rear'):
            writer.add_topic(f'{name}/image_raw', IMAGE_TYPE)
            writer.add_topic(f'{name}/camera_info', CAMERA_INFO_TYPE)
            writer.write(f'{name}/camera_info', START_NS, camera_info(START_NS))
            writer.write(f'{name}/image_raw', START_NS, image(0, START_NS))
    words = (f'--model={model}', f'--bag={tmp_path / "bag"}')
    for verb in ('evaluate', 'scale'):
        assert cli.main([verb, *words]) == 1
        said = capsys.readouterr().err
        assert 'has 2 cameras: name one.\n  /front/image_raw  sensor_msgs/msg/Image' in said


def test_a_truth_topic_of_another_type_is_refused_by_its_type(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = write_depth_bag(tmp_path / 'bag', (64, 48))
    found = evaluate(model, bag, '--truth=/odom', capsys=capsys)
    assert found['depth'] is None
    assert '/odom is of type nav_msgs/msg/Odometry: expected one of' in said(found)
    words = ('--method=lidar', '--truth=/odom', f'--model={model}', f'--bag={bag}')
    assert cli.main(['scale', *words]) == 1
    assert '/odom is of type nav_msgs/msg/Odometry' in capsys.readouterr().out


@pytest.mark.parametrize('value', [np.nan, 0.0, -1.0])
def test_predictions_that_say_nothing_are_blamed_and_not_the_truth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], value: float
) -> None:
    bag = write_lidar_bag(tmp_path / 'bag', frames=2)
    np.save(tmp_path / 'peer.npy', np.full((2, 96, 320), value, np.float32))
    words = ('evaluate', '--bag', str(bag), f'--predictions={tmp_path / "peer.npy"}')
    assert cli.main([*words]) == 1
    captured = capsys.readouterr()
    assert 'nothing could be judged: The predictions of 2 frames are unusable' in captured.err
    assert 'falls into the picture' not in captured.out


def test_a_bag_without_truth_says_so(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with RecordingWriter(tmp_path / 'bag') as writer:
        writer.add_topic('/camera/image_raw', IMAGE_TYPE)
        writer.write('/camera/image_raw', 0, image(0, 0))
    found = evaluate(model, tmp_path / 'bag', capsys=capsys)
    assert 'neither depth images nor a lidar' in said(found)


@pytest.mark.parametrize(
    'text', ['[]', 'matrix: [[1, 0], [0, 1]]', 'translation_m: [0, 0]', '{', 'quaternion_xyzw: 1']
)
def test_an_extrinsics_file_without_a_transform_is_refused(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    (tmp_path / 'mounting.yaml').write_text(text)
    options = ('--extrinsics', str(tmp_path / 'mounting.yaml'))
    assert cli.main(['evaluate', '--model', str(model), '--bag', '.', *options]) == 2
    assert 'extrinsics file' in capsys.readouterr().err
