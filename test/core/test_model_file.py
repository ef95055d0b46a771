# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import pickle
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from support.closed_folder import closed_folder

from monodepth2_ros import atomic_file, model_file
from monodepth2_ros.errors import ConfigError, ModelFileError
from monodepth2_ros.geometry.camera import PinholeCamera
from monodepth2_ros.geometry.depth import DepthRange
from monodepth2_ros.model_description import ModelDescription, Scale, TrainingCamera
from monodepth2_ros.model_file import (
    describe_anew,
    is_model_file,
    load_model,
    read_description,
    save_model,
)
from monodepth2_ros.networks.depth_net import DepthNet, DepthNetConfig

CONFIG = DepthNetConfig(width=96, height=64)
DESCRIPTION = ModelDescription(
    network=CONFIG,
    depth_range=DepthRange(min_depth_m=0.5, max_depth_m=80.0),
    resize='lanczos',
    camera=TrainingCamera(
        camera=PinholeCamera(
            width=1242, height=375, fx_px=721.5, fy_px=721.5, cx_px=609.6, cy_px=172.9
        ),
        distortion_model='plumb_bob',
    ),
    scale=Scale(value=31.4, spread=0.07, frames=120, method='median over odometry steps'),
    provenance={'data': 'a drive', 'seed': '7'},
)


@pytest.fixture(scope='module')
def net() -> DepthNet:
    torch.manual_seed(3)
    return DepthNet(CONFIG).eval()


@pytest.fixture(autouse=True)
def _leave_no_large_files(tmp_path: Path) -> Iterator[None]:
    yield
    shutil.rmtree(tmp_path)


@pytest.fixture(scope='module')
def saved_bytes(net: DepthNet, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp('once') / 'model.safetensors'
    save_model(path, DESCRIPTION, net.state_dict())
    data = path.read_bytes()
    path.unlink()
    return data


@pytest.fixture
def saved(saved_bytes: bytes, tmp_path: Path) -> Path:
    path = tmp_path / 'model.safetensors'
    path.write_bytes(saved_bytes)
    return path


def _entry_changed(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Rewrite the metadata entry, tensors untouched."""

    def changed(text: str) -> str:
        entry = json.loads(text)
        change(entry)
        return json.dumps(entry, sort_keys=True)

    _text_changed(path, changed)


def _text_changed(path: Path, change: Callable[[str], str]) -> None:
    """Rewrite the text of the metadata entry, tensors untouched."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], 'little')
    header = json.loads(data[8 : 8 + length])
    metadata = header['__metadata__']
    metadata['monodepth2_ros'] = change(metadata['monodepth2_ros'])
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, 'little') + text + data[8 + length :])


def test_what_is_saved_is_what_is_loaded(net: DepthNet, saved: Path) -> None:
    model = load_model(saved)
    assert model.description == DESCRIPTION
    assert model.path == saved
    assert not model.depth_net.training
    assert model.pose_state == {}
    state = model.depth_net.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in net.state_dict().items())


def test_the_loaded_network_computes_the_same_disparity(net: DepthNet, saved: Path) -> None:
    rgb = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        assert torch.equal(load_model(saved).depth_net.finest(rgb), net.finest(rgb))


def test_a_description_without_camera_and_scale_round_trips(net: DepthNet, tmp_path: Path) -> None:
    plain = ModelDescription(network=CONFIG)
    save_model(tmp_path / 'm.safetensors', plain, net.state_dict())
    assert read_description(tmp_path / 'm.safetensors') == plain


def test_saving_twice_gives_the_same_bytes(net: DepthNet, saved: Path, tmp_path: Path) -> None:
    again = tmp_path / 'again.safetensors'
    digest = save_model(again, DESCRIPTION, net.state_dict())
    assert again.read_bytes() == saved.read_bytes()
    assert load_model(saved).sha256 == digest


