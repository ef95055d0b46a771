# SPDX-License-Identifier: Apache-2.0
"""``monodepth2 scale``: what it writes, what it refuses, and what it says of bags without help."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from monodepth2_training import cli, shared_files
from monodepth2_training.model.depth_pose import DepthPoseModel, ModelConfig
from monodepth2_training.model.stored_networks import networks_of
from monodepth2_training.scale import measuring
from monodepth2_training.scale.estimate import ScaleEstimate
from monodepth2_training.scale.measuring import Measured
from support.moving_bag import write_moving_bag
from support.tiny_model import write_tiny_model

from monodepth2_ros.model_description import ModelDescription, Scale
from monodepth2_ros.model_file import load_model, save_model


def _measured(method: str, value: float) -> Measured:
    estimate = ScaleEstimate(method=f'by {method}', value=value, spread=0.04, frames=80)
    return Measured(method=method, estimate=estimate)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    old = Scale(value=3.0, spread=0.5, frames=2, method='guessed')
    path = tmp_path / 'model.safetensors'
    return write_tiny_model(path, encoder='efficientnet_lite0', scale=old)


def _run(monkeypatch: pytest.MonkeyPatch, model: Path, found: list[Measured], *more: str) -> int:
    monkeypatch.setattr(measuring, 'measure', lambda *_, **__: tuple(found))
    return cli.main(['scale', '--model', str(model), '--bag', 'drive', *more])


def test_write_puts_value_spread_frames_and_method_into_the_file(
    monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    before = load_model(model)
    found = [_measured('odometry', 5.4), _measured('lidar', 5.5)]
    assert _run(monkeypatch, model, found, '--write') == 0
    after = load_model(model)
    expected = Scale(value=5.5, spread=0.04, frames=80, method='by lidar')
    assert after.description.scale == expected
    for name, tensor in before.depth_net.state_dict().items():
        assert torch.equal(tensor, after.depth_net.state_dict()[name])


def test_without_write_the_file_stays_as_it_is(
    monkeypatch: pytest.MonkeyPatch, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = model.read_bytes()
    assert _run(monkeypatch, model, [_measured('odometry', 5.4)], '--json') == 0
    assert model.read_bytes() == before
    summary = json.loads(capsys.readouterr().out)
    assert summary['methods']['odometry']['value'] == 5.4
    assert summary['scale before']['value'] == 3.0
    assert summary['written'] is None


def test_the_model_that_comes_with_the_package_is_measured_and_never_written(
    monkeypatch: pytest.MonkeyPatch, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shared_files, 'bundled_model', lambda: model)
    before = model.read_bytes()
    found = [_measured('odometry', 5.4)]
    assert _run(monkeypatch, Path('demo'), found) == 0
    assert _run(monkeypatch, Path('demo'), found, '--write') == 2
    assert 'copy it and name the copy' in capsys.readouterr().err
    assert model.read_bytes() == before


def test_methods_that_disagree_are_shown_and_nothing_is_written(
    monkeypatch: pytest.MonkeyPatch, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = model.read_bytes()
    found = [_measured('odometry', 5.4), _measured('ground', 54.0)]
    assert _run(monkeypatch, model, found, '--write') == 1
    assert model.read_bytes() == before
    said = capsys.readouterr()
    assert 'odometry: 5.4 m per unit' in said.out
    assert 'ground: 54 m per unit' in said.out
    assert 'differ by a factor of 10' in said.out
    assert 'nothing is written, because methods disagree' in said.err


def test_a_doubtful_scale_is_shown_and_not_written(
    monkeypatch: pytest.MonkeyPatch, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = model.read_bytes()
    estimate = ScaleEstimate(
        method='odometry', value=5637.0, spread=0.1, frames=80, doubts=('are they in metres?',)
    )
    assert (
        _run(monkeypatch, model, [Measured(method='odometry', estimate=estimate)], '--write') == 1
    )
    assert model.read_bytes() == before
    said = capsys.readouterr()
    assert 'DOUBTFUL: are they in metres?' in said.out
    assert 'nothing is written, because the scale is doubtful' in said.err


def test_a_bag_without_any_help_fails_in_one_line_and_says_what_each_method_lacks(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = write_moving_bag(tmp_path / 'bag', frames=8)
    assert cli.main(['scale', '--model', str(model), '--bag', str(bag)]) == 1
    said = capsys.readouterr()
    assert 'odometry: no scale: the model file holds no pose network' in said.out
    assert 'ground: no scale: the height of the camera is not known' in said.out
    assert 'lidar: no scale: the recording holds neither depth images nor a lidar' in said.out
    errors = [line for line in said.err.splitlines() if 'error' in line]
    assert len(errors) == 1
    assert 'no method gives a scale' in errors[0]


@pytest.mark.parametrize('pose_encoder', ['efficientnet_lite0', 'resnet18'])
def test_the_pose_network_is_recognised_by_its_tensors(tmp_path: Path, pose_encoder: str) -> None:
    config = ModelConfig(
        encoder='efficientnet_lite0', pose_encoder=pose_encoder, width=96, height=64
    )
    torch.manual_seed(0)
    networks = DepthPoseModel(config)
    path = tmp_path / 'model.safetensors'
    description = ModelDescription(network=config.depth_net())
    save_model(path, description, networks.depth_net.state_dict(), networks.pose_state())
    found = networks_of(load_model(path))
    assert found is not None
    assert found.config.pose_encoder == pose_encoder
    assert torch.equal(next(found.pose_net.parameters()), next(networks.pose_net.parameters()))
    # md2's network over pairs gives a second motion, which it never uses.
    md2 = networks.pose_state()
    for name in ('decoder.motion.weight', 'decoder.motion.bias'):
        md2[name] = torch.cat((md2[name], torch.ones_like(md2[name])))
    save_model(path, description, networks.depth_net.state_dict(), md2)
    imported = networks_of(load_model(path))
    assert imported is not None
    pair = [torch.rand(1, 3, 64, 96) for _ in range(2)]
    with torch.inference_mode():
        assert torch.equal(imported.pose_net(pair), found.pose_net(pair))
