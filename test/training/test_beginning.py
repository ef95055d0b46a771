# SPDX-License-Identifier: Apache-2.0
"""``monodepth2 train --init``: what a run takes over from the model file that it begins with."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from monodepth2_training import cli
from monodepth2_training.build import build_module
from monodepth2_training.commands import train
from monodepth2_training.config_files import read_config
from monodepth2_training.model.depth_pose import DepthPoseModel, ModelConfig
from monodepth2_training.run import training
from monodepth2_training.run.beginning import begin_config
from monodepth2_training.run.source import holds_pair
from monodepth2_training.shared_files import bundled_model
from support.tiny_store import write_tiny_store

from monodepth2_ros.errors import ModelFileError
from monodepth2_ros.geometry.depth import DepthRange
from monodepth2_ros.model_description import ModelDescription
from monodepth2_ros.model_file import load_model, save_model

ROOT = Path(__file__).parents[2]
KITTI = ROOT.parent / 'shared' / 'data' / 'kitti_0039'
LITE0 = 'efficientnet_lite0'


def _no_pair() -> bool:
    return False


@pytest.fixture(scope='module')
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file with a pose network that sees three frames, of random weights."""
    torch.manual_seed(3)
    networks = ModelConfig(
        encoder=LITE0, width=96, height=64, scales=(0, 1), pose='separate_all', pose_encoder=LITE0
    )
    model = DepthPoseModel(networks)
    description = ModelDescription(
        network=networks.depth_net(),
        depth_range=DepthRange(min_depth_m=0.3, max_depth_m=30.0),
        provenance={'pose': 'separate_all'},
    )
    path = tmp_path_factory.mktemp('model') / 'model.safetensors'
    save_model(path, description, model.depth_net.state_dict(), model.pose_state())
    return path


def test_a_model_file_decides_networks_size_and_depth_range(model_file: Path) -> None:
    config = begin_config('', str(model_file), (), holds_pair=_no_pair)
    network = config.network
    assert (config.name, config.mode) == ('fine_tune', 'mono')
    assert (network.encoder, network.width, network.height) == (LITE0, 96, 64)
    assert (network.pose, network.pose_encoder) == ('separate_all', LITE0)
    assert network.scales == (0, 1)
    assert (network.weights, network.pose_weights) == (str(model_file), '')
    assert config.depth_range == DepthRange(min_depth_m=0.3, max_depth_m=30.0)


def test_both_of_its_networks_begin_as_they_are_in_the_file(model_file: Path) -> None:
    config = begin_config('', str(model_file), (), holds_pair=_no_pair)
    model, file = build_module(config).model, load_model(model_file)
    depth, pose = model.depth_net.state_dict(), model.pose_state()
    assert all(torch.equal(depth[k], v) for k, v in file.depth_net.state_dict().items())
    assert all(torch.equal(pose[k], v) for k, v in file.pose_state.items())


def test_the_word_demo_means_the_bundled_model_whose_pose_network_is_not_in_the_file() -> None:
    config = begin_config('', 'demo', (), holds_pair=lambda: True)
    assert config.mode == 'mono_stereo'
    assert config.network.weights == str(bundled_model())
    assert config.network.pose_weights == 'imagenet'
    module = build_module(config)
    depth = load_model(bundled_model()).depth_net.state_dict()
    ours = module.model.depth_net.state_dict()
    assert all(torch.equal(ours[name], value) for name, value in depth.items())
    assert 'Apache-2.0' in module.provenance['licence']
    assert module.provenance['initial pose weights'].startswith('imagenet')


@pytest.mark.parametrize('name', ['', 'edge_320x96'])
@pytest.mark.parametrize(
    ('mode', 'steps'), [('mono', 100), ('mono_stereo', 0), ('stereo', 0), ('trinocular', 0)]
)
def test_depth_waits_for_a_new_pose_network_where_nothing_else_teaches_it(
    mode: str, steps: int, name: str
) -> None:
    config = begin_config(name, 'demo', (f'mode={mode}',), holds_pair=_no_pair)
    assert config.optimisation.hold_depth_steps == steps


def test_depth_waits_neither_for_a_pose_network_that_is_known_nor_against_orders(
    model_file: Path,
) -> None:
    known = begin_config('', str(model_file), (), holds_pair=_no_pair)
    ordered = ('optimisation.hold_depth_steps=7',)
    assert known.optimisation.hold_depth_steps == 0
    assert begin_config('', '', (), holds_pair=_no_pair).optimisation.hold_depth_steps == 0
    told = begin_config('', 'demo', ordered, holds_pair=_no_pair)
    assert told.optimisation.hold_depth_steps == 7


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        (('mode=stereo',), ''),
        (('mode=trinocular',), ''),
        (('mode=mono_stereo',), ', pose network with imagenet'),
        (('mode=mono_stereo', 'network.pose=separate_all'), ', pose network with imagenet'),
        (('mode=mono_stereo', 'network.pose=posecnn'), ', pose network with random'),
        (('mode=mono_stereo', 'network.pose=shared'), ', pose network with random'),
    ],
)
def test_a_pose_network_is_said_to_begin_as_it_does_if_there_is_one(
    changes: tuple[str, ...], said: str
) -> None:
    config = begin_config('', 'demo', changes, holds_pair=_no_pair)
    assert train._beginning(config).partition(bundled_model().name)[2] == said
    provenance = build_module(config).provenance
    begun = provenance.get('initial pose weights', '')
    assert begun.partition(' ')[0] == said.rpartition(' ')[2]