def test_half_precision_is_kept_on_disk_and_widened_on_load(net: DepthNet, tmp_path: Path) -> None:
    path = tmp_path / 'half.safetensors'
    half = {k: v.half() if v.is_floating_point() else v for k, v in net.state_dict().items()}
    save_model(path, DESCRIPTION, half)
    model = load_model(path)
    assert path.stat().st_size < 29_000_000
    assert {p.dtype for p in model.depth_net.parameters()} == {torch.float32}
    assert torch.equal(model.depth_net.encoder.conv1.weight, half['encoder.conv1.weight'].float())


def test_described_anew_a_file_keeps_its_tensors_as_they_are_stored(
    net: DepthNet, tmp_path: Path
) -> None:
    path = tmp_path / 'half.safetensors'
    half = {k: v.half() if v.is_floating_point() else v for k, v in net.state_dict().items()}
    save_model(path, DESCRIPTION, half, {'conv.weight': torch.ones(3, dtype=torch.float16)})
    size, model = path.stat().st_size, load_model(path)
    scale = Scale(value=5.4, spread=0.03, frames=80, method='by lidar')
    digest = describe_anew(model, replace(DESCRIPTION, scale=scale))
    again = load_model(path)
    assert (again.sha256, again.description.scale) == (digest, scale)
    assert abs(path.stat().st_size - size) < 1000
    assert torch.equal(again.pose_state['conv.weight'], model.pose_state['conv.weight'])
    with pytest.raises(ModelFileError, match='has been replaced since it was read'):
        describe_anew(model, DESCRIPTION)
    assert load_model(path).sha256 == digest


def test_loaded_weights_can_be_trained_further(saved: Path) -> None:
    model = load_model(saved)
    model.depth_net.train()(torch.rand(2, 3, 64, 96))[0].mean().backward()
    assert model.depth_net.encoder.conv1.weight.grad is not None


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'', 'is empty'),
        (b'\x12', 'is cut off after 1 bytes'),
        (b'<!DOCTYPE html><html><body>404</body></html>', 'is a web page'),
        (b'\n\n  <html>moved</html>', 'is a web page'),
        (b'version https://git-lfs.github.com/spec/v1\noid', 'is a Git LFS pointer.*git lfs pull'),
        (pickle.dumps({'a': 1}), 'is a Python pickle.*monodepth2 import FOLDER OUT'),
        (b'\x37' * 100, 'is not a safetensors file'),
        (b'\x10\x00\x00\x00\x00\x00\x00\x00{"a": 1', 'is cut off inside its header'),
        (b'\x08\x00\x00\x00\x00\x00\x00\x00{"a": 1}', 'has a damaged header'),
        (b'\x02\x00\x00\x00\x00\x00\x00\x00{}', 'is a safetensors file of another program'),
    ],
)
def test_foreign_and_broken_files_are_refused_by_name(
    content: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / 'model.safetensors'
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=rf'{path} {message}'):
        load_model(path)
    with pytest.raises(ModelFileError, match=message):
        read_description(path)


def test_a_torch_zip_is_refused_with_the_way_to_import_it(tmp_path: Path) -> None:
    path = tmp_path / 'encoder.pth'
    torch.save({'x': torch.zeros(2)}, path)
    assert zipfile.is_zipfile(path)
    with pytest.raises(ModelFileError, match=r'zip archive.*monodepth2 import FOLDER OUT'):
        load_model(path)


def test_a_safetensors_file_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / 'other.safetensors'
    safetensors.torch.save_file({'w': torch.zeros(2)}, path, {'format': 'pt'})
    with pytest.raises(ModelFileError, match='of another program'):
        load_model(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r'none\.safetensors does not exist'):
        load_model(tmp_path / 'none.safetensors')
    with pytest.raises(ModelFileError, match=r'is a folder.*monodepth2 import'):
        load_model(tmp_path)


