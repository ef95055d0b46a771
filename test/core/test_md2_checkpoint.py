# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from support import md2_weights
from support.closed_folder import closed_folder

from monodepth2_ros.errors import ModelFileError
from monodepth2_ros.geometry.depth import DepthRange
from monodepth2_ros.md2_checkpoint import import_md2
from monodepth2_ros.model_file import load_model, save_model
from monodepth2_ros.networks.depth_net import DepthNet
from monodepth2_ros.networks.resnet_encoder import ResnetEncoder

GOLDEN = json.loads((Path(__file__).parents[1] / 'golden' / 'depth_net.json').read_text())


@pytest.fixture(autouse=True)
def _leave_no_large_files(tmp_path: Path) -> Iterator[None]:
    yield
    shutil.rmtree(tmp_path)


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp('md2') / 'weights_19'
    yield md2_weights.write_checkpoint(path, pose=True)
    shutil.rmtree(path)


@pytest.mark.parametrize('encoder', ['resnet18', 'resnet34', 'resnet50'])
def test_an_imported_network_gives_the_references_disparity_to_1e_5(
    encoder: str, tmp_path: Path
) -> None:
    layers = int(encoder.removeprefix('resnet'))
    md2_weights.write_checkpoint(tmp_path, layers=layers)
    description, state, _ = import_md2(tmp_path)
    assert description.network.encoder == encoder
    net = DepthNet(description.network).eval()
    net.load_state_dict(state)
    rgb = torch.from_numpy(md2_weights.image(GOLDEN['height'], GOLDEN['width']))
    with torch.no_grad():
        disparities = net(rgb.permute(2, 0, 1)[None])
    for scale, disparity in enumerate(disparities):
        expected = GOLDEN['networks'][encoder][str(scale)]
        values = disparity[0, 0].double().numpy()
        assert values.mean() == pytest.approx(expected['mean'], abs=1e-5)
        assert values.std() == pytest.approx(expected['standard_deviation'], abs=1e-5)
        got = [values[v, u] for v, u, _ in expected['pixels']]
        np.testing.assert_allclose(got, [d for *_, d in expected['pixels']], rtol=0, atol=1e-5)


def test_import_states_size_range_resize_and_licence(folder: Path) -> None:
    description, _, _ = import_md2(folder)
    assert (description.network.width, description.network.height) == (96, 64)
    assert description.depth_range == DepthRange(min_depth_m=0.1, max_depth_m=100.0)
    assert description.resize == 'lanczos'
    assert description.camera is None
    assert 'non-commercial' in description.provenance['licence']
    assert description.provenance['source'].endswith('weights_19')


def test_another_depth_range_can_be_stated(folder: Path) -> None:
    wide = DepthRange(min_depth_m=0.5, max_depth_m=250.0)
    assert import_md2(folder, depth_range=wide)[0].depth_range == wide


def test_a_network_trained_without_stereo_has_no_known_scale(folder: Path) -> None:
    assert import_md2(folder)[0].scale is None


def test_a_network_trained_with_stereo_has_scale_5_4(tmp_path: Path) -> None:
    scale = import_md2(md2_weights.write_checkpoint(tmp_path, stereo=True))[0].scale
    assert scale is not None
    assert scale.value == 5.4
    assert 'baseline' in scale.method


def test_the_pose_network_survives_import_and_model_file(folder: Path, tmp_path: Path) -> None:
    description, state, pose = import_md2(folder)
    save_model(tmp_path / 'm.safetensors', description, state, pose)
    loaded = load_model(tmp_path / 'm.safetensors').pose_state
    encoder = ResnetEncoder('resnet18', images=2)
    trunk = {k[8:]: v for k, v in loaded.items() if k.startswith('encoder.')}
    encoder.load_state_dict(trunk)
    motion = md2_weights.weight('net.3.weight', (12, 256, 1, 1))
    assert torch.equal(loaded['decoder.motion.weight'], motion)
    assert torch.equal(loaded['decoder.squeeze.bias'], md2_weights.weight('net.0.bias', (256,)))
    assert description.provenance['pose'] == 'imported'


def test_a_pose_decoder_that_stands_alone_is_left_out_and_named(tmp_path: Path) -> None:
    md2_weights.write_checkpoint(tmp_path, pose=True)
    (tmp_path / 'pose_encoder.pth').unlink()
    description, _, pose = import_md2(tmp_path)
    assert pose is None
    assert description.provenance['pose'] == 'not imported: pose.pth stands alone'


def test_heads_are_recognised_whatever_scales_were_trained(tmp_path: Path) -> None:
    md2_weights.write_checkpoint(tmp_path, scales=(2, 0))
    description, state, _ = import_md2(tmp_path)
    assert description.network.scales == (0, 2)
    expected = md2_weights.weight('decoder.11.conv.weight', (1, 16, 3, 3))
    assert torch.equal(state['decoder.heads.0.weight'], expected)


