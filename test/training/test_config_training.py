# SPDX-License-Identifier: Apache-2.0
"""Training configurations: what comes with the package, and what a wrong one is told."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import pytest
from monodepth2_training import config_files, shared_files
from monodepth2_training.config import (
    LogConfig,
    ModelFileConfig,
    OptimisationConfig,
    TrainingConfig,
)
from monodepth2_training.config_files import (
    config_folders,
    find_config,
    known_configs,
    read_config,
    write_config,
)

from monodepth2_ros.errors import ConfigError

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / 'config' / 'training'

RESNET50 = {'network.encoder': 'resnet50', 'network.pose_encoder': 'resnet50'}
PUBLISHED_SWITCHES: dict[str, tuple[str, dict[str, Any]]] = {
    'ablation_no_min_reprojection': ('mono_640x192', {'loss.minimum_reprojection': False}),
    'ablation_no_automasking': ('mono_640x192', {'loss.automasking': False}),
    'ablation_no_full_resolution': ('mono_640x192', {'loss.full_resolution': False}),
    'ablation_no_ssim': ('mono_640x192', {'loss.ssim': False}),
    'ablation_predictive_mask': (
        'mono_640x192',
        {'loss.automasking': False, 'loss.predictive_mask': True},
    ),
    'ablation_baseline_min_reprojection': (
        'ablation_baseline',
        {'loss.minimum_reprojection': True},
    ),
    'ablation_baseline_automasking': ('ablation_baseline', {'loss.automasking': True}),
    'ablation_baseline_full_resolution': ('ablation_baseline', {'loss.full_resolution': True}),
    'ablation_baseline_scratch': (
        'ablation_baseline',
        {'network.weights': 'random', 'optimisation.epochs': 30},
    ),
    'ablation_baseline_standstill': ('ablation_baseline', {'triplets.keep_standstill': True}),
    'mono_standstill': ('mono_640x192', {'triplets.keep_standstill': True}),
    'mono_resnet50': ('mono_640x192', RESNET50),
    'mono_resnet50_scratch': ('mono_scratch', RESNET50),
    'pose_posecnn': ('mono_640x192', {'network.pose': 'posecnn'}),
    'pose_shared': ('mono_640x192', {'network.pose': 'shared'}),
    'pose_separate_all': ('mono_640x192', {'network.pose': 'separate_all'}),
    'stereo_640x192': ('mono_640x192', {'mode': 'stereo'}),
    'mono_stereo_640x192': ('mono_640x192', {'mode': 'mono_stereo'}),
}


def _flat(config: TrainingConfig) -> dict[str, Any]:
    """All values by dotted key, but for name and description."""
    flat: dict[str, Any] = {}
    for key, value in dataclasses.asdict(config).items():
        nested = {f'{key}.{k}': v for k, v in value.items()} if isinstance(value, dict) else {}
        flat |= nested or {key: value}
    return {key: value for key, value in flat.items() if key not in ('name', 'about')}


def _write(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text)
    return str(folder / name)


@pytest.mark.parametrize('name', known_configs())
def test_every_file_can_be_read_and_says_what_it_is_for(name: str) -> None:
    config = read_config(name)
    assert config.name == name
    assert config.about
    assert (FOLDER / f'{name}.yaml').read_text().startswith('# SPDX')


def test_the_paper_is_the_default() -> None:
    config = read_config('mono_640x192')
    assert _flat(config) == _flat(TrainingConfig())
    assert (config.network.width, config.network.height) == (640, 192)
    assert (config.optimisation.epochs, config.optimisation.batch_size) == (20, 12)
    assert (config.optimisation.learning_rate, config.optimisation.lr_drop_epoch) == (1e-4, 15)


@pytest.mark.parametrize('name', PUBLISHED_SWITCHES)
def test_an_ablation_differs_from_its_base_by_its_switch_alone(name: str) -> None:
    base, switch = PUBLISHED_SWITCHES[name]
    ours, theirs = _flat(read_config(name)), _flat(read_config(base))
    assert {key: value for key, value in ours.items() if value != theirs[key]} == switch


def test_the_baseline_has_none_of_the_three_parts() -> None:
    loss = read_config('ablation_baseline').loss
    assert not (loss.minimum_reprojection or loss.automasking or loss.full_resolution)
    assert loss.ssim


@pytest.mark.parametrize('mode', ['mono', 'stereo', 'mono_stereo'])
def test_high_resolution_starts_from_the_weights_of_640x192(mode: str) -> None:
    config = read_config(f'{mode}_1024x320')
    assert config.mode == mode
    assert config.starts_from == f'{mode}_640x192'
    assert (config.network.width, config.network.height) == (1024, 320)
    settings = config.optimisation
    assert (settings.epochs, settings.learning_rate, settings.batch_size) == (5, 1e-5, 4)


@pytest.mark.parametrize('mode', ['mono', 'stereo', 'mono_stereo'])
def test_training_without_pretraining_takes_30_epochs(mode: str) -> None:
    config = read_config(f'{mode}_scratch')
    assert (config.mode, config.network.weights) == (mode, 'random')
    assert config.optimisation.epochs == 30


def test_overrides_win_and_are_read_as_yaml() -> None:
    overrides = ['optimisation.epochs=3', 'optimisation.learning_rate=2e-4', 'loss.ssim=false']
    config = read_config('mono_640x192', overrides)
    assert config.optimisation.epochs == 3
    assert config.optimisation.learning_rate == 2e-4
    assert config.loss.ssim is False
    again = read_config('mono_640x192', [*overrides, 'optimisation.epochs=4'])
    assert again == dataclasses.replace(
        config, optimisation=dataclasses.replace(config.optimisation, epochs=4)
    )


@pytest.mark.parametrize(
    ('override', 'message'),
    [
        ('optimisation.epoch=3', "unknown key 'epoch': did you mean 'epochs'"),
        ('optimization.epochs=3', "unknown key 'optimization': did you mean 'optimisation'"),
        ('optimisation.epochs', 'is no setting: expected key=value'),
        ('=3', 'is no setting: expected key=value'),
        ('optimisation.epochs=three', "is 'three': expected a value of type int"),
        ('optimisation.epochs=[', 'is no YAML'),
        ('optimisation.epochs=0', r'optimisation\.epochs is 0: expected 1 or more'),
        ('optimisation.learning_rate=0', 'expected > 0'),
        ('optimisation.learning_rate=.nan', 'learning_rate is nan'),
        (f'optimisation.seed={2**63}', f'expected {2**63 - 1} at most'),
        ('optimisation.precision=float8', 'expected one of auto, float32'),
        ('optimisation.compile=sometimes', 'expected one of auto, always, never'),
        ('mode=mon', "did you mean 'mono'"),
        ('log.every_steps=0', 'expected at least 1'),
        ('network.width=630', 'multiple of 32'),
        ('loss=3', 'expected a mapping'),
    ],
)
def test_a_wrong_setting_is_refused_with_what_is_right(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_config('mono_640x192', [override])


@pytest.mark.parametrize('mode', ['stereo', 'trinocular'])
def test_depth_that_would_wait_for_a_motion_that_nobody_predicts_is_refused(mode: str) -> None:
    changes = ('optimisation.hold_depth_steps=100', f'mode={mode}')
    with pytest.raises(ConfigError, match=f'mode {mode} predicts no motion: nothing would learn'):
        read_config('mono_640x192', changes)
    read_config('mono_640x192', [*changes, 'optimisation.hold_depth_steps=0'])
    read_config('mono_stereo_640x192', changes[:1])


def test_a_name_that_is_not_there_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'stereo_640x192'"):
        read_config('stereo_640x129')
    with pytest.raises(ConfigError, match='does not exist: give a YAML file or a name'):
        read_config('nowhere/mono_640x192.yaml')


def test_a_file_may_extend_one_of_the_package_or_one_beside_it(tmp_path: Path) -> None:
    _write(tmp_path, 'mine.yaml', 'extends: stereo_640x192\noptimisation: {epochs: 7}\n')
    path = _write(tmp_path, 'yours.yaml', 'extends: mine\nloss: {ssim: false}\n')
    config = read_config(path)
    assert (config.name, config.mode, config.optimisation.epochs) == ('yours', 'stereo', 7)
    assert config.optimisation.batch_size == 12
    assert not config.loss.ssim


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('extends: a\n', 'extends itself'),
        ('extends: 3\n', 'expected the name of a configuration'),
        ('mode: mono\nmode: stereo\n', "the key 'mode' stands twice"),
        ('mode: [\n', 'is no YAML'),
        ('- mono\n', 'holds list: expected keys and values'),
        ('', 'holds NoneType'),
        ('depth: 3\n', "a.yaml has an unknown key 'depth'"),
        ('\x00', 'is no YAML'),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_config(_write(tmp_path, 'a.yaml', text))


def test_a_resolved_configuration_is_read_back_the_same(tmp_path: Path) -> None:
    config = read_config('mono_stereo_1024x320', ['optimisation.seed=5'])
    write_config(config, tmp_path / 'config.yaml')
    assert read_config(str(tmp_path / 'config.yaml')) == config


@pytest.mark.parametrize('kind', ['pip', 'colcon'])
def test_configurations_are_found_where_they_are_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    folder = tmp_path / 'share' / 'monodepth2_ros' / 'config' / 'training'
    folder.mkdir(parents=True)
    _write(folder, 'installed.yaml', 'mode: stereo\n')
    if kind == 'pip':
        monkeypatch.setattr(sys, 'prefix', str(tmp_path))
    else:
        monkeypatch.setenv('AMENT_PREFIX_PATH', f'/nowhere:{tmp_path}')
    assert find_config('installed') == folder / 'installed.yaml'
    assert config_folders()[0] == FOLDER
    assert {'installed', 'smoke'} <= set(known_configs())


def test_where_no_configuration_is_installed_every_place_looked_at_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / 'lib' / 'python3.x' / 'site-packages' / 'monodepth2_training'
    monkeypatch.setattr(shared_files, '__file__', str(installed / 'shared_files.py'))
    monkeypatch.setattr(sys, 'prefix', '/nowhere/venv')
    monkeypatch.setenv('AMENT_PREFIX_PATH', '/nowhere/ros')
    with pytest.raises(ConfigError, match='none are installed: not one YAML file in ') as caught:
        find_config('smoke')
    for prefix in (tmp_path, '/nowhere/venv', '/nowhere/ros'):
        assert f'{prefix}/share/monodepth2_ros/config/training' in str(caught.value)


@pytest.mark.parametrize('kind', [TrainingConfig, OptimisationConfig, LogConfig, ModelFileConfig])
def test_every_field_has_a_line_of_documentation(kind: type) -> None:
    source = Path(config_files.__file__).with_name('config.py').read_text()
    for field in dataclasses.fields(kind):
        line = source[source.index(f'    {field.name}: ') :].splitlines()[1]
        assert line.strip().startswith('"""'), field.name