def test_a_file_in_a_folder_that_may_not_be_entered_is_refused(tmp_path: Path) -> None:
    with (
        closed_folder(tmp_path / 'closed') as folder,
        pytest.raises(
            ModelFileError, match=r'm\.safetensors cannot be opened \(Permission denied'
        ),
    ):
        load_model(folder / 'm.safetensors')


@pytest.mark.parametrize('kept', [0.3, 0.999])
def test_a_cut_off_file_is_refused_with_its_size(kept: float, saved: Path) -> None:
    data = saved.read_bytes()
    saved.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(ModelFileError, match=rf'is cut off: it has \d+ of {len(data)} bytes'):
        load_model(saved)


def test_a_file_with_bytes_too_many_is_refused(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes() + b'x')
    with pytest.raises(ModelFileError, match='is damaged: it has'):
        load_model(saved)


@pytest.mark.parametrize('place', [0.05, 0.5, 0.9999])
def test_one_flipped_bit_in_the_weights_is_noticed(place: float, saved: Path) -> None:
    data = bytearray(saved.read_bytes())
    data[int(len(data) * place)] ^= 1
    saved.write_bytes(data)
    with pytest.raises(ModelFileError, match='SHA-256 does not match'):
        load_model(saved)


def test_a_description_edited_by_hand_is_noticed(saved: Path) -> None:
    _entry_changed(saved, lambda entry: entry['description']['scale'].update(value=1.0))
    with pytest.raises(ModelFileError, match='SHA-256 does not match'):
        load_model(saved)


def test_a_newer_schema_is_refused_before_anything_else(saved: Path) -> None:
    _entry_changed(saved, lambda entry: entry.update(schema=2, description='something new'))
    with pytest.raises(ModelFileError, match=r'has schema 2, but this version reads up to 1'):
        load_model(saved)


@pytest.mark.parametrize('schema', [None, 'one', 0, -1])
def test_a_schema_that_is_no_number_is_refused(schema: object, saved: Path) -> None:
    _entry_changed(saved, lambda entry: entry.update(schema=schema))
    with pytest.raises(ModelFileError, match='has no usable schema number'):
        load_model(saved)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda e: e.update(sha=''), "unknown key 'sha': did you mean 'sha256'"),
        (
            lambda e: e['description'].update(scales=1),
            "unknown key 'scales': did you mean 'scale'",
        ),
        (lambda e: e['description'].pop('network'), "lacks the key 'network'"),
        (
            lambda e: e['description']['network'].update(width='640'),
            r"network\.width is '640': expected a value of type int",
        ),
        (lambda e: e['description']['network'].update(width=True), 'type int'),
        (lambda e: e['description']['network'].update(width=100), 'a multiple of 32'),
        (lambda e: e['description']['network'].update(encoder='vgg'), "'vgg' is not known"),
        (lambda e: e['description']['scale'].update(value=-1.0), 'expected value > 0'),
        (lambda e: e['description']['camera']['camera'].update(fx_px=0.5e999), 'not usable'),
        (lambda e: e['description'].update(resize='cubic'), 'expected one of bilinear, lanczos'),
        (lambda e: e['description'].update(camera=[1]), 'expected a mapping'),
        (lambda e: e['description'].update(provenance={'a': 1}), r'provenance\.a is 1'),
        (lambda e: e.update(description=None), 'expected a mapping'),
        (lambda e: e['description']['scale'].update(value=10**400), 'int too large'),
    ],
)
def test_unusable_metadata_is_refused_by_key(
    change: Callable[[dict[str, Any]], object], message: str, saved: Path
) -> None:
    _entry_changed(saved, change)
    with pytest.raises(ModelFileError, match=rf'has unusable metadata \(.*{message}'):
        read_description(saved)


def test_metadata_that_is_nested_without_end_is_refused(saved: Path) -> None:
    _text_changed(saved, lambda text: '[' * 100_000)
    with pytest.raises(ModelFileError, match='has unusable metadata'):
        read_description(saved)