def test_counters_that_old_torch_did_not_write_are_added(tmp_path: Path) -> None:
    md2_weights.write_checkpoint(tmp_path)
    _rewrite(tmp_path / 'encoder.pth', lambda key: not key.endswith('num_batches_tracked'))
    _, state, _ = import_md2(tmp_path)
    assert state['encoder.bn1.num_batches_tracked'] == 0


def test_the_format_of_torch_before_1_6_is_read(tmp_path: Path) -> None:
    md2_weights.write_checkpoint(tmp_path)
    for name in ('encoder.pth', 'depth.pth'):
        content = torch.load(tmp_path / name, weights_only=True)
        torch.save(content, tmp_path / name, _use_new_zipfile_serialization=False)
    assert import_md2(tmp_path)[0].network.encoder == 'resnet18'


class Attack:
    """Unpickling this would create a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


def test_a_pickle_that_would_run_code_is_refused_and_not_run(tmp_path: Path) -> None:
    md2_weights.write_checkpoint(tmp_path)
    torch.save({'x': Attack(tmp_path / 'executed')}, tmp_path / 'encoder.pth')
    with pytest.raises(ModelFileError, match=r'encoder\.pth is refused: .*nothing in it was exec'):
        import_md2(tmp_path)
    assert not (tmp_path / 'executed').exists()


def _rewrite(path: Path, keep: Callable[[str], bool], **more: object) -> None:
    content = torch.load(path, weights_only=True)
    torch.save({k: v for k, v in content.items() if keep(k)} | more, path)


def test_a_missing_folder_or_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r'nowhere is no folder: give the folder that holds'):
        import_md2(tmp_path / 'nowhere')
    with pytest.raises(ModelFileError, match=r'encoder\.pth does not exist'):
        import_md2(tmp_path)
    md2_weights.write_checkpoint(tmp_path)
    (tmp_path / 'depth.pth').unlink()
    with pytest.raises(ModelFileError, match=r'depth\.pth does not exist'):
        import_md2(tmp_path)


@pytest.mark.parametrize('below', ['', 'weights_19'])
def test_a_folder_that_may_not_be_entered_is_refused(below: str, tmp_path: Path) -> None:
    with (
        closed_folder(tmp_path / 'closed') as folder,
        # From Python 3.14 on, what may not be looked at counts as not there.
        pytest.raises(ModelFileError, match=r'cannot be read|is no folder|does not exist'),
    ):
        import_md2(folder / below)


@pytest.mark.parametrize('content', [b'', b'<html>not found</html>', b'PK\x03\x04 cut off'])
def test_files_that_are_no_checkpoint_are_refused(content: bytes, tmp_path: Path) -> None:
    md2_weights.write_checkpoint(tmp_path)
    (tmp_path / 'depth.pth').write_bytes(content)
    with pytest.raises(ModelFileError, match=r'depth\.pth is refused: it is damaged'):
        import_md2(tmp_path)


def test_a_checkpoint_that_is_no_table_is_refused(tmp_path: Path) -> None:
    md2_weights.write_checkpoint(tmp_path)
    torch.save([torch.zeros(1)], tmp_path / 'depth.pth')
    with pytest.raises(ModelFileError, match='holds a list, not a table of tensors'):
        import_md2(tmp_path)


def test_an_encoder_without_its_size_is_refused(tmp_path: Path) -> None:
    md2_weights.write_checkpoint(tmp_path)
    _rewrite(tmp_path / 'encoder.pth', lambda key: key != 'height')
    with pytest.raises(ModelFileError, match=r'input size it states is None, expected whole'):
        import_md2(tmp_path)


def test_another_architecture_is_refused_by_its_blocks(tmp_path: Path) -> None:
    md2_weights.write_checkpoint(tmp_path)
    _rewrite(tmp_path / 'encoder.pth', lambda key: 'layer3.1' not in key)
    with pytest.raises(ModelFileError, match=r'\[2, 2, 1, 2\] basic blocks: expected those of'):
        import_md2(tmp_path)


def test_missing_and_unknown_tensors_are_named(tmp_path: Path) -> None:
    md2_weights.write_checkpoint(tmp_path)
    stray = {'decoder.99.gate.weight': torch.zeros(3)}
    _rewrite(tmp_path / 'depth.pth', lambda key: key != 'decoder.3.conv.conv.bias', **stray)
    with pytest.raises(ModelFileError, match=r'resnet18 \(decoder\.stages\.3\.merge\.bias is mis'):
        import_md2(tmp_path)


def test_a_pose_network_with_other_layers_is_refused(tmp_path: Path) -> None:
    md2_weights.write_checkpoint(tmp_path, pose=True)
    _rewrite(tmp_path / 'pose.pth', lambda key: not key.startswith('net.3'))
    with pytest.raises(ModelFileError, match=r'no md2 pose network \(decoder\.motion\.bias'):
        import_md2(tmp_path)
