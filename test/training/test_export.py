# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from monodepth2_training.cli import main
from monodepth2_training.export.frames import recorded_frames
from monodepth2_training.export.parity import measure_parity
from monodepth2_training.world.drive import Drive, DriveSettings
from support.tiny_model import write_tiny_model

from monodepth2_ros.errors import ExportError, RecordingError
from monodepth2_ros.geometry.depth import DepthRange
from monodepth2_ros.inference.estimator import DepthEstimator

pytest.importorskip('openvino', reason='openvino is not installed')
pytest.importorskip('onnx', reason='onnx is not installed')
pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')


@pytest.fixture(scope='module')
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp('model') / 'tiny.safetensors')


@pytest.fixture
def model(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(tiny, tmp_path))


@pytest.fixture(scope='module')
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames of a generated drive as PNG files."""
    folder = tmp_path_factory.mktemp('drive')
    settings = DriveSettings(frames=8, width=96, height=64, seed=5, rate_hz=1.0)
    for number, frame in enumerate(Drive(settings, torch.device('cpu'))):
        cv2.imwrite(str(folder / f'{number:03d}.png'), frame.rgb[..., ::-1])
    return folder


def _export(model: Path, *arguments: str) -> int:
    return main(['export', '--model', str(model), *arguments])


def test_onnx_computes_the_same_and_says_what_it_is(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import onnx

    assert _export(model, '--format', 'onnx', '--json') == 0
    document = json.loads(capsys.readouterr().out)
    assert document['parity']['mean'] < 1e-5
    assert document['files'] == [str(model.with_suffix('.onnx'))]
    written = onnx.load(document['files'][0])
    facts = {each.key: each.value for each in written.metadata_props}
    assert json.loads(facts['description'])['network']['width'] == 96
    assert [each.name for each in written.graph.input] == ['image']


def test_the_node_finds_an_exported_openvino_network(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _export(model, '--format', 'openvino', '--precision', 'bfloat16') == 0
    assert 'depth differs from float32 by 0.' in capsys.readouterr().out
    estimator = DepthEstimator.load(
        model, engine='auto', device='cpu', precision='bfloat16', threads=1
    )
    assert estimator.engine.name == 'openvino bfloat16'
    assert 'exported, 0.' in estimator.device_reason
    estimator.close()


@pytest.mark.parametrize(('limit', 'expected'), [(20, range(0, 39, 2)), (39, range(39))])
def test_the_frames_of_a_recording_are_taken_from_all_over_it(
    model: Path, tmp_path: Path, limit: int, expected: range
) -> None:
    (tmp_path / 'drive').mkdir()
    for number in range(39):
        picture = np.full((64, 96, 3), 5 * number, np.uint8)
        cv2.imwrite(str(tmp_path / 'drive' / f'{number:03d}.png'), picture)
    estimator = DepthEstimator.load(model, engine='torch', device='cpu', threads=1)
    frames = recorded_frames(estimator, tmp_path / 'drive', topic='', limit=limit)
    fitted, judged = (
        [int(one.median()) // 5 for one in inputs] for inputs in (frames.calibration, frames.check)
    )
    assert sorted(fitted + judged) == list(expected)
    assert fitted == list(expected)[::2]


def test_a_damaged_picture_is_skipped_and_counted_where_two_others_are_left(
    model: Path, pictures: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(pictures, tmp_path / 'drive'))
    (folder / '003.png').write_bytes(b'no picture')
    estimator = DepthEstimator.load(model, engine='torch', device='cpu', threads=1)
    frames = recorded_frames(estimator, folder, topic='', limit=20)
    assert len(frames.calibration + frames.check) == 7
    assert f'{folder} (1 of 8 pictures were skipped: {folder / "003.png"} is no' in frames.origin
    for number in range(1, 8):
        (folder / f'{number:03d}.png').write_bytes(b'no picture')
    with pytest.raises(RecordingError, match=r'7 of 8 pictures .*001\.png .* at least 2 that'):
        recorded_frames(estimator, folder, topic='', limit=20)


def test_int8_is_fitted_to_a_recording_and_changes_depth_by_less_than_two_percent(
    model: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip('nncf', reason='nncf is not installed')
    arguments = ('--format', 'openvino', '--int8', '--bag', str(pictures), '--json')
    assert _export(model, *arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert 0.0 < document['parity']['mean'] < 0.02
    assert document['parity']['frames'] == 4
    estimator = DepthEstimator.load(
        model, engine='openvino', device='cpu', precision='int8', threads=1
    )
    assert estimator.engine.name == 'openvino int8'
    estimator.close()


def test_what_differs_too_much_is_refused_and_not_written(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(model.parent.iterdir())
    arguments = ('--format', 'openvino', '--precision', 'bfloat16', '--max-difference', '1e-6')
    assert _export(model, *arguments) == 1
    assert 'expected at most 1e-06 %, so nothing was written' in capsys.readouterr().err
    assert sorted(model.parent.iterdir()) == before


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (('--format', 'openvino', '--int8'), 'give a recording by --bag'),
        (('--format', 'onnx', '--int8'), 'format onnx has no int8'),
        (('--format', 'openvino', '--int8', '--precision', 'float32'), 'contradict each other'),
        (('--format', 'onnx', '--max-difference', '-1'), 'expected more than 0'),
        (('--format', 'onnx', '--topic', '/camera'), '--topic goes with --bag'),
    ],
)
def test_wishes_that_cannot_be_met_are_refused(
    model: Path, arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _export(model, *arguments) == 2
    assert words in capsys.readouterr().err


def test_an_export_never_replaces_its_model_or_recording(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = model.read_bytes()
    assert _export(model, '--format', 'onnx', '--out', str(model)) == 2
    assert f'{model} is the input: give another file' in capsys.readouterr().err
    assert model.read_bytes() == before
    named = Path(shutil.copy(model, tmp_path / 'm.onnx'))
    assert _export(named, '--format', 'onnx') == 2
    drive = tmp_path / 'drive.mcap'
    assert _export(model, '--format', 'onnx', f'--bag={drive}', f'--out={drive}') == 2
    assert f'{drive} is the input' in capsys.readouterr().err


def test_a_wrong_kind_of_out_is_refused_before_anything_is_converted(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _export(model, '--format', 'onnx', f'--out={tmp_path}') == 2
    assert f'--out {tmp_path} is a folder: give a file' in capsys.readouterr().err
    taken = tmp_path / 'taken'
    taken.write_text('notes')
    assert _export(model, '--format', 'torch', f'--out={taken}') == 2
    assert f'--out {taken} is a file: give a folder' in capsys.readouterr().err
    assert taken.read_text() == 'notes'


def test_without_tensorrt_the_export_says_what_to_install(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        'monodepth2_ros.optional_packages.importlib.util.find_spec', lambda name: None
    )
    assert _export(model, '--format', 'tensorrt') == 1
    assert 'pip install tensorrt' in capsys.readouterr().err


class _Constant:
    name = device_name = 'constant'

    def __init__(self, value: float) -> None:
        self._value = value

    def infer(self, image: torch.Tensor) -> np.ndarray:
        return np.full((2, 3), self._value, np.float32)

    def memory_bytes(self) -> int:
        return 0

    def close(self) -> None:
        self._value = 0.0


def test_parity_is_the_relative_difference_of_depth() -> None:
    depth_range = DepthRange(min_depth_m=1.0, max_depth_m=2.0)
    image = torch.zeros((1, 3, 2, 3), dtype=torch.uint8)
    parity = measure_parity(
        _Constant(0.0), _Constant(1.0), [image], depth_range=depth_range, bound=0.4
    )
    assert (parity.mean, parity.worst_frame, parity.frames) == (0.5, 0.5, 1)
    with pytest.raises(ExportError, match=r'by 50\.000 % on average over 1 frames: expected at'):
        parity.check('half')