def test_depth_waits_for_a_new_pose_network_beside_a_file_that_has_one(model_file: Path) -> None:
    for weights, steps in (('imagenet', 100), ('random', 100), (str(model_file), 0)):
        changes = (f'network.pose_weights={weights}',)
        config = begin_config('', str(model_file), changes, holds_pair=_no_pair)
        assert config.optimisation.hold_depth_steps == steps, weights


def test_a_configuration_says_itself_how_motion_begins_and_how_long_depth_waits(
    tmp_path: Path,
) -> None:
    path = tmp_path / 'own.yaml'
    path.write_text(
        'extends: fine_tune\nnetwork: {pose_weights: random}\n'
        'optimisation: {hold_depth_steps: 300}\n'
    )
    config = begin_config(str(path), 'demo', (), holds_pair=_no_pair)
    assert config.network.pose_weights == 'random'
    assert config.optimisation.hold_depth_steps == 300
    ordered = ('network.pose_weights=imagenet', 'optimisation.hold_depth_steps=0')
    config = begin_config(str(path), 'demo', ordered, holds_pair=_no_pair)
    assert config.network.pose_weights == 'imagenet'
    assert config.optimisation.hold_depth_steps == 0


def test_a_fine_tuning_sees_no_more_samples_than_fit_into_a_quarter_of_an_hour() -> None:
    settings = begin_config('', 'demo', (), holds_pair=_no_pair).optimisation
    slowest_samples_per_s = 6.0
    assert 0 < settings.epochs * settings.epoch_samples / slowest_samples_per_s < 15 * 60


def test_what_is_said_wins_over_what_follows_from_the_model_file(model_file: Path) -> None:
    changes = ('mode=mono', 'network.pose_weights=random', 'optimisation.epochs=1')
    config = begin_config('', 'demo', changes, holds_pair=lambda: True)
    assert (config.mode, config.network.pose_weights) == ('mono', 'random')
    assert config.optimisation.epochs == 1
    named = begin_config('edge_stereo_320x96', str(model_file), (), holds_pair=_no_pair)
    assert (named.name, named.mode, named.network.width) == (
        'edge_stereo_320x96',
        'mono_stereo',
        320,
    )


@pytest.mark.parametrize('init', ['', 'imagenet', 'random'])
def test_words_leave_the_configuration_as_it_is(init: str) -> None:
    config = begin_config('', init, (), holds_pair=_no_pair)
    usual = read_config('mono_640x192')
    assert config.network.weights == (init or usual.network.weights)
    assert config.name == usual.name
    assert config.optimisation == usual.optimisation


def test_a_model_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(ModelFileError, match=r'nowhere\.safetensors'):
        begin_config('', 'nowhere.safetensors', (), holds_pair=_no_pair)


def test_a_pair_is_recognised_in_a_frame_store(tmp_path: Path) -> None:
    alone = write_tiny_store(tmp_path / 'alone', frames=3)
    pair = write_tiny_store(tmp_path / 'pair', frames=3, stereo=True)
    assert not holds_pair([alone])
    assert holds_pair([pair])
    assert not holds_pair([])


@pytest.mark.skipif(not KITTI.is_dir(), reason=f'{KITTI} is not here')
@pytest.mark.parametrize(
    ('cameras', 'expected'),
    [([], True), (['/camera/left'], False), (['/camera/left', '/camera/right'], True)],
)
def test_a_pair_is_used_unless_one_camera_alone_is_named(
    cameras: list[str], expected: bool
) -> None:
    assert holds_pair([KITTI], cameras=cameras) is expected


def test_the_command_takes_a_recording_by_name_and_writes_down_how_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Reached(Exception):
        pass

    def train(*_: object, **__: object) -> None:
        raise Reached

    monkeypatch.setattr(training, 'train', train)
    store = write_tiny_store(tmp_path / 'store', frames=3, stereo=True)
    arguments = ['train', '--init', 'demo', '--bag', str(store), '--out', str(tmp_path / 'run')]
    assert cli.main(arguments) == 1
    assert 'Reached' in capsys.readouterr().err
    config = read_config(str(tmp_path / 'run' / 'config.yaml'))
    assert (config.name, config.mode) == ('fine_tune', 'mono_stereo')
    assert config.network.weights == str(bundled_model())
    again = ['train', '--out', str(tmp_path / 'run'), '--resume', '--init', 'demo']
    assert cli.main(again) == 2
    assert 'a resumed run keeps its sources' in capsys.readouterr().err