def test_tensors_of_another_encoder_are_refused_by_name(saved: Path) -> None:
    _entry_changed(saved, lambda entry: entry['description']['network'].update(encoder='resnet34'))
    with pytest.raises(
        ModelFileError,
        match=r'the weights of resnet34 \(depth\.encoder\.layer1\.2\.conv1\.weight is missing, '
        r'.*, .* and \d+ more\)',
    ):
        load_model(saved)


def test_unfit_tensors_are_refused_when_saving(net: DepthNet, tmp_path: Path) -> None:
    state = dict(net.state_dict())
    state['encoder.conv1.weight'] = torch.zeros(64, 6, 7, 7)
    with pytest.raises(ModelFileError, match=r'has shape \[64, 6, 7, 7\], not \[64, 3, 7, 7\]'):
        save_model(tmp_path / 'm.safetensors', DESCRIPTION, state)
    state = dict(net.state_dict(), stray=torch.zeros(1))
    with pytest.raises(ModelFileError, match=r'depth\.stray does not belong there'):
        save_model(tmp_path / 'm.safetensors', DESCRIPTION, state)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_weights_that_are_not_finite_are_not_saved(
    bad: float, net: DepthNet, tmp_path: Path
) -> None:
    state = dict(net.state_dict())
    state['encoder.bn1.bias'] = torch.full((64,), bad)
    with pytest.raises(ModelFileError, match=r'not finite in depth\.encoder\.bn1\.bias'):
        save_model(tmp_path / 'm.safetensors', DESCRIPTION, state)


def test_weights_that_are_not_finite_are_not_loaded(
    net: DepthNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = dict(net.state_dict())
    state['encoder.bn1.bias'] = torch.full((64,), float('nan'))
    with monkeypatch.context() as patched:
        patched.setattr(model_file, '_check_finite', lambda *_: None)
        save_model(tmp_path / 'm.safetensors', DESCRIPTION, state)
    with pytest.raises(ModelFileError, match='not finite'):
        load_model(tmp_path / 'm.safetensors')


def test_a_name_without_the_suffix_is_refused(net: DepthNet, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r'must end in \.safetensors'):
        save_model(tmp_path / 'model.pth', DESCRIPTION, net.state_dict())


def test_a_failed_save_keeps_the_old_file_and_leaves_nothing_else(
    saved: Path, net: DepthNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved.read_bytes()

    def disk_full(descriptor: int) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(atomic_file.os, 'fsync', disk_full)
    with pytest.raises(ModelFileError, match='cannot be written: No space left on device'):
        save_model(saved, replace(DESCRIPTION, scale=None), net.state_dict())
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_a_missing_folder_is_named_when_saving(net: DepthNet, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match='cannot be written: No such file or directory'):
        save_model(tmp_path / 'none' / 'm.safetensors', DESCRIPTION, net.state_dict())


def test_a_saved_file_has_the_usual_permissions(saved: Path) -> None:
    other = saved.with_name('other')
    other.touch()
    assert saved.stat().st_mode == other.stat().st_mode


@pytest.mark.parametrize(
    'fault',
    [{'value': 0.0}, {'value': float('nan')}, {'spread': -0.1}, {'frames': -1}, {'method': ''}],
)
def test_a_scale_that_is_no_ratio_of_lengths_is_refused(fault: dict[str, Any]) -> None:
    good: dict[str, Any] = {'value': 2.0, 'spread': 0.1, 'frames': 3, 'method': 'by hand'}
    with pytest.raises(ConfigError, match='expected value > 0'):
        Scale(**(good | fault))


def test_a_plain_table_of_tensors_is_told_from_a_model_file(saved: Path, tmp_path: Path) -> None:
    plain = tmp_path / 'plain.safetensors'
    safetensors.torch.save_file({'x': torch.zeros(2)}, plain)
    assert is_model_file(saved)
    assert not is_model_file(plain)
    plain.write_bytes(b'<html>')
    with pytest.raises(ModelFileError, match=r'plain\.safetensors'):
        is_model_file(plain)
